package deliver

import (
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
)

// absence is a part of a sink's system that can't take calls, such as a topic
// that does not exist. Calls to it wait, all others go on.
type absence struct {
	until    time.Time // when one call may try again
	trying   bool      // one does
	failures int
}

// scopeOf names the part of the system that a call goes to, "" for the whole.
func (g *gate) scopeOf(j *job) string {
	if g.scoped == nil {
		return ""
	}
	return g.scoped.Scope(j.call.Request)
}

// absentFor is how long the call of j has to wait for its part of the system, 0
// where it may be made now.
func (g *gate) absentFor(j *job, now time.Time) time.Duration {
	if g.parts.Load() == 0 {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.absent[g.scopeOf(j)]
	if a == nil {
		return 0
	}
	return max(0, a.until.Sub(now))
}

// tries notes that the call of j is about to be made: where its part of the system
// is away, it is the one that tries, and others wait for what comes of it.
func (g *gate) tries(j *job, now time.Time) {
	if g.parts.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trying(j, now)
}

// trying is tries for one who holds mu.
func (g *gate) trying(j *job, now time.Time) {
	if a := g.absent[g.scopeOf(j)]; a != nil {
		a.until, a.trying = now.Add(maxPause), true
	}
}

// triesNot notes that, of the jobs that were about to try, only those are sent: for
// the parts of the others somebody else may try.
func (g *gate) triesNot(jobs, sent []*job, now time.Time) {
	if g.parts.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, j := range jobs {
		if a := g.absent[g.scopeOf(j)]; a != nil && a.trying && !slices.Contains(sent, j) {
			a.until, a.trying = now, false
		}
	}
	for _, j := range sent {
		g.trying(j, now)
	}
}

// miss notes that a part of the system is away.
func (g *gate) miss(f *handlers.Failure) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.absent[f.Scope]
	if a == nil {
		a = &absence{}
		if g.absent == nil {
			g.absent = map[string]*absence{}
		}
		g.absent[f.Scope] = a
		g.parts.Add(1)
	} else if !a.trying {
		return // under way since before the first failure
	}
	a.trying = false
	a.failures++
	pause := clock.Exponential(g.plan.Retry.Initial, min(g.plan.Retry.Max, maxPause), a.failures)
	a.until = g.timing.Now().Add(max(g.timing.Jitter(pause), f.RetryAfter))
	g.pauses.set(g.pauseScope(f.Scope), f)
}

// reached notes that the part of the system that j was sent to takes calls.
func (g *gate) reached(j *job) {
	if g.parts.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.found(g.scopeOf(j))
}

// found ends an absence. The caller holds mu.
func (g *gate) found(scope string) {
	if g.absent[scope] == nil {
		return
	}
	delete(g.absent, scope)
	g.parts.Add(-1)
	g.pauses.clear(g.pauseScope(scope))
}

func (g *gate) pauseScope(scope string) string {
	return pauseSink + g.plan.Name + scopeMark + scope
}

// scopeMark stands between a sink and a part of its system in a pause's name.
const scopeMark = ": "

// awayFor is how long j has to wait for the part of the sink's system that it goes to,
// or for those that stand in line for it. It is set aside meanwhile.
func (e *errand) awayFor(j *job, now time.Time) time.Duration {
	if e.gate.scoped == nil {
		return 0
	}
	wait := e.gate.absentFor(j, now)
	if wait == 0 && e.w.batch.InLine() && e.w.batch.Ahead(j.index, e.placeOf(j)) {
		wait = asidePoll
	}
	if wait > 0 && !j.aside && e.w.batch.SetsAside() {
		e.w.batch.Stand(j.index, e.placeOf(j))
		j.aside = true
		e.w.aside(j.index)
	}
	return wait
}

// placeOf names where j goes: within it there is an order.
func (e *errand) placeOf(j *job) string { return e.gate.plan.Name + "\x00" + e.orderKey(j) }

// asidePoll is how often one that stands in line looks whether it is its turn.
const asidePoll = 100 * time.Millisecond

// handBack tells whether the errand ends, since all that is left of the batch waits for
// parts of a system: it comes again, beside others. What came again waits for a while.
func (e *errand) handBack() bool {
	if !e.w.batch.SetsAside() || e.w.batch.Again && e.d.timing.Now().Sub(e.began) < maxPause {
		return false
	}
	return e.w.handBack()
}

// leaveAside tells a stop not to wait for what waits for a part of the sink's system:
// nothing of it is under way, and the part may be away for long.
func (e *errand) leaveAside() {
	if !e.w.batch.Leaving() {
		return
	}
	for _, j := range e.jobs {
		if j.aside && !j.finished {
			e.w.batch.Stuck(j.index)
		}
	}
}

// aside notes that a write of record i waits for a part of its sink's system.
func (w *work) aside(i int) {
	w.mu.Lock()
	if w.asides == nil {
		w.asides = map[int]int{}
	}
	w.asides[i]++
	free := w.asides[i] == w.left[i]
	w.mu.Unlock()
	if free {
		w.batch.Aside(i)
	}
}

// setOut notes that jobs are about to be tried or have ended, whether they were aside
// or not; false means that the batch is handed back, and nothing is to be begun.
func (w *work) setOut(jobs []*job) bool {
	if !slices.ContainsFunc(jobs, func(j *job) bool { return j.aside }) {
		return true // no more than a look: such a batch is not handed back
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.back {
		return false
	}
	for _, j := range jobs {
		if j.aside {
			j.aside = false
			w.asides[j.index]--
		}
	}
	return true
}

// handBack tells whether all that is left of the batch is aside and may come again;
// from then on nothing of it is begun.
func (w *work) handBack() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.back {
		return true
	}
	for i, left := range w.left {
		if left > 0 && (w.asides[i] != left || w.begun[i]) {
			return false
		}
	}
	w.back = true
	return true
}
