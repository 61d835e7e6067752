package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// letter is a record on its way to the dead letters.
type letter struct {
	index       int // in its lane batch
	rec         *handlers.Record
	sink        string
	stage       Stage
	reason      string
	first, last error
	attempts    int
	key         string
	// left is how many of the record's parts are left out: its value, then its
	// headers, then its key.
	left int
}

// deadLetters writes records that could not be delivered to their topic, with
// their bytes as they came and where they came from.
type deadLetters struct {
	plan                    *PipelinePlan
	pipeline, topic, digest string
	producer                handlers.Producer
	observer                Observer
	pauses                  *pauses
	timing                  timing
	log                     *slog.Logger

	mu     sync.Mutex
	logged map[string]*tally // by reason
}

// tally counts dead letters of one reason since they were last logged.
type tally struct {
	at    time.Time
	since int
	last  letter
}

// pauseLetters is what a pipeline waits for while its dead letters can't be
// written.
const pauseLetters = "dead_letter"

// The headers of a dead letter, after those of the record itself.
const (
	HeaderTopic        = "millrace-topic"
	HeaderPartition    = "millrace-partition"
	HeaderOffset       = "millrace-offset"
	HeaderTimestamp    = "millrace-timestamp"
	HeaderPipeline     = "millrace-pipeline"
	HeaderSink         = "millrace-sink"
	HeaderStage        = "millrace-stage"
	HeaderReason       = "millrace-reason"
	HeaderFirstError   = "millrace-first-error"
	HeaderLastError    = "millrace-last-error"
	HeaderAttempts     = "millrace-attempts"
	HeaderKey          = "millrace-idempotency-key"
	HeaderConfigDigest = "millrace-config-digest"
	// HeaderValueDigest and HeaderValueBytes stand in for a value that is larger
	// than the source takes, or that the broker refused as too large; then, where it
	// still is, for the record's headers, and in the end for its key.
	HeaderValueDigest   = "millrace-value-sha256"
	HeaderValueBytes    = "millrace-value-bytes"
	HeaderHeadersDigest = "millrace-headers-sha256"
	HeaderHeadersBytes  = "millrace-headers-bytes"
	HeaderKeyDigest     = "millrace-key-sha256"
	HeaderKeyBytes      = "millrace-key-bytes"
)

// maxLetterText bounds the texts that Millrace itself writes into a dead letter,
// so that without its record it always fits.
const maxLetterText = 1000

// write returns true once every letter is durable. It tries on for as long as
// the topic takes none; false means that ctx ended first, or that the pipeline
// has no dead letters and stands still instead. Where ctx has ended it still
// tries once, within effects.
func (d *deadLetters) write(ctx, effects context.Context, letters []letter) bool {
	if d.topic == "" {
		first := letters[0]
		d.pauses.hold(PauseOff, fmt.Errorf("%s: %w", coordinates(first.rec), letterError(first)))
		defer d.pauses.release(PauseOff)
		d.timing.Wait(ctx, nil, -1)
		return false
	}
	records := make([]*handlers.Record, len(letters))
	for i, l := range letters {
		records[i] = d.record(l)
	}
	left, held := slices.Clone(letters), false
	for n := 1; ; {
		err := d.producer.Produce(effects, records)
		if err == nil {
			break
		}
		smaller := false
		left, records, smaller = d.failed(left, records, err)
		if len(records) == 0 {
			break
		}
		if smaller {
			continue // nothing waits: they are written at once, with less in them
		}
		if d.pauses.hold(pauseLetters, err); !held {
			defer d.pauses.release(pauseLetters)
		} else {
			d.pauses.release(pauseLetters)
		}
		held = true
		if !d.timing.sleep(ctx, d.timing.jitter(exponential(200*time.Millisecond, maxPause, n))) {
			return false
		}
		n++
	}
	d.tell(letters)
	for _, l := range letters {
		d.observer.Observe(Event{
			Kind: EventDeadLetter, Pipeline: d.pipeline, Sink: l.sink, Topic: l.rec.Topic, Partition: l.rec.Partition, Offset: l.rec.Offset,
			Reason: l.reason, Attempt: l.attempts, Err: l.last,
		})
	}
	return true
}

// tell logs the first dead letter of each reason, and then how many more there
// were, once a minute.
func (d *deadLetters) tell(letters []letter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.timing.Now()
	for _, l := range letters {
		t := d.logged[l.reason]
		if t == nil {
			t = &tally{at: now.Add(-tallyEvery)}
			if d.logged == nil {
				d.logged = map[string]*tally{}
			}
			d.logged[l.reason] = t
		}
		t.since++
		t.last = letter{rec: &handlers.Record{Topic: l.rec.Topic, Partition: l.rec.Partition, Offset: l.rec.Offset}, sink: l.sink, stage: l.stage, last: l.last}
		if now.Sub(t.at) >= tallyEvery {
			d.report(l.reason, t, now)
		}
	}
}

