package deliver

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// claim asks for the right to make the calls of run and returns those that got
// it. A run without a guard passes as it is. Whatever is not returned is either
// finished or asked for again later.
func (e *errand) claim(ctx, effects context.Context, run []*job) []*job {
	g := e.d.guard
	if g == nil {
		return run
	}
	asked := make([]*job, 0, len(run))
	for _, j := range run {
		if j.lost.Load() {
			e.drop(j)
		}
		if (!j.held || e.stale(j)) && !j.unguarded {
			asked = append(asked, j)
		}
	}
	// A claim that is still held was made in the memory that is lost.
	if lost := g.lost(); lost != nil && len(asked) < len(run) {
		return e.storeDown(run, asked, lost)
	}
	began := e.d.timing.Now()
	verdicts, err := g.claim(effects, asked)
	if err != nil {
		return e.storeDown(run, asked, err)
	}
	if len(asked) > 0 {
		g.pauses.clear(pauseStore)
	}
	return e.answer(ctx, effects, run, asked, verdicts, began)
}

// stale tells whether a held claim may have run out, since it could not be
// extended for long. It is not lost for that: asked for again with its token, the
// store says whose it is.
func (e *errand) stale(j *job) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.d.timing.Now().Sub(j.renewed) > e.d.guard.plan.Lease*2/3
}

// storeDown does what `on_store_error` wants: block, or go on unguarded. Lost
// memory always blocks: whether to go on then is not for this setting to say.
func (e *errand) storeDown(run, asked []*job, err error) []*job {
	g := e.d.guard
	if errors.Is(err, errSettling) {
		for _, j := range run {
			j.next = e.d.timing.Now().Add(settleTime / 10)
		}
		return nil
	}
	g.pauses.set(pauseStore, err)
	if g.plan.OnStoreError == plan.ActionProcess && !IsReset(err) {
		for _, j := range asked {
			j.unguarded = true
		}
		return run
	}
	for _, j := range run {
		j.polls++
		j.next = e.d.timing.Now().Add(e.d.timing.Jitter(clock.Exponential(storeRetry, time.Second, j.polls)))
	}
	return nil
}

// answer acts on the verdicts. Of the jobs that may go, those behind a Busy one
// of the same order key are given back: waiting while holding a claim is how
// two errands would wait for each other for ever.
func (e *errand) answer(ctx, effects context.Context, run, asked []*job, answers []idempotency.Verdict,
	began time.Time) []*job {
	letters := map[string][]*job{} // by reason
	var conflict *handlers.Record
	away := map[*job]bool{}
	busy := map[string]bool{}
	for i, a := range answers {
		j, v := asked[i], decide.VerdictOf(e.d.guard.plan, a.Answer)
		e.observeClaim(j, a.Answer)
		if v.Goes || v.Uncertain {
			e.hold(j, began)
		} else if j.held {
			e.drop(j) // it ran out, and somebody else took it
		}
		if v.Goes {
			continue
		}
		away[j] = true
		if v.Uncertain {
			j.maybe = true
			if j.first == nil && a.Row != nil && a.Row.Answer != "" {
				j.first = errors.New(a.Row.Answer)
			}
		}
		if a.Answer == idempotency.Conflict {
			conflict = j.rec
			e.observe(j, Event{Kind: EventConflict})
		}
		switch {
		case v.Waits:
			j.polls++
			j.next = e.d.timing.Now().Add(e.d.timing.Jitter(clock.Exponential(busyRetry, time.Second, j.polls)))
			busy[e.orderKey(j)] = true
		case v.Err != nil:
			letters[v.Reason] = append(letters[v.Reason], e.refused(j, v.Err))
		default:
			e.end(j, v.Outcome, v.Reason, nil)
		}
	}
	if conflict != nil {
		e.d.guard.warnConflict(e.d.log, conflict)
	}
	if len(away) == 0 {
		return run
	}
	var goes, behind []*job
	waiting := map[string]bool{}
	for _, j := range run {
		key := e.orderKey(j)
		switch {
		case away[j]:
			waiting[key] = waiting[key] || !j.finished && busy[key]
		case waiting[key]:
			behind = append(behind, j)
		default:
			goes = append(goes, j)
		}
	}
	e.release(effects, behind)
	for _, reason := range slices.Sorted(maps.Keys(letters)) {
		e.deadLetter(ctx, effects, letters[reason], reason)
	}
	return goes
}

