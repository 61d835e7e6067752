package pipeline

import (
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
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
		if a := g.absent[g.scopeOf(j)]; a != nil {
			a.until, a.trying = now.Add(maxPause), true
		}
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
	pause := exponential(g.plan.Retry.Initial, min(g.plan.Retry.Max, maxPause), a.failures)
	a.until = g.timing.Now().Add(max(g.timing.jitter(pause), f.RetryAfter))
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