// report logs what a tally counted. The caller holds mu.
func (d *deadLetters) report(reason string, t *tally, now time.Time) {
	d.log.Warn("records went to the dead letters", "topic", d.topic, "reason", reason, "records", t.since,
		"last", coordinates(t.last.rec), "sink", t.last.sink, "stage", string(t.last.stage), "err", t.last.last)
	t.since, t.at = 0, now
}

// close logs what was counted and not told yet.
func (d *deadLetters) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, reason := range slices.Sorted(maps.Keys(d.logged)) {
		if t := d.logged[reason]; t.since > 0 {
			d.report(reason, t, d.timing.Now())
		}
	}
}

// tallyEvery is how often dead letters of one reason are logged.
const tallyEvery = time.Minute

// failed returns what is still to be written: one that was refused as too large
// goes without its value, then without the record's headers, then without its key.
// Smaller tells that all of them do.
func (d *deadLetters) failed(letters []letter, records []*handlers.Record, err error) (left []letter, again []*handlers.Record, smaller bool) {
	smaller = true
	for i := range letters {
		f := handlers.FailureOf(err, i)
		if f == nil {
			continue
		}
		l, r := letters[i], records[i]
		if errors.Is(f, handlers.ErrTooLarge) && l.shrink() {
			r = d.record(l)
		} else {
			smaller = false
		}
		left, again = append(left, l), append(again, r)
	}
	return left, again, smaller
}

// record makes the dead letter: the record's key, value and headers as they
// came, then where it came from and why it is here. Its time is now, so that a
// topic's retention does not eat the letters of old records at once. Of parts that
// are left out it has digest and size: the record is found by its coordinates.
func (d *deadLetters) record(l letter) *handlers.Record {
	r := &handlers.Record{Topic: d.topic, Key: l.rec.Key, Value: l.rec.Value}
	if l.left < withoutHeaders {
		r.Headers = slices.Grow(slices.Clone(l.rec.Headers), 13)
	}
	add := func(key, value string) {
		if value != "" {
			r.Headers = append(r.Headers, handlers.Header{Key: key, Value: []byte(value)})
		}
	}
	add(HeaderTopic, l.rec.Topic)
	add(HeaderPartition, strconv.Itoa(int(l.rec.Partition)))
	add(HeaderOffset, strconv.FormatInt(l.rec.Offset, 10))
	if !l.rec.Time.IsZero() {
		add(HeaderTimestamp, l.rec.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	add(HeaderPipeline, d.pipeline)
	add(HeaderSink, l.sink)
	add(HeaderStage, string(l.stage))
	add(HeaderReason, l.reason)
	add(HeaderFirstError, clipText(d.plan.Redact(errorText(l.first))))
	add(HeaderLastError, clipText(d.plan.Redact(errorText(l.last))))
	add(HeaderAttempts, strconv.Itoa(l.attempts))
	if l.left >= withoutKey {
		l.key = clipText(l.key)
	}
	if guard := d.plan.Idempotency; guard == nil || !guard.Key.Secret() {
		add(HeaderKey, l.key)
	}
	add(HeaderConfigDigest, d.digest)
	without := func(digest, size string, part *kafka.Part) {
		if part != nil {
			add(digest, part.Digest)
			add(size, strconv.Itoa(part.Bytes))
		}
	}
	// What was too large to be held is described already.
	var left kafka.Oversize
	if e, ok := errors.AsType[*kafka.Oversize](l.last); ok {
		left = *e
	}
	if l.left >= withoutValue && l.rec.Value != nil {
		r.Value, left.Value = nil, kafka.PartOf(l.rec.Value)
	}
	if l.left >= withoutHeaders && len(l.rec.Headers) > 0 {
		left.Headers = kafka.HeadersPart(l.rec.Headers)
	}
	if l.left >= withoutKey && l.rec.Key != nil {
		r.Key, left.Key = nil, kafka.PartOf(l.rec.Key)
	}
	without(HeaderValueDigest, HeaderValueBytes, left.Value)
	without(HeaderHeadersDigest, HeaderHeadersBytes, left.Headers)
	without(HeaderKeyDigest, HeaderKeyBytes, left.Key)
	return r
}

// What of a record is left out, one after the other, until its letter fits.
const (
	withoutValue = iota + 1
	withoutHeaders
	withoutKey
)

// shrink leaves out the next part that the record has, and tells whether there was
// one.
func (l *letter) shrink() bool {
	for l.left < withoutKey {
		l.left++
		switch {
		case l.left == withoutValue && l.rec.Value != nil,
			l.left == withoutHeaders && len(l.rec.Headers) > 0,
			l.left == withoutKey && (l.rec.Key != nil || len(l.key) > maxLetterText):
			return true
		}
	}
	return false
}

// errorText is an error as a header carries it.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// clipText cuts text to a bearable length, between characters.
func clipText(s string) string {
	if len(s) <= maxLetterText {
		return s
	}
	cut := maxLetterText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func letterError(l letter) error {
	if l.last != nil {
		return l.last
	}
	return errors.New(l.reason)
}
