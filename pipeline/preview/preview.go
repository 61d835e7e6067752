// Package preview shows what pipelines would do with records, and what became of
// one, without any effect: it decides with the same code as a run, looks keys up
// read-only, and never calls a sink's Write.
package preview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/plan"
)

// Deps is what a Preview uses of its process.
type Deps struct {
	// Version is Millrace's own, which sinks introduce themselves with.
	Version string
	// Keys looks at idempotency keys; nil takes every key as new. It stays the
	// caller's.
	Keys keys.Reader
	// TopicID names a topic's incarnation, where that is known: it is part of what
	// a receiver sees of a record without a key. It may be nil.
	TopicID func(topic string) (id [16]byte, known bool)
	// Logger must not be nil.
	Logger *slog.Logger
}

// Preview holds pipelines ready to decide. It is used by one goroutine at a time.
type Preview struct {
	plan  *plan.Plan
	deps  Deps
	flows []*flow
	keys  *ledger
}

// flow is one pipeline.
type flow struct {
	plan    *plan.Pipeline
	sinks   []*plan.Sink
	open    []handlers.Sink
	decider *decide.Decider
	summary *Summary
}

// New opens the sinks of pipelines, which are some of plan's, to render with. The
// caller closes the preview.
func New(ctx context.Context, plan *plan.Plan, pipelines []*plan.Pipeline, deps Deps) (*Preview, error) {
	p := &Preview{plan: plan, deps: deps, keys: newLedger(deps.Keys)}
	for _, each := range pipelines {
		f := &flow{plan: each, sinks: each.Sinks(), summary: newSummary(each)}
		p.flows = append(p.flows, f)
		for _, s := range f.sinks {
			sink, err := s.Spec.Open(s.Config, handlers.Env{
				Pipeline: each.Name, Name: s.Name, Version: deps.Version, Producer: refusal{}, Stdout: io.Discard,
				Logger: deps.Logger.With("pipeline", each.Name, "sink", s.Name),
			})
			if err != nil {
				return nil, errors.Join(fmt.Errorf("open pipeline %q: open sink %q: %w", each.Name, s.Name, err),
					p.Close(ctx))
			}
			f.open = append(f.open, sink)
		}
		f.decider = decide.NewDecider(each, f.open)
	}
	return p, nil
}

// Close gives back what the sinks hold.
func (p *Preview) Close(ctx context.Context) error {
	var errs []error
	for _, f := range p.flows {
		for i, sink := range f.open {
			if err := sink.Close(ctx); err != nil {
				errs = append(errs, fmt.Errorf("close sink %q of pipeline %q: %w", f.sinks[i].Name, f.plan.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Summaries tell what became of all records so far, pipeline by pipeline.
func (p *Preview) Summaries() []*Summary {
	all := make([]*Summary, len(p.flows))
	for i, f := range p.flows {
		all[i] = f.summary
	}
	return all
}

// refusal is the producer of a process that writes nothing.
type refusal struct{}

// Produce refuses.
func (refusal) Produce(context.Context, []*handlers.Record) error {
	return handlers.Permanent(errors.New("a preview writes nothing"))
}

// externalID is the effect's identity as the receiver sees it, empty where it
// can't be known.
func (p *Preview) externalID(f *flow, sink string, item *Item, dec *decide.Decision) string {
	rec := item.Record
	if f.plan.Idempotency != nil {
		return f.identity(sink, item.Letter, dec).External()
	}
	if p.deps.TopicID == nil {
		return ""
	}
	id, known := p.deps.TopicID(rec.Topic)
	if !known {
		return ""
	}
	return idempotency.Coordinates(f.plan.Name, sink, 1, id, rec.Partition, rec.Offset).External()
}
