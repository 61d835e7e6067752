package handlers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Batch says which calls a Coalescer puts together.
type Batch struct {
	// Count and Bytes are the most that one write holds, but for one call that is
	// larger alone; 0 is no bound. Reaching one ends the wait.
	Count int
	Bytes int64
	// Size counts the bytes of a call; nil counts none.
	Size func(*Call) int
	// Wait is how long calls wait for others. With 0 they go at once, together with
	// what came while the writes before ran.
	Wait time.Duration
	// Writes is how many writes run at a time; 0 is 1.
	Writes int
}

// Coalescer puts calls together that lanes write at the same time, for systems to
// which a large batch costs little more than one call. Its Write and its Close are
// those of a sink.
type Coalescer struct {
	write func(context.Context, []Call) error
	batch Batch

	mu sync.Mutex
	// queue are the Writes that wait for some of their calls, oldest first.
	queue   []*errand
	running int
	timer   *time.Timer
	closing bool
	idle    chan struct{} // closed once nothing runs or waits, after closing
	isIdle  bool
}

// errand is one Write on its way. Its calls up to from have ended, those up to next
// are being written, and the others wait.
type errand struct {
	ctx        context.Context
	since      time.Time
	calls      []Call
	sizes      []int64
	from, next int
	failed     map[int]*Failure
	broken     map[string]bool // the Orders of which a call failed
	over       bool
	done       chan struct{} // closed when it is over and nobody gave it up
}

// member is one call of a write.
type member struct {
	of    *errand
	index int
}

// Coalesce makes a Coalescer of a function that writes a batch, as Write of a sink
// does. It is handed calls of one or of several Writes: those of one are in order, and
// calls of two have different Orders, since nothing keeps these in order. Its context
// ends when nobody waits for any of its calls any more.
func Coalesce(write func(ctx context.Context, batch []Call) error, b Batch) *Coalescer {
	b.Writes = max(1, b.Writes)
	return &Coalescer{write: write, batch: b, idle: make(chan struct{})}
}

// Write returns once every call of batch is durable or has failed, or ctx ends. Where
// it has to be written in several parts, a call of an Order of which one before it
// failed is not attempted. What waits when ctx ends was not sent.
func (c *Coalescer) Write(ctx context.Context, batch []Call) error {
	e := &errand{
		ctx: ctx, since: time.Now(), calls: slices.Clone(batch), sizes: make([]int64, len(batch)),
		failed: map[int]*Failure{}, broken: map[string]bool{}, done: make(chan struct{}),
	}
	if c.batch.Size != nil {
		for i := range batch {
			e.sizes[i] = int64(c.batch.Size(&batch[i]))
		}
	}
	if len(batch) == 0 {
		return nil
	}
	if ctx.Err() == nil {
		c.mu.Lock()
		c.queue = append(c.queue, e)
		c.start()
		c.mu.Unlock()
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		c.giveUp(e)
	}
	for i := range batch {
		batch[i].Answer, batch[i].Repeated = e.calls[i].Answer, e.calls[i].Repeated
	}
	if len(e.failed) == 0 {
		return nil
	}
	return &BatchError{Failed: e.failed}
}

// giveUp ends an errand that is not over.
func (c *Coalescer) giveUp(e *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.over {
		return
	}
	e.over = true
	c.queue = slices.DeleteFunc(c.queue, func(other *errand) bool { return other == e })
	cause := context.Cause(e.ctx)
	for i := e.from; i < len(e.calls); i++ {
		switch {
		case e.failed[i] != nil:
		case i < e.next:
			e.failed[i] = &Failure{Err: fmt.Errorf("the system has not answered yet: %w", cause)}
		default:
			e.failed[i] = &Failure{NotSent: true, Err: fmt.Errorf("the call was given up before it was sent: %w",
				cause)}
		}
	}
	c.start()
}

// Close writes at once what waits, and returns once nothing is being written any more
// or ctx ends.
func (c *Coalescer) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closing = true
	c.start()
	c.mu.Unlock()
	select {
	case <-c.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the system does not answer: %w", context.Cause(ctx))
	}
}

// start begins the writes that can begin, and has itself called again when calls have
// waited for long enough. The caller holds mu.
func (c *Coalescer) start() {
	if c.timer != nil {
		c.timer.Stop()
	}
	for c.running < c.batch.Writes {
		wait, ok := c.due()
		if !ok {
			break
		}
		if wait > 0 {
			c.timer = time.AfterFunc(wait, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.start()
			})
			break
		}
		if calls, members := c.take(); len(calls) > 0 {
			c.running++
			go c.run(calls, members)
		}
	}
	if c.closing && !c.isIdle && c.running == 0 && len(c.queue) == 0 {
		c.isIdle = true
		close(c.idle)
	}
}

