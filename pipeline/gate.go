package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
)

// gate is the way to one sink, shared by all lanes of a pipeline. It closes
// when the sink's system can't take calls: then one probe at a time goes
// through, the lanes taking turns, until one is taken.
type gate struct {
	plan   *SinkPlan
	sink   handlers.Sink
	limit  int
	pauses *pauses
	timing timing
	// taken counts runs that the sink took.
	taken atomic.Int64
	shut  atomic.Bool

	mu       sync.Mutex
	waiters  []chan struct{} // in turn; closed when their turn has come
	probing  bool
	until    time.Time
	since    time.Time
	failures int
	timer    func()          // stops it; nil where none was set
	suspects map[string]bool // different records that failed in a row
	warned   string
}

// gateResult is how a run went, as far as the gate is concerned. Their order
// is their weight: one failure of the system outweighs what it took before.
type gateResult int

const (
	gateNothing gateResult = iota // the system was not reached, or said nothing of itself
	gateTaken
	gateDown
)

// suspectRow is how many different records must fail in a row for the fault to
// be the receiver's.
const suspectRow = 5

func newGate(plan *SinkPlan, sink handlers.Sink, p *pauses, t timing) *gate {
	g := &gate{plan: plan, sink: sink, limit: maxRun, pauses: p, timing: t}
	if l, ok := sink.(handlers.Limiter); ok {
		g.limit = min(maxRun, max(1, l.MaxBatch()))
	}
	return g
}

// close stops the gate's timer.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer()
	}
}

// enter waits until calls may be made. probe tells that this is the one that
// tries whether the sink is back; it must be followed by result or leave. ok is
// false where ctx ended first.
func (g *gate) enter(ctx context.Context) (probe, ok bool) {
	if !g.shut.Load() {
		return false, ctx.Err() == nil
	}
	g.mu.Lock()
	if !g.shut.Load() {
		g.mu.Unlock()
		return false, true
	}
	turn := make(chan struct{})
	g.waiters = append(g.waiters, turn)
	g.advance()
	g.mu.Unlock()
	if g.timing.Wait(ctx, turn, -1); ctx.Err() != nil && g.withdraw(turn) {
		return false, false
	}
	if !g.shut.Load() {
		return false, true
	}
	if ctx.Err() != nil {
		g.leave(true)
		return false, false
	}
	return true, true
}

// withdraw takes a waiter out of the row; false means that its turn had come.
func (g *gate) withdraw(turn chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiters {
		if w == turn {
			g.waiters = append(g.waiters[:i], g.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// advance lets the next waiter probe when it is time. The caller holds mu.
func (g *gate) advance() {
	if !g.shut.Load() || g.probing || len(g.waiters) == 0 {
		return
	}
	if wait := g.until.Sub(g.timing.Now()); wait > 0 {
		if g.timer != nil {
			g.timer()
		}
		g.timer = g.timing.AfterFunc(wait, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.advance()
		})
		return
	}
	g.probing = true
	close(g.waiters[0])
	g.waiters = g.waiters[1:]
}

// leave gives a probe's turn to the next without having made a call.
func (g *gate) leave(probe bool) {
	if probe {
		g.result(true, gateNothing, time.Time{}, 0, nil)
	}
}

// suspect notes that rec failed in a way that is, or may be, the receiver's
// fault, and tells whether it now must be: five different records did so in a
// row, or the gate is shut.
func (g *gate) suspect(rec *handlers.Record) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.suspects == nil {
		g.suspects = map[string]bool{}
	}
	if len(g.suspects) < suspectRow {
		g.suspects[coordinates(rec)] = true
	}
	return g.shut.Load() || len(g.suspects) >= suspectRow
}

// outage tells whether five different records failed in a row.
func (g *gate) outage() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.suspects) >= suspectRow
}

// result says how a run that began at a time went. asked is how long the
// receiver wants to be left alone.
func (g *gate) result(probe bool, r gateResult, began time.Time, asked time.Duration, cause error) {
	if r == gateTaken {
		g.taken.Add(1)
		if !probe && !g.shut.Load() && !g.suspected() {
			return
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if probe {
		g.probing = false
	}
	switch r {
	case gateTaken:
		g.suspects = nil
		if g.shut.Load() && (probe || began.After(g.since)) {
			g.open()
		}
	case gateDown:
		g.trip(probe, asked, cause)
	}
	g.advance()
}

func (g *gate) suspected() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.suspects) > 0
}

// open lets everybody through. The caller holds mu.
func (g *gate) open() {
	g.shut.Store(false)
	g.probing, g.failures, g.warned = false, 0, ""
	for _, w := range g.waiters {
		close(w)
	}
	g.waiters = nil
	g.pauses.clear(pauseSink + g.plan.Name)
}

// absolve opens the gate: what shut it was one record's fault.
func (g *gate) absolve() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.suspects = nil
	if g.shut.Load() {
		g.open()
	}
}

// trip shuts the gate, or keeps it shut for longer after a failed probe. Calls
// that were under way when it shut do not count again. The caller holds mu.
func (g *gate) trip(probe bool, asked time.Duration, cause error) {
	if g.shut.Load() && !probe {
		return
	}
	g.failures++
	pause := g.timing.jitter(exponential(g.plan.Retry.Initial, g.plan.Retry.Max, g.failures))
	g.until = g.timing.Now().Add(max(pause, min(asked, time.Hour)))
	if !g.shut.Swap(true) {
		g.since = g.timing.Now()
	}
	g.pauses.set(pauseSink+g.plan.Name, cause)
}

// warn logs a retry, once for each distinct error in a row.
func (g *gate) warn(log *slog.Logger, j *job, f *handlers.Failure) {
	if f.Class == handlers.Infrastructure {
		return // the pause says it
	}
	g.mu.Lock()
	text := f.Error()
	fresh := text != g.warned
	g.warned = text
	g.mu.Unlock()
	if fresh {
		log.Warn("a write failed and is tried again", "sink", g.plan.Name, "record", coordinates(j.rec), "attempt", j.tries, "class", f.Class.String(), "err", f.Err)
	}
}

var errClaimLost = errors.New("the key's claim was lost while the call was under way")
