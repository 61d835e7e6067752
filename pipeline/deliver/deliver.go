package deliver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Delivery carries out what decide asks for, one lane batch at a time: claim →
// write with retry → confirm → or dead letter, and then the record is finished.
// Batches of different lanes are delivered concurrently.
type Delivery struct {
	plan     *plan.Pipeline
	gates    []*gate
	guard    *guard
	letters  *deadLetters
	pace     *pace
	observer Observer
	log      *slog.Logger
	stop     func(error)
	deciders sync.Pool
	Pauses   *pauses
	timing   clock.Timing
	work     *memory.Account
	workMost int64
	cut      atomic.Int64
	// calling are the calls that are being made, and those that were taken and are
	// not confirmed.
	calling atomic.Int64
}

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
	Observer     Observer
	Logger       *slog.Logger
	// Stop is called when a record must stop the pipeline; it must not block.
	Stop func(error)
	// Clock is the time to go by, nil for the machine's.
	Clock clock.Clock
	// Work is where the memory is taken from that decoding needs, nil for no limit.
	Work *memory.Account
	// WorkMost is how much of it an ordinary record may need, 0 for the default of
	// `limits`.
	WorkMost int64
}

// New makes the delivery of one pipeline. It outlives ctx: Close ends it.
func New(ctx context.Context, plan *plan.Pipeline, deps Deps) *Delivery {
	d := &Delivery{
		plan: plan, observer: deps.Observer, log: deps.Logger, stop: deps.Stop,
		Pauses: newPauses(plan.Name, deps.Observer, deps.Logger), timing: clock.NewTiming(deps.Clock), work: deps.Work,
		workMost: cmp.Or(deps.WorkMost, expression.DefaultLimits().Bytes),
	}
	d.letters = &deadLetters{
		plan: plan, pipeline: plan.Name, topic: plan.DeadLetter, digest: deps.ConfigDigest,
		producer: deps.Producer, observer: deps.Observer, pauses: d.Pauses, timing: d.timing, log: deps.Logger,
	}
	for i, s := range plan.Sinks() {
		d.gates = append(d.gates, newGate(s, deps.Sinks[i], d.Pauses, d.timing))
	}
	if plan.Idempotency != nil {
		d.guard = newGuard(ctx, plan.Idempotency, deps, d.Pauses, d.timing)
	}
	d.pace = newPace(plan.RateLimit, d.timing)
	d.deciders.New = func() any { return decide.NewDecider(plan, deps.Sinks) }
	return d
}

// Close stops extending leases. It must be called after the last Handle.
func (d *Delivery) Close() {
	if d.guard != nil {
		d.guard.close()
	}
	for _, g := range d.gates {
		g.close()
	}
	d.letters.close()
}

// Reasons says what is paused now, and why; empty when nothing is.
func (d *Delivery) Reasons() []string { return d.Pauses.reasons() }

// Handle delivers the lane batch of m. It is a Watermill handler. When m's
// context ends it finishes what it has begun within the drain time and begins
// nothing new; records that it did not finish stay unfinished. Where a record
// must stop the pipeline it says so and waits for that.
func (d *Delivery) Handle(m *message.Message) error {
	batch := kafka.BatchOf(m)
	if batch == nil {
		return errors.New("the message carries no lane batch")
	}
	ctx := m.Context()
	effects, release := detach(ctx, d.plan.Source.Drain)
	defer release()

	done, err := d.work.Take(ctx, d.decodeCost(batch.Records))
	if err != nil {
		return nil // the partition is given up
	}
	w := newWork(d, batch)
	errands, refused, stopErr := d.decide(w)
	done()
	var tasks []func()
	for _, e := range errands {
		tasks = append(tasks, func() { e.deliver(ctx, effects) })
	}
	if len(refused) > 0 {
		tasks = append(tasks, func() { d.refuse(ctx, effects, w, refused) })
	}
	d.timing.Together(tasks)
	if stopErr != nil && ctx.Err() == nil {
		d.stop(stopErr)
		<-ctx.Done() // the batch ends when its source does: it is not to come again
	}
	return nil
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

// decodeFactor is how many times as large as its bytes a record may be once it is
// decoded.
const decodeFactor = 64

// decodeCost is how much memory the decoding of records takes, one after the other.
func (d *Delivery) decodeCost(records []*handlers.Record) int64 {
	largest := 0
	for _, r := range records {
		largest = max(largest, len(r.Value))
	}
	return min(int64(largest)*decodeFactor, expression.Limits{Bytes: d.workMost}.For(largest).Bytes)
}

// decide decides every record of the batch: what has no effect is finished at
// once, writes are queued by sink, refused records are returned for the dead
// letters. A decision to stop ends the batch before that record.
func (d *Delivery) decide(w *work) (errands []*errand, refused []letter, stopErr error) {
	decider := d.deciders.Get().(*decide.Decider)
	defer d.deciders.Put(decider)
	bySink := make([]*errand, len(d.gates))
	// Without dead letters, what is behind a refused record of its order waits with it.
	var held map[string]bool
	for i, rec := range w.batch.Records {
		if len(held) > 0 && held[string(orderOf(d.plan.Source.Order, rec))] {
			continue
		}
		refusals := len(refused)
		var dec decide.Decision
		if err := w.batch.Unreadable[i]; err != nil {
			dec = decider.Unreadable(err)
		} else {
			dec = decider.Decide(rec)
		}
		switch {
		case dec.Stop:
			w.batch.Stuck(i)
			return errands, refused, &StopError{Rec: rec, stage: dec.Stage, err: dec.Err}
		case dec.Outcome == outcome.DeadLettered:
			w.left[i] = 1
			refused = append(refused, letter{index: i, rec: rec, stage: dec.Stage, reason: dec.Reason, first: dec.Err,
				last: dec.Err, key: dec.Key})
		case dec.Outcome != "":
			w.finish(i, dec.Outcome, dec.Reason, dec.Err)
		}
		w.left[i] = max(w.left[i], len(dec.Writes))
		for _, write := range dec.Writes {
			if write.Err != nil {
				refused = append(refused, letter{
					index: i, rec: rec, sink: d.gates[write.Sink].plan.Name, stage: write.Stage, reason: write.Reason(),
					first: write.Err, last: write.Err, key: dec.Key,
				})
				continue
			}
			e := bySink[write.Sink]
			if e == nil {
				e = &errand{d: d, gate: d.gates[write.Sink], w: w}
				bySink[write.Sink] = e
				errands = append(errands, e)
			}
			e.add(i, rec, write, dec)
		}
		if d.letters.topic == "" && len(refused) > refusals {
			if held == nil {
				held = map[string]bool{}
			}
			held[string(orderOf(d.plan.Source.Order, rec))] = true
		}
	}
	return errands, refused, nil
}

// refuse dead-letters the records that could not be decided.
func (d *Delivery) refuse(ctx, effects context.Context, w *work, refused []letter) {
	if d.letters.topic == "" {
		w.batch.Stuck(refused[0].index)
		w.batch.Waits()
	}
	now := d.timing.Now()
	for i := range refused {
		refused[i].topicID, refused[i].firstAt, refused[i].lastAt = w.batch.TopicID, now, now
	}
	if !d.letters.write(ctx, effects, refused) {
		return
	}
	for _, l := range refused {
		w.end(l.index, outcome.DeadLettered, l.reason, l.last)
	}
}

// detach makes a context for effects, so that a stop lets a call finish instead
// of cutting it off: it outlives ctx for as long as the partition is waited for.
func detach(ctx context.Context, drain time.Duration) (context.Context, func()) {
	effects, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		clock.Sleep(effects, kafka.EffectsLeft(ctx, drain))
		cancel()
	})
	return effects, func() { stop(); cancel() }
}

