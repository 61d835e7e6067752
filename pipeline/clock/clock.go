package clock

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Clock is the time that a Delivery goes by, and how it does several things at
// once. `millrace test` gives it one of its own, on which back-off and pauses
// pass at once and tasks take turns in the same order each time.
type Clock interface {
	// Now is the time.
	Now() time.Time
	// Wait returns when done is closed, d has passed or ctx has ended. A nil
	// done is never closed; a negative d never passes.
	Wait(ctx context.Context, done <-chan struct{}, d time.Duration)
	// AfterFunc calls f, in a goroutine that holds no lock, once d has passed
	// and unless stop was called before.
	AfterFunc(d time.Duration, f func()) (stop func())
	// Together runs tasks concurrently and returns when all have ended.
	Together(tasks []func())
}

// Timing is a clock, and whether waits on it spread.
type Timing struct {
	Clock
	exact bool
}

// NewTiming goes by c, or by the real time where that is nil.
func NewTiming(c Clock) Timing {
	if c == nil {
		return Timing{Clock: real{}}
	}
	return Timing{Clock: c, exact: true}
}

// Sleep waits for d and tells whether it did, rather than ctx ending first.
func (t Timing) Sleep(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		t.Wait(ctx, nil, d)
	}
	return ctx.Err() == nil
}

// Jitter takes a random quarter off d, so that what failed at once is not tried
// again at once.
func (t Timing) Jitter(d time.Duration) time.Duration {
	if t.exact {
		return d
	}
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

// Exponential doubles initial n-1 times, up to most.
func Exponential(initial, most time.Duration, n int) time.Duration {
	d := initial
	for i := 1; i < n && d < most; i++ {
		d *= 2
	}
	return min(d, most)
}

// real is the machine's time.
type real struct{}

func (real) Now() time.Time { return time.Now() }

func (real) Wait(ctx context.Context, done <-chan struct{}, d time.Duration) {
	var passed <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		passed = t.C
	}
	select {
	case <-passed:
	case <-done:
	case <-ctx.Done():
	}
}

func (real) AfterFunc(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

func (real) Together(tasks []func()) {
	if len(tasks) == 1 {
		tasks[0]()
		return
	}
	var wg sync.WaitGroup
	for _, task := range tasks {
		wg.Go(task)
	}
	wg.Wait()
}

// Sleep waits for d and tells whether it did, rather than ctx ending first.
func Sleep(ctx context.Context, d time.Duration) bool {
	return Timing{Clock: real{}}.Sleep(ctx, d)
}
