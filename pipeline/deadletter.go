package pipeline

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
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
}

// deadLetters writes records that could not be delivered to their topic, with
// their bytes as they came and where they came from.
type deadLetters struct {
	pipeline, topic, digest string
	producer                handlers.Producer
	observer                Observer
	pauses                  *pauses
	timing                  timing
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
	// HeaderValueDigest and HeaderValueBytes stand in for a value that the
	// broker refused as too large.
	HeaderValueDigest = "millrace-value-sha256"
	HeaderValueBytes  = "millrace-value-bytes"
)

// write returns true once every letter is durable. It tries on for as long as
// the topic takes none; false means that ctx ended first, or that the pipeline
// has no dead letters and stands still instead. Where ctx has ended it still
// tries once, within effects.
func (d *deadLetters) write(ctx, effects context.Context, letters []letter) bool {
	if d.topic == "" {
		d.pauses.set(PauseOff, letterError(letters[0]))
		d.timing.Wait(ctx, nil, -1)
		return false
	}
	records := make([]*handlers.Record, len(letters))
	for i, l := range letters {
		records[i] = d.record(l)
	}
	left := slices.Clone(letters)
	for n := 1; ; n++ {
		err := d.producer.Produce(effects, records)
		if err == nil {
			break
		}
		left, records = d.failed(left, records, err)
		if len(records) == 0 {
			break
		}
		d.pauses.set(pauseLetters, err)
		if !d.timing.sleep(ctx, d.timing.jitter(exponential(200*time.Millisecond, 30*time.Second, n))) {
			return false
		}
	}
	d.pauses.clear(pauseLetters)
	for _, l := range letters {
		d.observer.Observe(Event{
			Kind: EventDeadLetter, Pipeline: d.pipeline, Sink: l.sink, Topic: l.rec.Topic, Partition: l.rec.Partition, Offset: l.rec.Offset,
			Reason: l.reason, Attempt: l.attempts, Err: l.last,
		})
	}
	return true
}

// failed returns what is still to be written: one that was refused as too large
// goes without its value.
func (d *deadLetters) failed(letters []letter, records []*handlers.Record, err error) ([]letter, []*handlers.Record) {
	var left []letter
	var again []*handlers.Record
	for i := range letters {
		f := handlers.FailureOf(err, i)
		if f == nil {
			continue
		}
		if errors.Is(f, handlers.ErrTooLarge) && records[i].Value != nil {
			records[i] = pointer(records[i])
		}
		left, again = append(left, letters[i]), append(again, records[i])
	}
	return left, again
}

// record makes the dead letter: the record's key, value and headers as they
// came, then where it came from and why it is here. Its time is now, so that a
// topic's retention does not eat the letters of old records at once.
func (d *deadLetters) record(l letter) *handlers.Record {
	r := &handlers.Record{Topic: d.topic, Key: l.rec.Key, Value: l.rec.Value}
	r.Headers = slices.Grow(slices.Clone(l.rec.Headers), 13)
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
	add(HeaderFirstError, errorText(l.first))
	add(HeaderLastError, errorText(l.last))
	add(HeaderAttempts, strconv.Itoa(l.attempts))
	add(HeaderKey, l.key)
	add(HeaderConfigDigest, d.digest)
	return r
}

// pointer is a dead letter without its value: the record is found by its
// coordinates and known by its digest.
func pointer(r *handlers.Record) *handlers.Record {
	small := *r
	digest := idempotency.DigestOf(r.Value)
	small.Headers = append(slices.Clone(r.Headers),
		handlers.Header{Key: HeaderValueDigest, Value: []byte(digest.String())},
		handlers.Header{Key: HeaderValueBytes, Value: []byte(strconv.Itoa(len(r.Value)))})
	small.Value = nil
	return &small
}

// errorText is an error as a header carries it, cut to a bearable length.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	s := err.Error()
	if len(s) > 1000 {
		s = s[:1000] + "…"
	}
	return s
}

func letterError(l letter) error {
	if l.last != nil {
		return l.last
	}
	return errors.New(l.reason)
}