// work is one lane batch on its way: what is still to do of each record.
type work struct {
	d     *Delivery
	batch *kafka.Batch

	mu       sync.Mutex
	left     []int // writes that have not ended, by record
	outcomes []outcome.Outcome
	reasons  []string
	errs     []error
	// begun tells of a record that something is done that must not be done again;
	// asides are the writes that wait for a part of their sink's system; back tells
	// that what is left is handed back.
	begun  map[int]bool
	asides map[int]int
	back   bool
}

func newWork(d *Delivery, b *kafka.Batch) *work {
	n := len(b.Records)
	return &work{d: d, batch: b, left: make([]int, n), outcomes: make([]outcome.Outcome, n)}
}

// end says how one write of record i ended. With the last one the record is
// finished, with the first outcome that holds of dead_lettered, delivered,
// duplicate, and the reason of that one.
func (w *work) end(i int, o outcome.Outcome, reason string, err error) {
	begun := !w.d.repeatable(o, reason)
	if begun {
		w.batch.Begun(i)
	}
	w.mu.Lock()
	if begun && w.left[i] > 1 {
		if w.begun == nil {
			w.begun = map[int]bool{}
		}
		w.begun[i] = true
	}
	if o.Over(w.outcomes[i]) {
		w.outcomes[i] = o
		if reason != "" || w.reasons != nil {
			w.note(i, reason, err)
		}
	}
	w.left[i]--
	last := w.left[i] == 0
	free := !last && w.asides[i] == w.left[i]
	o, reason, err = w.outcomes[i], "", nil
	if w.reasons != nil {
		reason, err = w.reasons[i], w.errs[i]
	}
	w.mu.Unlock()
	switch {
	case last:
		w.finish(i, o, reason, err)
	case free:
		w.batch.Aside(i)
	}
}

func (w *work) note(i int, reason string, err error) {
	if w.reasons == nil {
		w.reasons, w.errs = make([]string, len(w.left)), make([]error, len(w.left))
	}
	w.reasons[i], w.errs[i] = reason, err
}

// finish tells the record's outcome and lets the offset move over it.
func (w *work) finish(i int, o outcome.Outcome, reason string, err error) {
	r := w.batch.Records[i]
	w.d.observer.Observe(Event{
		Kind: EventRecord, Pipeline: w.d.plan.Name, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Outcome: o, Reason: reason, Err: err,
	})
	w.batch.Passed(i)
}

// repeatable tells whether a write that ended so may come again: nothing was done
// for it, or what was is known by its key.
func (d *Delivery) repeatable(o outcome.Outcome, reason string) bool {
	return o != outcome.DeadLettered && o != outcome.Delivered ||
		o == outcome.Delivered && d.guard != nil && reason != outcome.ReasonUnguarded
}

// StopError is why a record stopped its pipeline.
type StopError struct {
	Rec   *handlers.Record
	stage outcome.Stage
	err   error
}

func (e *StopError) Error() string {
	return "stopped at " + coordinates(e.Rec) + " (" + string(e.stage) + "): " + e.err.Error()
}

func (e *StopError) Unwrap() error { return e.err }
