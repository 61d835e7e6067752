package deliver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
)

// resolver writes how dead letters were resolved, and passes each once that is durable.
// What comes while a write is under way goes with the next one.
type resolver struct {
	d        *Delivery
	producer handlers.Producer
	wake     chan struct{}
	end      context.CancelFunc
	gone     sync.WaitGroup

	mu    sync.Mutex
	queue []resolving
}

// resolving is a letter whose resolution is to be written.
type resolving struct {
	w     *work
	index int
	event events.Event
	how   letters.Result
}

// pending are the letters of a lane batch whose resolutions are not durable yet.
type pending struct {
	mu    sync.Mutex
	left  int
	ended bool
	// none is closed once there are none; nil where nobody waits for that.
	none chan struct{}
}

// maxResolved is how many resolutions are written at once.
const maxResolved = 1024

func newResolver(ctx context.Context, d *Delivery, producer handlers.Producer) *resolver {
	r := &resolver{d: d, producer: producer, wake: make(chan struct{}, 1)}
	ctx, r.end = context.WithCancel(context.WithoutCancel(ctx))
	r.gone.Go(func() { r.run(ctx) })
	return r
}

func (r *resolver) close() {
	r.end()
	r.gone.Wait()
}

// pass tells how record i ended, and lets the offset move over it: where that resolves a
// dead letter, once it is durable.
func (w *work) pass(i int, e events.Event) {
	r := w.d.resolver
	if r == nil {
		w.d.observer.Observe(e)
		w.batch.Passed(i)
		return
	}
	how := r.resultOf(&e)
	if how == "" {
		w.d.observer.Observe(e)
		w.batch.Passed(i)
		return
	}
	w.pending.mu.Lock()
	w.pending.left++
	w.pending.mu.Unlock()
	r.mu.Lock()
	r.queue = append(r.queue, resolving{w, i, e, how})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// resultOf is how a letter was resolved whose record ended so, empty where it stays.
func (r *resolver) resultOf(e *events.Event) letters.Result {
	switch {
	case r.d.again.Redrive.Discard:
		e.Outcome, e.Reason = outcome.Dropped, outcome.ReasonDiscarded
		return letters.Discarded
	case e.Outcome == outcome.DeadLettered:
		return letters.Replaced
	case e.Reason == outcome.ReasonSourceGone:
		return ""
	}
	return letters.Result(e.Outcome)
}

func (r *resolver) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		for {
			r.mu.Lock()
			n := min(len(r.queue), maxResolved)
			batch := r.queue[:n:n]
			r.queue = r.queue[n:]
			r.mu.Unlock()
			if n == 0 {
				break
			}
			if !r.write(ctx, batch) {
				return
			}
			for _, each := range batch {
				each.passed()
			}
		}
	}
}

// write tries until all of a batch are durable; false means that ctx ended before.
func (r *resolver) write(ctx context.Context, batch []resolving) bool {
	redrive, now := r.d.again.Redrive, r.d.timing.Now()
	records := make([]*handlers.Record, len(batch))
	for i, each := range batch {
		at := each.w.batch.Records[each.index]
		records[i] = ResolutionRecord(redrive, letters.Resolution{How: each.how, Time: now, Letter: letters.Place{
			TopicID: each.w.batch.TopicID, Partition: at.Partition, Offset: at.Offset}})
	}
	for n := 1; ; n++ {
		err := r.producer.Produce(ctx, records)
		if err == nil {
			r.d.pauses.clear(pauseResolved)
			return true
		}
		var left []*handlers.Record
		for i, record := range records {
			if handlers.FailureOf(err, i) != nil {
				left = append(left, record)
			}
		}
		records = left
		r.d.pauses.set(pauseResolved, fmt.Errorf("write how dead letters were resolved: %w", err))
		if !r.d.timing.Sleep(ctx, r.d.timing.Jitter(clock.Exponential(200*time.Millisecond, maxPause, n))) {
			return false
		}
	}
}

// pauseResolved is what a redrive waits for while resolutions can't be written.
const pauseResolved = "dead letters resolved"

// ResolutionRecord is the record to write of a letter that a redrive has resolved.
func ResolutionRecord(r *Redrive, resolution letters.Resolution) *handlers.Record {
	resolution.By, resolution.Job = r.By, r.Job
	record := letters.EncodeResolution(resolution)
	record.Topic, record.Partition, record.Offset = r.Resolved, -1, -1
	return record
}

// passed lets the offset move over a letter whose resolution is durable.
func (each resolving) passed() {
	p := &each.w.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return // its batch is over; whoever comes to it again finds it resolved
	}
	each.w.d.observer.Observe(each.event)
	each.w.batch.Passed(each.index)
	if p.left--; p.left == 0 && p.none != nil {
		close(p.none)
		p.none = nil
	}
}

// awaitResolved waits until the resolutions of the batch are durable, or effects end.
func (w *work) awaitResolved(effects context.Context) {
	if w.d.resolver == nil {
		return
	}
	p := &w.pending
	p.mu.Lock()
	var none chan struct{}
	if p.left > 0 {
		none = make(chan struct{})
		p.none = none
	}
	p.mu.Unlock()
	if none != nil {
		w.d.timing.Wait(effects, none, -1)
	}
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
}