// due is how long the calls that wait have to, and whether there are any. The caller
// holds mu.
func (c *Coalescer) due() (wait time.Duration, ok bool) {
	count, bytes := 0, int64(0)
	var oldest time.Time
	for _, e := range c.queue {
		if !e.mayGo() {
			continue
		}
		if oldest.IsZero() {
			oldest = e.since
		}
		count += len(e.calls) - e.next
		for _, size := range e.sizes[e.next:] {
			bytes += size
		}
	}
	full := c.batch.Count > 0 && count >= c.batch.Count || c.batch.Bytes > 0 && bytes >= c.batch.Bytes
	if full || c.closing || count == 0 {
		return 0, count > 0
	}
	return max(0, c.batch.Wait-time.Since(oldest)), true
}

// mayGo tells whether the calls that wait may be written. Those behind some that are
// being written may not, since they may be in order behind these, nor those that are
// just being given up.
func (e *errand) mayGo() bool { return e.from == e.next && e.ctx.Err() == nil }

// take takes the calls of the next write from the queue. The caller holds mu.
func (c *Coalescer) take() (calls []Call, members []member) {
	bytes, full := int64(0), false
	for n, e := range slices.Clone(c.queue) {
		if !e.mayGo() {
			continue
		}
		before := len(members)
		for ; e.next < len(e.calls); e.next++ {
			call, size := e.calls[e.next], e.sizes[e.next]
			if e.broken[string(call.Order)] {
				e.failed[e.next] = &Failure{Class: NotAttempted,
					Err: errors.New("an earlier call of the same key failed")}
				continue
			}
			if full = c.isFull(len(calls), bytes+size); full {
				break
			}
			call.Order = append(binary.AppendUvarint(nil, uint64(n)), call.Order...)
			calls, members, bytes = append(calls, call), append(members, member{e, e.next}), bytes+size
		}
		if len(members) == before {
			c.settle(e) // nothing of it goes
		}
		if full {
			break
		}
	}
	return calls, members
}

// isFull tells whether no call fits any more behind a number of others.
func (c *Coalescer) isFull(count int, bytes int64) bool {
	return count > 0 && (c.batch.Count > 0 && count >= c.batch.Count || c.batch.Bytes > 0 && bytes > c.batch.Bytes)
}

// settle notes that what was written of an errand has ended. The caller holds mu.
func (c *Coalescer) settle(e *errand) {
	if e.from = e.next; e.over || e.next < len(e.calls) {
		return
	}
	e.over = true
	c.queue = slices.DeleteFunc(c.queue, func(other *errand) bool { return other == e })
	close(e.done)
}

// run makes one write, and hands out what became of its calls.
func (c *Coalescer) run(calls []Call, members []member) {
	ctx, release := awaited(members)
	err := c.safely(ctx, calls)
	release()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	for i, m := range members {
		if m.of.over {
			continue // given up
		}
		m.of.calls[m.index].Answer, m.of.calls[m.index].Repeated = calls[i].Answer, calls[i].Repeated
		if f := FailureOf(err, i); f != nil {
			m.of.failed[m.index] = f
			m.of.broken[string(m.of.calls[m.index].Order)] = true
		}
	}
	for i, m := range members {
		if i+1 == len(members) || members[i+1].of != m.of {
			c.settle(m.of)
		}
	}
	c.start()
}

// safely makes a panic the error of all calls: it must not end the process, nor the
// waiting of those who called Write.
func (c *Coalescer) safely(ctx context.Context, calls []Call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the sink panicked: %v", p)
		}
	}()
	return c.write(ctx, calls)
}

// awaited is a context that ends once those of all errands have.
func awaited(members []member) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(members[0].of.ctx))
	var waiting atomic.Int64
	var stops []func() bool
	waiting.Store(1)
	for i, m := range members {
		if i > 0 && members[i-1].of == m.of {
			continue
		}
		waiting.Add(1)
		stops = append(stops, context.AfterFunc(m.of.ctx, func() {
			if waiting.Add(-1) == 0 {
				cancel(context.Cause(m.of.ctx))
			}
		}))
	}
	if waiting.Add(-1) == 0 {
		cancel(context.Cause(members[0].of.ctx))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(nil)
	}
}
