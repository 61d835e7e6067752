package decide

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/oversize"
	"github.com/millrace/millrace/pipeline/plan"
)

// Decision is what a pipeline makes of one record, before anything happens.
type Decision struct {
	// Outcome is set where nothing is to be written; DeadLettered then means
	// that the record belongs into the dead letters, and "" together with Stop
	// that the pipeline must stop.
	Outcome outcome.Outcome
	// Reason is a short word for why, where the outcome alone does not say.
	Reason string
	// Stop tells that the configuration wants the pipeline stopped here.
	Stop bool
	// Stage and Err say what failed, where something did.
	Stage outcome.Stage
	Err   error
	// Key is the idempotency key, "" where the pipeline has none.
	Key string
	// Digest is what counts as the record's content, where it has a key.
	Digest idempotency.Digest
	// Route is the index of the route taken, -1 for none.
	Route int
	// Writes are the requests to make, in the order of the route's sinks.
	Writes []Write
}

// Write is one request that a decision asks for, or one that could not be made:
// the sinks of a route are independent, and each is dead-lettered on its own.
type Write struct {
	// Sink is the index of the sink within the pipeline, over all routes.
	Sink    int
	Record  *handlers.Record
	Request any
	// Stage and Err say why the request could not be made; then there is none,
	// and the record belongs into the dead letters on this sink's behalf.
	Stage outcome.Stage
	Err   error
}

// Reason is the word for why the request could not be made.
func (w *Write) Reason() string { return reasonOf(w.Stage, w.Err) }

// reasonOf is the word for a failure in a stage of decide.
func reasonOf(s outcome.Stage, err error) string {
	if errors.Is(err, expression.ErrTooCostly) {
		return outcome.ReasonTooCostly
	}
	return string(s) + "_failed"
}

// Decider turns records into decisions: decode, filter, key, transform, route,
// render. It is pure, and belongs to one goroutine at a time.
type Decider struct {
	plan  *plan.Pipeline
	sinks []handlers.Sink
	first []int // index of each route's first sink
	in    *expression.Input
	out   *expression.Input // the same as in where nothing is transformed
	view  view
	// made tells that the last record was transformed.
	made  bool
	trace *trace // nil but in Trace
}

// NewDecider makes a decider of plan; sinks are those of plan.Sinks(), open.
func NewDecider(plan *plan.Pipeline, sinks []handlers.Sink) *Decider {
	d := &Decider{plan: plan, sinks: sinks, in: plan.Scope.NewInput()}
	d.out = d.in
	if plan.Transform != nil {
		d.out = plan.Result.NewInput()
		d.out.Follow(d.in)
	}
	n := 0
	for _, r := range plan.Routes {
		d.first = append(d.first, n)
		n += len(r.Sinks)
	}
	d.view = view{in: d.out, plan: plan, json: plan.Format == expression.FormatJSON ||
		plan.Transform != nil && plan.Transform.Payload != nil}
	return d
}

// Decide says what is to be done about rec, which it does not change. The
// decision's writes may refer to rec.
func (d *Decider) Decide(rec *handlers.Record) Decision {
	d.made = false
	d.view.source = rec
	err := d.load(rec)
	if d.trace != nil {
		d.trace.decoded(d.plan.Format, err)
	}
	if err != nil {
		return d.failed(outcome.StageDecode, err)
	}
	if d.plan.Filter != nil {
		pass, err := d.plan.Filter.Bool(d.in)
		if d.trace != nil {
			d.trace.condition(outcome.StageFilter, "", "filter", d.plan.Filter, d.in, pass, err)
		}
		if err != nil {
			return d.failed(outcome.StageFilter, err)
		}
		if !pass {
			return Decision{Outcome: outcome.Filtered, Reason: outcome.ReasonFilter, Route: -1}
		}
	}
	dec := Decision{Route: -1}
	if err := d.key(rec, &dec); err != nil {
		return d.failed(outcome.StageKey, err)
	}
	if d.plan.Transform != nil {
		made, err := d.transform(rec)
		if err == nil {
			err = d.out.Load(made)
		}
		if err != nil {
			failed := d.failed(outcome.StageTransform, err)
			failed.Key = dec.Key
			return failed
		}
		d.made = true
		rec = made
	}
	return d.route(rec, dec)
}

// load makes the record ready to be read, or says why it can't be.
func (d *Decider) load(rec *handlers.Record) error {
	if err := oversize.Check(rec, d.plan.Source.MaxRecordBytes); err != nil {
		return err
	}
	return d.in.Load(rec)
}

// key computes the idempotency key and the digest of what counts as content.
func (d *Decider) key(rec *handlers.Record, dec *Decision) error {
	guard := d.plan.Idempotency
	if guard == nil {
		return nil
	}
	key, err := guard.Key.Text(d.in)
	if d.trace != nil {
		d.trace.template(outcome.StageKey, "", "idempotency.key", guard.Key, d.in, key, err)
	}
	if err != nil {
		return err
	}
	dec.Key = key
	return d.digest(rec, dec)
}

