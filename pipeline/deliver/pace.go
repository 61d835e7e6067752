package deliver

import (
	"context"
	"slices"
	"sync"

	"github.com/millrace/millrace/pipeline/clock"
	"golang.org/x/time/rate"
)

// pace is the rate limit of a pipeline. Lanes take turns at it: only one at a
// time has a reservation, so that one that gives up leaves no hole. Those whose
// partition is being given up go first: a stop, or a rebalance, waits for them.
type pace struct {
	limiter *rate.Limiter
	timing  clock.Timing

	mu      sync.Mutex
	taken   bool
	waiters []*paceWaiter // in turn
}

// paceWaiter is an errand that waits for its turn.
type paceWaiter struct {
	turn  chan struct{} // closed when it has come
	hurry func() bool
}

// paceShare is which part of a second's records an errand takes in one turn: the
// errands stay close to each other, and a stop has little to catch up with.
const paceShare = 32

// newPace is nil where perSecond is 0: then there is no limit.
func newPace(perSecond float64, t clock.Timing) *pace {
	if perSecond <= 0 {
		return nil
	}
	return &pace{limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond))), timing: t}
}

// burst is the longest run that goes through at once.
func (p *pace) burst() int {
	if p == nil {
		return maxRun
	}
	return min(maxRun, max(1, p.limiter.Burst()/paceShare))
}

// wait returns once n records may go; false means that ctx ended. hurry tells
// whether the errand goes before others; it must not block.
func (p *pace) wait(ctx context.Context, n int, hurry func() bool) bool {
	if p == nil {
		return true
	}
	if !p.enter(ctx, hurry) {
		return false
	}
	defer p.leave()
	turn := p.limiter.ReserveN(p.timing.Now(), n)
	if !p.timing.Sleep(ctx, turn.DelayFrom(p.timing.Now())) {
		turn.CancelAt(p.timing.Now())
		return false
	}
	return true
}

// enter waits for the errand's turn; false means that ctx ended first.
func (p *pace) enter(ctx context.Context, hurry func() bool) bool {
	p.mu.Lock()
	if !p.taken {
		p.taken = true
		p.mu.Unlock()
		return true
	}
	w := &paceWaiter{turn: make(chan struct{}), hurry: hurry}
	p.waiters = append(p.waiters, w)
	p.mu.Unlock()
	p.timing.Wait(ctx, w.turn, -1)
	if ctx.Err() == nil {
		return true
	}
	p.mu.Lock()
	at := slices.Index(p.waiters, w)
	if at >= 0 {
		p.waiters = slices.Delete(p.waiters, at, at+1)
	}
	p.mu.Unlock()
	if at < 0 {
		p.leave() // its turn had come
	}
	return false
}

// leave gives the turn to the next.
func (p *pace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiters) == 0 {
		p.taken = false
		return
	}
	at := max(0, slices.IndexFunc(p.waiters, func(w *paceWaiter) bool { return w.hurry() }))
	close(p.waiters[at].turn)
	p.waiters = slices.Delete(p.waiters, at, at+1)
}
