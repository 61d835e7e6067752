package deliver

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Redrive is what a delivery does differently whose records are the pipeline's own dead
// letters. A letter of a sink goes to that sink alone, with the key and generation of
// old, also where its key is parked; one that could not be decided is decided anew. What
// fails again becomes a letter of the next round. How a letter was resolved is durable
// before it is passed.
type Redrive struct {
	// Resolved is the topic of resolutions; By and Job stand in them.
	Resolved, By, Job string
	// Whole fetches what a letter does not hold of its record. It returns
	// [letters.ErrSourceGone] where that is not to be had any more, an error of ctx once
	// this has ended, and what still speaks against the record otherwise. It must be safe
	// for concurrent use.
	Whole func(ctx context.Context, l *letters.Letter) error
	// Discard makes no call: the letters' keys count as done.
	Discard bool
}

// redriven is what a lane batch of dead letters knows of them.
type redriven struct {
	// letters are those that were begun with, by index; nil where the records are none.
	letters []*letters.Letter
	pending
}

// letter is the dead letter that the record at index is, nil where it is none.
func (r *redriven) letter(index int) *letters.Letter {
	if r.letters == nil {
		return nil
	}
	return r.letters[index]
}

// topicID is that of the topic that the record at index, or what it is a letter of, was
// read from.
func (w *work) topicID(index int) [16]byte {
	if l := w.letter(index); l != nil {
		return l.TopicID
	}
	return w.batch.TopicID
}

// redrive decides about letter i of the batch.
func (d *Delivery) redrive(ctx context.Context, w *work, i int, decider *decide.Decider) (decide.Decision,
	*handlers.Record) {
	if w.letters == nil {
		w.letters = make([]*letters.Letter, len(w.batch.Records))
	}
	l, err := letters.Decode(w.batch.Records[i])
	if err != nil {
		w.batch.Passed(i) // it was chosen as a letter, so that this can't be
		return decide.Decision{}, nil
	}
	w.letters[i] = &l
	at := slices.IndexFunc(d.plan.Sinks(), func(s *plan.Sink) bool { return s.Name == l.Sink })
	if d.again.Redrive.Discard {
		return d.discard(&l, at, decider), &l.Record
	}
	err = d.again.Redrive.Whole(ctx, &l)
	switch {
	case errors.Is(err, letters.ErrSourceGone):
		w.finish(i, outcome.Dropped, outcome.ReasonSourceGone, nil, d.timing.Now())
		return decide.Decision{}, nil
	case ctx.Err() != nil:
		return decide.Decision{}, nil
	case l.Sink == "" && err != nil:
		return decider.Unreadable(err), &l.Record
	case l.Sink == "":
		return decider.Decide(&l.Record), &l.Record
	case at < 0:
		w.batch.Passed(i) // nor was one chosen of a sink that is gone
		return decide.Decision{}, nil
	case err != nil:
		return decide.Decision{Route: -1, Key: l.Key, Writes: []decide.Write{{Sink: at, Record: &l.Record,
			Stage: outcome.StageDecode, Err: err}}}, &l.Record
	}
	return decider.Alone(&l.Record, at, l.Key), &l.Record
}

// discard decides about a letter that nobody has a use for: the key that it keeps open,
// if any, is to be claimed and confirmed. One that is behind another letter's key
// says nothing of that.
func (d *Delivery) discard(l *letters.Letter, at int, decider *decide.Decider) decide.Decision {
	none := decide.Decision{Outcome: outcome.Dropped, Reason: outcome.ReasonDiscarded, Route: -1}
	if d.guard == nil || at < 0 || l.Reason == outcome.ReasonParked {
		return none
	}
	dec := decider.Content(&l.Record, l.Key)
	if dec.Key == "" {
		return none
	}
	if left := l.Missing.Value; left != nil && d.plan.Idempotency.Digest == nil {
		if sum, err := hex.DecodeString(left.Digest); err == nil && len(sum) == len(dec.Digest) {
			dec.Digest = idempotency.Digest(sum)
		}
	}
	dec.Writes = []decide.Write{{Sink: at, Record: &l.Record}}
	return dec
}

// claimOfOld makes a job's claim that of its letter's effect.
func (e *errand) claimOfOld(j *job) {
	l := e.w.letter(j.index)
	if l.Sink == "" {
		return // decided anew: whose the key is, the store says
	}
	j.claim.Override |= idempotency.OverParked
	if j.key == "" {
		return // its coordinates stand for it
	}
	generation := 1
	if e.d.guard != nil {
		generation = e.d.guard.plan.Generation
	}
	j.claim.ID = idempotency.Identity(e.d.plan.Name, l.Sink, l.GenerationOr(generation), j.key)
}

// follow makes a letter the next one of the letter that it is of.
func (l *letter) follow(next *letters.Letter) {
	was := l.of
	if was == nil {
		return
	}
	next.Round = was.Round + 1
	next.Attempts += was.Attempts
	if !was.First.IsZero() {
		next.First, next.FirstError = was.First, was.FirstError
	}
	next.Generation = was.GenerationOr(next.Generation)
	if was.Sink != "" && was.Key != "" && l.left < withoutKey {
		next.Key = was.Key
	}
}
