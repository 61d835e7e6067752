package scenario

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

// maxWaits is how often a delivery may wait before it counts as waiting without
// end: a lease of an hour is polled for 3,600 times.
const maxWaits = 20_000

// clock is a pipeline.Clock that passes only where every task waits. Tasks take
// turns, always in the same order, so that a test ends the same way each time.
type clock struct {
	mu  sync.Mutex // guards now, which the keeper of claims asks for too
	now time.Time

	timers  []*timer
	tasks   []*task
	current *task
	waits   int
	// over tells that the process is dead: waits end with their contexts.
	over bool
	// stuck is called once nothing will ever happen again by itself.
	stuck func()
}

type timer struct {
	at time.Time
	f  func()
}

// task is one of those that run together, as a coroutine.
type task struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
	ended bool

	ctx   context.Context // of its wait, nil before the first
	done  <-chan struct{}
	until time.Time // zero where the wait has no end
}

// begin is the clock at the beginning of each test.
func begin() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// Now is the test's time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wait gives the turn to another task, or lets time pass.
func (c *clock) Wait(ctx context.Context, done <-chan struct{}, d time.Duration) {
	if c.over {
		wait(ctx, done)
		return
	}
	t := c.current
	t.ctx, t.done, t.until = ctx, done, time.Time{}
	if d >= 0 {
		t.until = c.Now().Add(d)
	}
	t.yield(struct{}{})
}

func wait(ctx context.Context, done <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-done:
	}
}

// AfterFunc calls f once d has passed and every task waits.
func (c *clock) AfterFunc(d time.Duration, f func()) (stop func()) {
	t := &timer{c.Now().Add(d), f}
	c.timers = append(c.timers, t)
	return func() { c.timers = slices.DeleteFunc(c.timers, func(other *timer) bool { return other == t }) }
}

// Together runs tasks in turns.
func (c *clock) Together(tasks []func()) {
	c.tasks, c.waits = nil, 0
	for _, f := range tasks {
		t := &task{}
		t.next, _ = iter.Pull(func(yield func(struct{}) bool) {
			t.yield = yield
			f()
		})
		c.tasks = append(c.tasks, t)
	}
	for {
		t := c.ready()
		switch {
		case t != nil:
			c.current = t
			_, more := t.next()
			t.ended = !more
		case !slices.ContainsFunc(c.tasks, func(t *task) bool { return !t.ended }):
			return
		default:
			c.pass()
		}
	}
}

// ready is the first task that need not wait any longer.
func (c *clock) ready() *task {
	now := c.Now()
	for _, t := range c.tasks {
		switch {
		case t.ended:
		case t.ctx == nil, t.ctx.Err() != nil, !t.until.IsZero() && !t.until.After(now):
			return t
		case c.over:
			wait(t.ctx, t.done) // it ends with the process, in a moment
			return t
		default:
			select {
			case <-t.done:
				return t
			default:
			}
		}
	}
	return nil
}

// pass moves to the next time at which something happens.
func (c *clock) pass() {
	var next time.Time
	earlier := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, t := range c.tasks {
		if !t.ended {
			earlier(t.until)
		}
	}
	if next.IsZero() || len(c.timers) > 0 {
		for _, t := range c.timers {
			earlier(t.at)
		}
	}
	if c.waits++; next.IsZero() || c.waits > maxWaits {
		c.stuck()
		return
	}
	c.set(next)
}

// advance lets time pass while nothing runs.
func (c *clock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	if now.After(c.now) {
		c.now = now
	}
	c.mu.Unlock()
	for {
		i := slices.IndexFunc(c.timers, func(t *timer) bool { return !t.at.After(now) })
		if i < 0 {
			return
		}
		t := c.timers[i]
		c.timers = slices.Delete(c.timers, i, i+1)
		t.f()
	}
}
