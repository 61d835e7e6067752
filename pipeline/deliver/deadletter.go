package deliver

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/oversize"
	"github.com/millrace/millrace/pipeline/plan"
)

// letter is a record on its way to the dead letters.
type letter struct {
	index       int // in its lane batch
	rec         *handlers.Record
	topicID     [16]byte
	sink        string
	stage       outcome.Stage
	reason      string
	first, last error
	// firstAt and lastAt are when it failed first, and last.
	firstAt, lastAt time.Time
	attempts        int
	key             string
	// of is the letter that was redriven and failed again; nil for a first one.
	of *letters.Letter
	// left is how many of the record's parts are left out: its value, then its
	// headers, then its key.
	left int
}

// deadLetters writes records that could not be delivered to their topic, with
// their bytes as they came and where they came from.
type deadLetters struct {
	plan                    *plan.Pipeline
	pipeline, topic, digest string
	producer                handlers.Producer
	observer                events.Observer
	pauses                  *pauses
	timing                  clock.Timing
}

// pauseLetters is what a pipeline waits for while its dead letters can't be
// written.
const pauseLetters = "dead_letter"

// maxLetterText bounds the texts that Millrace itself writes into a dead letter,
// so that without its record it always fits.
const maxLetterText = 1000

// write returns true once every letter is durable. It tries on for as long as
// the topic takes none; false means that ctx ended first. Where ctx has ended it
// still tries once, within effects.
func (d *deadLetters) write(ctx, effects context.Context, letters []letter) bool {
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
		if !d.timing.Sleep(ctx, d.timing.Jitter(clock.Exponential(200*time.Millisecond, maxPause, n))) {
			return false
		}
		n++
	}
	now := d.timing.Now()
	for _, l := range letters {
		d.observer.Observe(events.Event{
			Kind: events.DeadLetter, Time: now, Pipeline: d.pipeline, Sink: l.sink, Topic: l.rec.Topic,
			Partition: l.rec.Partition, Offset: l.rec.Offset,
			Key: shownKey(d.plan, l.key), Stage: l.stage, Reason: l.reason, Attempt: l.attempts, Err: l.last,
		})
	}
	return true
}

// failed returns what is still to be written: one that was refused as too large
// goes without its value, then without the record's headers, then without its key.
// Smaller tells that all of them do.
func (d *deadLetters) failed(letters []letter, records []*handlers.Record, err error) (left []letter,
	again []*handlers.Record, smaller bool) {
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
	whole := letters.Letter{
		Record: *l.rec, TopicID: l.topicID, Missing: l.missing(),
		Pipeline: d.pipeline, Sink: l.sink, Generation: 1, Stage: string(l.stage), Reason: l.reason,
		FirstError: clipText(d.plan.Redactor.Shown(errorText(l.first))),
		LastError:  clipText(d.plan.Redactor.Shown(errorText(l.last))),
		Attempts:   l.attempts, Round: 1, First: l.firstAt, Last: l.lastAt, ConfigDigest: d.digest,
	}
	if guard := d.plan.Idempotency; guard != nil {
		whole.Generation = guard.Generation
		// A key that was cut would be taken for another.
		if !guard.Key.Secret() && (l.left < withoutKey || len(l.key) <= maxLetterText) {
			whole.Key = l.key
		}
	}
	l.follow(&whole)
	r := letters.Encode(whole)
	r.Topic = d.topic
	return r
}

// missing describes the parts of the record that its letter does not hold.
func (l *letter) missing() letters.Missing {
	// What was too large to be held is described already.
	var left oversize.Error
	if e, ok := errors.AsType[*oversize.Error](l.last); ok {
		left = *e
	}
	if l.left >= withoutValue && l.rec.Value != nil {
		left.Value = oversize.PartOf(l.rec.Value)
	}
	if l.left >= withoutHeaders && len(l.rec.Headers) > 0 {
		left.Headers = oversize.HeadersPart(l.rec.Headers)
	}
	if l.left >= withoutKey && l.rec.Key != nil {
		left.Key = oversize.PartOf(l.rec.Key)
	}
	return letters.Missing{Key: (*letters.Part)(left.Key), Headers: (*letters.Part)(left.Headers),
		Value: (*letters.Part)(left.Value)}
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
