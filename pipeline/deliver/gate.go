package deliver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/plan"
)

// gate is the way to one sink, shared by all errands of a pipeline. It stands open
// while the sink takes calls. It shuts when the sink's system can't: then one
// probe at a time goes through, the errands taking turns, until one is taken. After
// that it is narrow: one run passes at a time, then twice as many, and so on, so
// that a receiver that came back, or takes only so many, is not run over.
type gate struct {
	plan   *plan.Sink
	sink   handlers.Sink
	scoped handlers.Scoped // nil where the sink's system has no parts
	keeps  bool            // the sink is a Keeper
	limit  int
	pauses *pauses
	skips  *Skips
	timing clock.Timing
	// taken counts runs that the sink took, parts absent scopes, turns the choices
	// of candidates.
	taken, parts, turns atomic.Int64

	mu      sync.Mutex
	waiters []*waiter // in turn
	errands int       // that have something to write
	inside  int       // runs under way
	alone   bool      // one of them lets no other in
	shut    bool
	until   time.Time // when the next probe may go
	timer   func()    // stops it; nil where none was set
	again   time.Time // until when what was handed back is waited for
	idle    func()    // stops the timer of that; nil where none was set
	passed  int       // runs let through
	// window is how many runs may be under way, 0 for any number; credit is how
	// many were taken since it last grew.
	window, credit int
	// era counts shuttings and reopenings: how a run of an earlier one ends says
	// nothing of the system as it is now.
	era int

	evidence
	absent map[string]*absence
}

// pass lets one run through the gate. It must be followed by result or leave.
type pass struct {
	// probe tells that the run tries whether a shut sink is back, trial that it
	// tries whether one record alone is at fault. Both are one call, alone. few
	// tells that the gate is narrow.
	probe, trial, few bool
	era               int
}

// waiter is an errand that wants to pass.
type waiter struct {
	pass
	wants   bool          // to be a trial
	fresh   bool          // its errand has records that were never tried
	turn    chan struct{} // closed once its wait is over; nil where it has none
	granted bool
}

// maxPause is the longest time between two probes of a sink that is away, however
// long it stays so, but for what a receiver asks for itself.
const maxPause = 5 * time.Second

// The window of a gate after it reopened: at narrowest it is open where nobody
// waits, at widest in any case.
const (
	wideEnough = 8
	widest     = 1024
)

func newGate(plan *plan.Sink, sink handlers.Sink, p *pauses, t clock.Timing) *gate {
	g := &gate{plan: plan, sink: sink, limit: maxRun, pauses: p, timing: t}
	if l, ok := sink.(handlers.Limiter); ok {
		g.limit = min(maxRun, max(1, l.MaxBatch()))
	}
	g.scoped, _ = sink.(handlers.Scoped)
	_, g.keeps = sink.(handlers.Keeper)
	return g
}

// close stops the gate's timers.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, stop := range []func(){g.timer, g.idle} {
		if stop != nil {
			stop()
		}
	}
}

// enter waits until a run may be made. trial asks to pass alone, while others are
// taken. ok is false where ctx ended first, or for a trial where others are no
// longer taken, what it would show is nothing, and where a record is skipped that was not
// seen.
func (g *gate) enter(ctx context.Context, trial, fresh bool, seen int64) (p pass, ok bool) {
	if ctx.Err() != nil {
		return p, false
	}
	w := &waiter{wants: trial, fresh: fresh}
	g.mu.Lock()
	if len(g.waiters) == 0 && g.admit(w) {
		defer g.mu.Unlock()
		return w.pass, w.granted
	}
	w.turn = make(chan struct{})
	g.waiters = append(g.waiters, w)
	g.advance()
	g.mu.Unlock()
	ctx, stop := g.skips.wake(ctx, seen)
	defer stop()
	g.timing.Wait(ctx, w.turn, -1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.granted && ctx.Err() == nil {
		return w.pass, true
	}
	if w.granted {
		g.exit(w.pass)
	} else {
		g.withdraw(w)
	}
	g.advance()
	return p, false
}

// admit tells whether the wait of w is over: granted, where it may pass now. The
// caller holds mu.
func (g *gate) admit(w *waiter) bool {
	switch {
	case w.wants && !g.healthy():
		return true
	case g.alone:
		return false
	case g.shut:
		if g.until.After(g.timing.Now()) {
			return false
		}
		w.probe = true
	case w.wants:
		if g.inside > 0 {
			return false
		}
		w.trial = true
	case g.window > 0 && g.inside >= g.window:
		return false
	}
	g.inside++
	g.passed++
	g.alone = w.probe || w.trial
	w.few, w.era, w.granted = g.window > 0, g.era, true
	return true
}

// advance lets those through whose turn has come. The caller holds mu.
func (g *gate) advance() {
	for len(g.waiters) > 0 {
		at := g.first()
		w := g.waiters[at]
		if !g.admit(w) {
			break
		}
		close(w.turn)
		g.waiters = append(g.waiters[:at], g.waiters[at+1:]...)
	}
	if !g.shut || g.alone || len(g.waiters) == 0 {
		return
	}
	if g.timer != nil {
		g.timer()
	}
	g.timer = g.timing.AfterFunc(g.until.Sub(g.timing.Now()), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.advance()
	})
}

