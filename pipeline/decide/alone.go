package decide

import (
	"errors"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
)

// Alone decides a record for one of the sinks alone, as a redrive does with a dead
// letter of that sink: neither the filter nor a `when` is asked again, and what fails is
// this sink's, whatever `on_error` says. at is the sink's index over all routes, and key,
// where it is not empty, the idempotency key of old.
func (d *Decider) Alone(rec *handlers.Record, at int, key string) Decision {
	dec := Decision{Route: -1, Key: key}
	failed := func(stage outcome.Stage, err error) Decision {
		dec.Writes = []Write{{Sink: at, Record: rec, Stage: stage, Err: err}}
		return dec
	}
	d.made = false
	d.view.source = rec
	if err := d.load(rec); err != nil {
		return failed(outcome.StageDecode, err)
	}
	if err := d.keep(rec, &dec); err != nil {
		return failed(outcome.StageKey, err)
	}
	if d.plan.Transform != nil {
		made, err := d.transform(rec)
		if err == nil {
			err = d.out.Load(made)
		}
		if err != nil {
			return failed(outcome.StageTransform, err)
		}
		d.made = true
		rec = made
	}
	d.view.rec = rec
	sink := *d.plan.Sinks()[at]
	sink.When = nil
	request, stage, err := d.request(&sink, d.sinks[at])
	switch {
	case errors.Is(err, handlers.ErrSkip):
		dec.Outcome, dec.Reason = outcome.Filtered, outcome.ReasonTombstone
		return dec
	case err != nil:
		return failed(stage, err)
	}
	dec.Writes = []Write{{Sink: at, Record: rec, Request: request}}
	return dec
}

// keep is key where there is none of old.
func (d *Decider) keep(rec *handlers.Record, dec *Decision) error {
	if dec.Key == "" || d.plan.Idempotency == nil {
		return d.key(rec, dec)
	}
	return d.digest(rec, dec)
}

// Content is the key and the content of a record that counts as done without a call;
// the key is empty where the record has none that can be told. key, where it is not
// empty, is the one of old.
func (d *Decider) Content(rec *handlers.Record, key string) Decision {
	dec := Decision{Route: -1, Key: key}
	if err := d.load(rec); err == nil && d.keep(rec, &dec) == nil {
		return dec
	}
	return Decision{Route: -1, Key: key, Digest: idempotency.DigestOf(rec.Value)}
}