// confirm records effects as done and finishes their records. While the store
// is down it tries on, for as long as effects may take: an effect without its
// confirm would be made twice.
func (e *errand) confirm(effects context.Context, done []*job) {
	if len(done) == 0 {
		return
	}
	g := e.d.guard
	if g == nil {
		for _, j := range done {
			e.taken(j, "")
		}
		return
	}
	claimed := done[:0:len(done)]
	for _, j := range done {
		j.maybe = true
		switch {
		case j.unguarded:
			e.taken(j, outcome.ReasonUnguarded)
		default:
			claimed = append(claimed, j)
		}
	}
	states, ok := g.confirm(effects, claimed)
	if !ok {
		return
	}
	e.drop(claimed...)
	for i, j := range claimed {
		if states[i] != idempotency.Held {
			e.observe(j, Event{Kind: EventConfirm, Reason: "lost"})
			continue // asked for anew: the new verdict decides
		}
		e.observe(j, Event{Kind: EventConfirm})
		e.taken(j, "")
	}
}

// identity is what a sink that keeps its own keys is told of a job's effect.
func (e *errand) identity(j *job, dec decide.Decision) *handlers.Identity {
	id := &handlers.Identity{Pipeline: e.d.plan.Name, Sink: e.gate.plan.Name, Generation: 1, ID: j.claim.ID}
	if g := e.d.guard; g != nil {
		id.Generation, id.Key, id.Digest, id.TTL = g.plan.Generation, dec.Key, dec.Digest, g.plan.TTL
		id.OnConflict, id.OnUncertain = string(g.plan.OnConflict), string(g.plan.OnUncertain)
	}
	return id
}

// taken ends a job whose call is durable. What the system knew from before makes it
// a duplicate.
func (e *errand) taken(j *job, reason string) {
	if j.repeated {
		e.end(j, outcome.Duplicate, outcome.ReasonRepeated, nil)
		return
	}
	e.end(j, outcome.Delivered, reason, nil)
}

// hold notes that the job's claim is ours, since a time, for the keeper to extend.
func (e *errand) hold(j *job, since time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.polls, j.renewed = 0, since
	if !j.held {
		j.held = true
		e.held = append(e.held, j)
	}
}

// drop notes that the claims of jobs are no longer ours, and gives each a new
// token to ask anew with.
func (e *errand) drop(jobs ...*job) {
	if len(jobs) == 0 {
		return
	}
	e.d.guard.free(jobs)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, j := range jobs {
		j.held = false
		j.lost.Store(false)
		j.claim.Token = e.d.guard.run.Next()
	}
	e.held = slices.DeleteFunc(e.held, func(j *job) bool { return !j.held })
}

// release gives back the claims of jobs whose effect certainly did not happen, so
// that none waits for a lease to run out and none is found uncertain. The others
// keep theirs. Where the store does not answer, all do.
func (e *errand) release(effects context.Context, jobs []*job) {
	if e.d.guard == nil {
		return
	}
	var idle []*job
	for _, j := range jobs {
		if j.held && !j.maybe {
			idle = append(idle, j)
		}
	}
	if e.d.guard.release(effects, idle) {
		e.drop(idle...)
	}
}

// giveBack releases, at the end of an errand, the claims whose effect certainly did
// not happen, also those that were asked for without an answer. The others stay,
// and are found as uncertain: where they are parked then, with what they met.
func (e *errand) giveBack(effects context.Context) {
	var idle, kept []*job
	for _, j := range e.held {
		if j.maybe {
			kept = append(kept, j)
		} else {
			idle = append(idle, j)
		}
	}
	for _, j := range e.jobs {
		if j.asked && !j.held && !j.maybe && !j.finished {
			idle = append(idle, j)
		}
	}
	e.d.guard.abandon(effects, idle)
	if e.d.guard.plan.OnUncertain == plan.ActionPark {
		e.d.guard.leave(effects, kept)
	}
	e.d.guard.free(e.held)
}

// refused notes why a job is dead-lettered without a write.
func (e *errand) refused(j *job, err error) *job {
	j.failed(&handlers.Failure{Err: err}, e.d.timing.Now())
	return j
}

const (
	busyRetry    = 10 * time.Millisecond
	storeRetry   = 50 * time.Millisecond
	storeTimeout = 10 * time.Second
	// releaseTimeout bounds what is only a courtesy to the next who wants a key.
	releaseTimeout = 5 * time.Second
	pauseStore     = "store"
)
