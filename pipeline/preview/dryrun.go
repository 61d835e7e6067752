package preview

import (
	"context"
	"fmt"
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Halt says why a record would not end, so that its offset would not move.
type Halt string

// The reasons for a record to have no outcome.
const (
	// HaltStop: the configuration wants the pipeline stopped at it.
	HaltStop Halt = "stop"
	// HaltBlock: it belongs into the dead letters, and `dead_letter` is off.
	HaltBlock Halt = "block"
	// HaltWait: another holder has its key now.
	HaltWait Halt = "wait"
)

// Item is a record and the pipelines that are to decide it.
type Item struct {
	Record *handlers.Record
	// Pipelines are indexes of those that the preview was made with.
	Pipelines []int
	// Letter, where set, is a dead letter of Record, which is to be redriven.
	Letter *letters.Letter
}

// Result is what one pipeline would make of one record.
type Result struct {
	Pipeline string
	Record   *handlers.Record
	// Outcome is how the record would end, empty where Halt says why it would
	// not. Delivered is said on the assumption that the sinks take their writes.
	Outcome outcome.Outcome
	Halt    Halt
	Reason  string
	// Stage and Err say what failed, where something did.
	Stage outcome.Stage
	Err   error
	// Key is the idempotency key, empty where there is none; KeySecret tells that
	// it is not to be shown.
	Key       string
	KeySecret bool
	// Route is the index of the route taken, -1 for none; Routes is how many the
	// pipeline has.
	Route, Routes int
	Writes        []Write
	// DeadLetter is the topic that it would be dead-lettered to, empty where it
	// would not be.
	DeadLetter string
}

// Write is what would become of one sink's share of a record.
type Write struct {
	Sink, Kind string
	// Request is what the sink would send; nil where it could not be rendered.
	Request any
	// ID is the effect's identity as the receiver sees it, empty where unknown.
	ID string
	// Outcome is delivered, duplicate or dead_lettered, empty with Halt.
	Outcome outcome.Outcome
	Halt    Halt
	Reason  string
	Stage   outcome.Stage
	Err     error
	// Uncertain tells that an earlier holder of the key went silent: the effect
	// may have happened.
	Uncertain bool
	// Row is what stands in the way: the key's row, in the store or, with Here,
	// as an earlier record of the sample would leave it. It is nil where nothing
	// does.
	Row  *idempotency.Row
	Here bool
}

// DryRun decides records in the order given, as if every write succeeded, and
// returns a result for each record and pipeline. Later calls go on from where
// earlier ones left the keys. An error means that the key store could not be
// looked at.
func (p *Preview) DryRun(ctx context.Context, items []Item) ([]Result, error) {
	type decided struct {
		flow *flow
		item *Item
		dec  decide.Decision
	}
	var all []decided
	var ids []idempotency.ID
	for n := range items {
		item := &items[n]
		for _, i := range item.Pipelines {
			f := p.flows[i]
			dec := f.decide(item)
			f.summary.read(f.decider, item.Record, &dec)
			all = append(all, decided{f, item, dec})
			ids = append(ids, f.ids(item.Letter, &dec)...)
		}
	}
	if err := p.keys.look(ctx, ids); err != nil {
		return nil, err
	}
	results := make([]Result, len(all))
	for i := range all {
		results[i] = p.judge(all[i].flow, all[i].item, &all[i].dec)
		all[i].flow.summary.count(&results[i])
	}
	return results, nil
}

// decide decides an item as a run would, or a redrive.
func (f *flow) decide(item *Item) decide.Decision {
	if l := item.Letter; l != nil {
		at := slices.IndexFunc(f.sinks, func(s *plan.Sink) bool { return s.Name == l.Sink })
		if at >= 0 {
			return f.decider.Alone(item.Record, at, l.Key)
		}
	}
	return f.decider.Decide(item.Record)
}

// ids are the keys that a decision would claim.
func (f *flow) ids(l *letters.Letter, dec *decide.Decision) []idempotency.ID {
	if f.plan.Idempotency == nil {
		return nil
	}
	var ids []idempotency.ID
	for _, w := range dec.Writes {
		if w.Err == nil {
			ids = append(ids, f.identity(f.sinks[w.Sink].Name, l, dec))
		}
	}
	return ids
}

// identity is that of a keyed effect: a letter's is of its own generation.
func (f *flow) identity(sink string, l *letters.Letter, dec *decide.Decision) idempotency.ID {
	generation := f.plan.Idempotency.Generation
	if l != nil {
		generation = l.GenerationOr(generation)
	}
	return idempotency.Identity(f.plan.Name, sink, generation, dec.Key)
}

// judge says how a decided record would end.
func (p *Preview) judge(f *flow, item *Item, dec *decide.Decision) Result {
	rec := item.Record
	r := Result{
		Pipeline: f.plan.Name, Record: rec, Reason: dec.Reason, Stage: dec.Stage, Err: dec.Err, Outcome: dec.Outcome,
		Key: dec.Key, KeySecret: f.plan.Idempotency != nil && f.plan.Idempotency.Key.Secret(),
		Route: dec.Route, Routes: len(f.plan.Routes),
	}
	switch {
	case dec.Stop:
		r.Halt, r.Outcome = HaltStop, ""
		return r
	case dec.Outcome == outcome.DeadLettered:
		r.bury(f)
		return r
	case dec.Outcome != "":
		return r
	}
	r.Reason, r.Stage, r.Err = "", "", nil
	for i := range dec.Writes {
		r.Writes = append(r.Writes, p.write(f, item, dec, &dec.Writes[i]))
	}
	r.sum(f)
	return r
}

// bury makes the result one of the dead letters, or of a pipeline that stands
// still for the want of them.
func (r *Result) bury(f *flow) {
	r.Outcome, r.DeadLetter = outcome.DeadLettered, f.plan.DeadLetter
	if f.plan.DeadLetter == "" {
		r.Outcome, r.Halt = "", HaltBlock
	}
}

// sum makes the record's outcome of those of its writes: the first that holds of
// dead_lettered, delivered, dropped, duplicate. One write without an end leaves the record
// without one.
func (r *Result) sum(f *flow) {
	for _, w := range r.Writes {
		if w.Outcome != "" && (r.Outcome == "" || w.Outcome.Over(r.Outcome)) {
			r.Outcome, r.Reason, r.Stage, r.Err = w.Outcome, w.Reason, w.Stage, w.Err
		}
	}
	if r.Outcome == outcome.DeadLettered {
		r.DeadLetter = f.plan.DeadLetter
	}
	for _, w := range r.Writes {
		if w.Halt != "" {
			r.Outcome, r.Halt, r.Reason, r.Stage, r.Err = "", w.Halt, w.Reason, w.Stage, w.Err
			return
		}
	}
}

// write says how one write would end.
func (p *Preview) write(f *flow, item *Item, dec *decide.Decision, w *decide.Write) Write {
	s, rec := f.sinks[w.Sink], item.Record
	out := Write{Sink: s.Name, Kind: s.Kind, Request: w.Request, ID: p.externalID(f, s.Name, item, dec)}
	guard := f.plan.Idempotency
	switch {
	case w.Err != nil:
		out.refused(f, w.Stage, w.Reason(), w.Err)
		return out
	case guard == nil:
		out.Outcome = outcome.Delivered
		return out
	}
	claim := decide.ClaimOf(guard, f.plan.Name, s.Name, dec, rec)
	claim.ID, claim.Token = f.identity(s.Name, item.Letter, dec), p.keys.run.Next()
	if item.Letter != nil && item.Letter.Sink != "" {
		claim.Override |= idempotency.OverParked
	}
	answer, met := p.keys.claim(&claim, guard.OnUncertain == plan.ActionPark)
	out.Row, out.Here = met.row, met.here
	switch v := decide.VerdictOf(guard, answer); {
	case v.Goes:
		out.Outcome, out.Uncertain = outcome.Delivered, v.Uncertain
	case v.Waits:
		out.Halt, out.Reason, out.Stage = HaltWait, "busy", outcome.StageClaim
		out.Err = fmt.Errorf("another process works on the key: it was claimed for %s by %s (pid %d)", met.row.Origin,
			met.row.Holder.Host, met.row.Holder.PID)
	case v.Err != nil:
		out.Uncertain = v.Uncertain
		out.refused(f, outcome.StageClaim, v.Reason, v.Err)
	default:
		out.Outcome, out.Reason = v.Outcome, v.Reason
	}
	return out
}

// refused makes the write one of the dead letters.
func (w *Write) refused(f *flow, stage outcome.Stage, reason string, err error) {
	w.Outcome, w.Stage, w.Reason, w.Err = outcome.DeadLettered, stage, reason, err
	if f.plan.DeadLetter == "" {
		w.Outcome, w.Halt = "", HaltBlock
	}
}
