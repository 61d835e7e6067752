package deliver

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Deps is what a Delivery uses of its process.
type Deps struct {
	// Sinks are those of the plan's Sinks(), open, in the same order.
	Sinks []handlers.Sink
	// Store guards effects; it may be nil where the pipeline guards none.
	Store idempotency.Store
	// Run makes the tokens of this process, Holder names it.
	Run    *idempotency.Run
	Holder idempotency.Holder
	// Producer writes dead letters.
	Producer handlers.Producer
	// ConfigDigest is what dead letters say of the configuration.
	ConfigDigest string
	Observer     events.Observer
	Logger       *slog.Logger
	// Stop is called when a record must stop the pipeline; it must not block.
	Stop func(error)
	// Clock is the time to go by, nil for the machine's.
	Clock clock.Clock
	// Skips are the records that a person lets the pipeline go past, nil for none.
	Skips *Skips
	// Work is where the memory is taken from that decoding needs, nil for no limit.
	Work *memory.Account
	// WorkMost is how much of it an ordinary record may need, 0 for the default of
	// `limits`.
	WorkMost int64
	// Again is set where records are done once more, beside the pipeline's own delivery.
	Again *Again
}

// New makes the delivery of one pipeline. It outlives ctx: Close ends it.
func New(ctx context.Context, plan *plan.Pipeline, deps Deps) *Delivery {
	d := &Delivery{
		plan: plan, log: deps.Logger, stop: deps.Stop, timing: clock.NewTiming(deps.Clock), work: deps.Work,
		workMost: cmp.Or(deps.WorkMost, expression.DefaultLimits().Bytes), again: deps.Again, holder: deps.Holder,
		skips: deps.Skips,
	}
	d.logbook = newLogbook(plan, deps.Logger, d.timing)
	d.observer = events.Observers{deps.Observer, d.logbook}
	d.pauses = newPauses(plan.Name, d.observer, d.timing)
	d.letters = &deadLetters{
		plan: plan, pipeline: plan.Name, topic: plan.DeadLetter, digest: deps.ConfigDigest,
		producer: deps.Producer, observer: d.observer, pauses: d.pauses, timing: d.timing,
	}
	for i, s := range plan.Sinks() {
		g := newGate(s, deps.Sinks[i], d.pauses, d.timing)
		g.skips = deps.Skips
		d.gates = append(d.gates, g)
	}
	if plan.Idempotency != nil {
		d.guard = newGuard(ctx, plan.Idempotency, deps, d.pauses, d.timing)
	}
	d.pace = newPace(plan.RateLimit, d.timing)
	if again := deps.Again; again != nil && again.Redrive != nil {
		d.resolver = newResolver(ctx, d, deps.Producer)
	}
	d.deciders.New = func() any { return decide.NewDecider(plan, deps.Sinks) }
	return d
}

// Close stops extending leases. It must be called after the last Handle.
func (d *Delivery) Close() {
	if d.resolver != nil {
		d.resolver.close()
	}
	if d.guard != nil {
		d.guard.close()
	}
	for _, g := range d.gates {
		g.close()
	}
	d.logbook.close()
}

// Cut is how many records were left with an unknown fate so far, because a stop
// did not wait for their calls any longer.
func (d *Delivery) Cut() int64 { return d.cut.Load() }

// UnderWay is how many records would be left with an unknown fate if the process
// ended now: those whose calls are being made or confirmed and, where they would be
// parked, those whose calls wait for another attempt.
func (d *Delivery) UnderWay() int {
	n := int(d.calling.Load())
	if d.guard != nil && d.guard.plan.OnUncertain == plan.ActionPark {
		n += d.guard.uncertain()
	}
	return n
}

// StopError is why a record stopped its pipeline.
type StopError struct {
	Rec     *handlers.Record
	topicID [16]byte
	stage   outcome.Stage
	err     error
}

func (e *StopError) Error() string {
	return "stopped at " + e.Rec.Coordinates() + " (" + string(e.stage) + "): " + e.err.Error()
}

func (e *StopError) Unwrap() error { return e.err }
