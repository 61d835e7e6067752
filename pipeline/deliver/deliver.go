package deliver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/events"
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
	observer events.Observer
	logbook  *logbook
	log      *slog.Logger
	stop     func(error)
	deciders sync.Pool
	pauses   *pauses
	skips    *Skips
	timing   clock.Timing
	work     *memory.Account
	workMost int64
	again    *Again
	resolver *resolver // nil where the records are no dead letters
	holder   idempotency.Holder
	cut      atomic.Int64
	// calling are the calls that are being made, and those that were taken and are
	// not confirmed.
	calling atomic.Int64
}

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
	errands, refused, stopErr := d.decide(ctx, w)
	done()
	var tasks []func()
	for _, l := range errands {
		tasks = append(tasks, func() { defer w.called(); l.deliver(ctx, effects) })
	}
	if len(w.skipped) > 0 {
		tasks = append(tasks, func() { d.pass(effects, w) })
	}
	if len(refused) > 0 {
		w.await(len(errands))
		tasks = append(tasks, func() { d.refuse(ctx, effects, w, refused) })
	}
	d.timing.Together(tasks)
	w.awaitResolved(effects)
	if stopErr != nil && ctx.Err() == nil {
		d.stop(stopErr)
		<-ctx.Done() // the batch ends when its source does: it is not to come again
	}
	return nil
}

// decide decides every record of the batch: what has no effect is finished at
// once, writes are queued by sink, refused records are returned for the dead
// letters. A decision to stop ends the batch before that record.
func (d *Delivery) decide(ctx context.Context, w *work) (errands []*errand, refused []letter, stopErr error) {
	decider := d.deciders.Get().(*decide.Decider)
	defer d.deciders.Put(decider)
	bySink := make([]*errand, len(d.gates))
	began := d.timing.Now()
	// Without dead letters, what is behind a refused record of its order waits with it.
	var held map[string]bool
	for i, rec := range w.batch.Records {
		if d.passes(rec) {
			w.batch.Passed(i)
			continue
		}
		if d.skips.has(rec, w.batch.TopicID) {
			w.skipped = append(w.skipped, i)
			continue
		}
		if len(held) > 0 && held[string(orderOf(d.plan.Source.Order, rec))] {
			continue
		}
		refusals := len(refused)
		dec, rec := d.decideOne(ctx, w, i, decider)
		if rec == nil {
			continue
		}
		w.know(i, dec.Key)
		switch {
		case dec.Stop:
			w.batch.Stuck(i)
			return errands, refused, &StopError{Rec: rec, topicID: w.batch.TopicID, stage: dec.Stage, err: dec.Err}
		case dec.Outcome == outcome.DeadLettered:
			w.left[i] = 1
			refused = append(refused, letter{index: i, rec: rec, stage: dec.Stage, reason: dec.Reason, first: dec.Err,
				last: dec.Err, key: dec.Key})
		case dec.Outcome != "":
			w.finish(i, dec.Outcome, dec.Reason, dec.Err, began)
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
			l := bySink[write.Sink]
			if l == nil {
				l = &errand{d: d, gate: d.gates[write.Sink], w: w, skipped: w.seen}
				bySink[write.Sink] = l
				errands = append(errands, l)
			}
			l.add(i, rec, write, dec)
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

// work is one lane batch on its way: what is still to do of each record.
type work struct {
	d     *Delivery
	batch *kafka.Batch
	// seen is how many skips there were before it was decided, skipped what of it they
	// are about.
	seen    int64
	skipped []int
	calls

	mu       sync.Mutex
	left     []int    // writes that have not ended, by record
	keys     []string // those that may be shown; nil where none may
	outcomes []outcome.Outcome
	reasons  []string
	errs     []error
	// begun tells of a record that something is done that must not be done again;
	// asides are the writes that wait for a part of their sink's system; back tells
	// that what is left is handed back.
	begun  map[int]bool
	asides map[int]int
	back   bool
	redriven
}

func newWork(d *Delivery, b *kafka.Batch) *work {
	n := len(b.Records)
	return &work{d: d, batch: b, seen: d.skips.seen(), left: make([]int, n), outcomes: make([]outcome.Outcome, n)}
}

// know notes the key of record i, for its event.
func (w *work) know(i int, key string) {
	if key = shownKey(w.d.plan, key); key == "" {
		return
	}
	if w.keys == nil {
		w.keys = make([]string, len(w.left))
	}
	w.keys[i] = key
}

// end says how one write of record i ended. With the last one the record is
// finished, with the first outcome that holds of dead_lettered, delivered,
// dropped, duplicate, and the reason of that one.
func (w *work) end(i int, o outcome.Outcome, reason string, err error, at time.Time) {
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
		w.finish(i, o, reason, err, at)
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
func (w *work) finish(i int, o outcome.Outcome, reason string, err error, at time.Time) {
	r := w.batch.Records[i]
	e := events.Event{
		Kind: events.Record, Time: at, Pipeline: w.d.plan.Name, Topic: r.Topic, Partition: r.Partition,
		Offset:  r.Offset,
		Outcome: o, Reason: reason, Err: err,
	}
	if w.keys != nil {
		e.Key = w.keys[i]
	}
	w.pass(i, e)
}