// first is the waiter whose turn it is: while the gate is shut or narrow one whose
// errand has records that were never tried, since those that failed may be bad: by turns
// the first and the last that came, since those that came together may be bad together.
// But each fourth time it is the one that waits longest. The caller holds mu.
func (g *gate) first() int {
	if !g.shut && g.window == 0 || g.passed%4 == 3 {
		return 0
	}
	fresh := -1
	for i, w := range g.waiters {
		if w.fresh {
			if fresh = i; g.passed%2 == 0 {
				break
			}
		}
	}
	return max(0, fresh)
}

// withdraw takes a waiter out of the row. The caller holds mu.
func (g *gate) withdraw(w *waiter) {
	for i, each := range g.waiters {
		if each == w {
			g.waiters = append(g.waiters[:i], g.waiters[i+1:]...)
			return
		}
	}
}

// exit notes that a run is over. The caller holds mu.
func (g *gate) exit(p pass) {
	g.inside--
	if p.probe || p.trial {
		g.alone = false
	}
}

// leave gives a pass back without having made a call.
func (g *gate) leave(p pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exit(p)
	g.advance()
}

// join notes that an errand has something to write.
func (g *gate) join() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errands++
}

// part is join's end. With the last errand the pauses end: nobody waits. But what an errand
// hands back, since it waits for a part of the system, comes again soon.
func (g *gate) part(handsBack bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.errands--; handsBack {
		g.again = g.timing.Now().Add(maxPause)
	}
	if g.errands > 0 {
		return
	}
	if wait := g.again.Sub(g.timing.Now()); wait > 0 && len(g.absent) > 0 {
		if g.idle != nil {
			g.idle()
		}
		g.idle = g.timing.AfterFunc(wait, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.errands == 0 {
				g.forget()
			}
		})
		return
	}
	g.forget()
}

// forget ends all pauses. The caller holds mu.
func (g *gate) forget() {
	g.pauses.forget(pauseSink + g.plan.Name)
	for scope := range g.absent {
		g.pauses.forget(g.pauseScope(scope))
		g.found(scope)
	}
}

// result says how a run went.
func (g *gate) result(p pass, f finding) {
	if f.taken {
		g.taken.Add(1)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exit(p)
	if p.era == g.era {
		g.weigh(p, f)
	}
	g.advance()
}

// weigh makes of a run's end what follows for the gate. The caller holds mu.
func (g *gate) weigh(p pass, f finding) {
	switch {
	case f.down || g.note(p, f):
		g.trip(f)
	case f.taken && g.shut:
		g.open()
	case f.taken:
		g.widen()
	case f.missed && !p.trial:
		g.narrow()
	}
}

// trip shuts the gate, or keeps it shut for longer. A pause is told only once two
// probes have failed as well: a receiver that takes so many calls a second, and
// says so, is at work.
func (g *gate) trip(f finding) {
	g.clear(f)
	g.failures++
	longest := min(g.plan.Retry.Max, maxPause)
	pause := g.timing.Jitter(clock.Exponential(g.plan.Retry.Initial, longest, g.failures))
	g.until = g.timing.Now().Add(max(pause, min(f.asked, time.Hour)))
	if !g.shut {
		g.shut = true
		g.era++
	}
	if g.failures > 2 || f.asked > longest {
		g.pauses.set(pauseSink+g.plan.Name, f.cause)
	}
}

// open ends the pause: a probe was taken.
func (g *gate) open() {
	g.shut, g.failures = false, 0
	g.window, g.credit = 1, 0
	g.era++
	g.pauses.clear(pauseSink + g.plan.Name)
}

// widen lets twice as many runs through once as many as now were taken.
func (g *gate) widen() {
	if g.window == 0 {
		return
	}
	if g.credit++; g.credit < g.window {
		return
	}
	g.window, g.credit = 2*g.window, 0
	if g.window >= widest || g.window >= wideEnough && len(g.waiters) == 0 {
		g.window = 0
	}
}

// narrow halves what may be under way: the system may be losing strength.
func (g *gate) narrow() {
	if g.window == 0 {
		g.window = g.inside + 1
	}
	g.window, g.credit = max(1, g.window/2), 0
}