func (d *Decider) digest(rec *handlers.Record, dec *Decision) error {
	guard := d.plan.Idempotency
	if guard.Digest == nil {
		dec.Digest = idempotency.DigestOf(rec.Value)
		return nil
	}
	content, err := guard.Digest.AppendCanonical(nil, d.in)
	if d.trace != nil {
		d.trace.leaf(outcome.StageKey, "idempotency.digest", guard.Digest, d.in, content, err)
	}
	if err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	dec.Digest = idempotency.DigestOf(content)
	return nil
}

// route takes the first route that holds and renders the requests of its sinks.
func (d *Decider) route(rec *handlers.Record, dec Decision) Decision {
	for i := range d.plan.Routes {
		r := &d.plan.Routes[i]
		if r.When != nil {
			holds, err := r.When.Bool(d.out)
			if d.trace != nil {
				d.trace.condition(outcome.StageRoute, "", fmt.Sprintf("routes[%d].when", i), r.When, d.out, holds, err)
			}
			if err != nil {
				failed := d.failed(outcome.StageRoute, err)
				failed.Key = dec.Key
				return failed
			}
			if !holds {
				continue
			}
		}
		dec.Route = i
		return d.render(rec, dec, r)
	}
	return d.unmatched(dec)
}

func (d *Decider) render(rec *handlers.Record, dec Decision, r *plan.Route) Decision {
	d.view.rec = rec
	skipped := false
	for j := range r.Sinks {
		at := d.first[dec.Route] + j
		request, stage, err := d.request(&r.Sinks[j], d.sinks[at])
		switch {
		case errors.Is(err, handlers.ErrSkip):
			skipped = true
		case err != nil && d.plan.OnError == plan.ActionDeadLetter:
			dec.Writes = append(dec.Writes, Write{Sink: at, Record: rec, Stage: stage, Err: err})
		case err != nil && d.plan.OnError == plan.ActionDrop:
			dec.Outcome, dec.Reason, dec.Stage, dec.Err = outcome.Dropped, reasonOf(stage, err), stage, err
		case err != nil:
			return d.failed(stage, err)
		case stage == outcome.StageRender:
			dec.Writes = append(dec.Writes, Write{Sink: at, Record: rec, Request: request})
		}
	}
	switch {
	case len(dec.Writes) > 0:
		dec.Outcome, dec.Reason = "", ""
		return dec
	case dec.Outcome == outcome.Dropped:
		return dec
	case skipped:
		dec.Outcome, dec.Reason = outcome.Filtered, outcome.ReasonTombstone
		return dec
	default:
		return d.unmatched(dec)
	}
}

// request makes one sink's request. The stage is how far it came: before
// StageRender without an error, the sink's own condition did not hold.
func (d *Decider) request(s *plan.Sink, sink handlers.Sink) (any, outcome.Stage, error) {
	if s.When != nil {
		holds, err := s.When.Bool(d.out)
		if d.trace != nil {
			d.trace.condition(outcome.StageRoute, s.Name, "when", s.When, d.out, holds, err)
		}
		if err != nil {
			return nil, outcome.StageRoute, fmt.Errorf("sink %q: when: %w", s.Name, err)
		}
		if !holds {
			return nil, outcome.StageRoute, nil
		}
	}
	if d.trace != nil {
		d.view.trace = d.trace.render(s)
	}
	d.view.fields = s.Fields
	request, err := render(sink, &d.view)
	if d.trace != nil {
		d.trace.rendered(s.Name, request, err)
	}
	if err != nil {
		return nil, outcome.StageRender, fmt.Errorf("sink %q: %w", s.Name, err)
	}
	return request, outcome.StageRender, nil
}

// render is sink.Render, of which a panic is that record's error.
func render(sink handlers.Sink, v handlers.View) (request any, err error) {
	defer func() {
		if p := recover(); p != nil {
			request, err = nil, fmt.Errorf("the sink panicked: %v", p)
		}
	}()
	return sink.Render(v)
}

// unmatched does what the configuration wants of a record that no route takes.
func (d *Decider) unmatched(dec Decision) Decision {
	dec.Reason = outcome.ReasonUnmatched
	switch d.plan.Unmatched {
	case plan.ActionDeadLetter:
		dec.Outcome, dec.Stage, dec.Err = outcome.DeadLettered, outcome.StageRoute,
			errors.New("no route took the record")
	case plan.ActionStop:
		dec.Stop, dec.Stage, dec.Err = true, outcome.StageRoute,
			errors.New("no route took the record, and `unmatched` is stop")
	default:
		dec.Outcome = outcome.Unmatched
	}
	return dec
}

// Unreadable says what is to be done about a record that could not be read, or was
// too large to be held, which is what Decide says of it too.
func (d *Decider) Unreadable(err error) Decision {
	dec := d.failed(outcome.StageDecode, err)
	if !errors.As(err, new(*oversize.Error)) {
		dec.Reason = outcome.ReasonUnreadable
	}
	return dec
}

// failed does what `on_error` wants of a record that can't be decided.
func (d *Decider) failed(stage outcome.Stage, err error) Decision {
	dec := Decision{Stage: stage, Err: err, Reason: reasonOf(stage, err), Route: -1}
	switch d.plan.OnError {
	case plan.ActionDrop:
		dec.Outcome = outcome.Dropped
	case plan.ActionStop:
		dec.Stop = true
	default:
		dec.Outcome = outcome.DeadLettered
	}
	return dec
}
