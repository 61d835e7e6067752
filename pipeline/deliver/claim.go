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
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// claim asks for the right to make the calls of run and returns those that got
// it. A run without a guard passes as it is. Whatever is not returned is either
// finished or asked for again later.
func (l *lane) claim(ctx, effects context.Context, run []*job) []*job {
	g := l.d.guard
	if g == nil {
		return run
	}
	asked := make([]*job, 0, len(run))
	began := l.d.timing.Now()
	for _, j := range run {
		if j.lost.Load() {
			l.drop(j)
		}
		if (!j.held || l.stale(j, began)) && !j.unguarded {
			asked = append(asked, j)
		}
	}
	// A claim that is still held was made in the memory that is lost.
	if lost := g.lost(); lost != nil && len(asked) < len(run) {
		return l.storeDown(run, asked, lost)
	}
	verdicts, err := g.claim(effects, asked)
	if err != nil {
		return l.storeDown(run, asked, err)
	}
	if len(asked) > 0 {
		g.pauses.clear(pauseStore)
	}
	return l.answer(ctx, effects, run, asked, verdicts, began)
}

// stale tells whether a held claim may have run out, since it could not be
// extended for long. It is not lost for that: asked for again with its token, the
// store says whose it is.
func (l *lane) stale(j *job, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Sub(j.renewed) > l.d.guard.plan.Lease*2/3
}

// storeDown does what `on_store_error` wants: block, or go on unguarded. Lost
// memory always blocks: whether to go on then is not for this setting to say.
func (l *lane) storeDown(run, asked []*job, err error) []*job {
	g := l.d.guard
	if errors.Is(err, errSettling) {
		for _, j := range run {
			j.next = l.d.timing.Now().Add(settleTime / 10)
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
		j.next = l.d.timing.Now().Add(l.d.timing.Jitter(clock.Exponential(storeRetry, time.Second, j.polls)))
	}
	return nil
}

// answer acts on the verdicts. Of the jobs that may go, those behind a Busy one
// of the same order key are given back: waiting while holding a claim is how
// two lanes would wait for each other for ever.
func (l *lane) answer(ctx, effects context.Context, run, asked []*job, answers []idempotency.Verdict, began time.Time) []*job {
	letters := map[string][]*job{} // by reason
	away := map[*job]bool{}
	busy := map[string]bool{}
	l.at = l.d.timing.Now()
	took := l.at.Sub(began)
	for i, a := range answers {
		j, v := asked[i], decide.VerdictOf(l.d.guard.plan, a.Answer)
		l.observe(j, events.Event{Kind: events.Claim, Reason: a.Answer.String(), Took: took})
		if v.Goes || v.Uncertain {
			l.hold(j, began)
		} else if j.held {
			l.drop(j) // it ran out, and somebody else took it
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
			l.observe(j, events.Event{Kind: events.Conflict})
		}
		switch {
		case v.Waits:
			j.polls++
			j.next = l.at.Add(l.d.timing.Jitter(clock.Exponential(busyRetry, time.Second, j.polls)))
			busy[l.orderKey(j)] = true
		case v.Err != nil:
			letters[v.Reason] = append(letters[v.Reason], l.blame(j, v.Err))
		default:
			l.end(j, v.Outcome, v.Reason, nil)
		}
	}
	if len(away) == 0 {
		return run
	}
	var goes, behind []*job
	waiting := map[string]bool{}
	for _, j := range run {
		key := l.orderKey(j)
		switch {
		case away[j]:
			waiting[key] = waiting[key] || !j.finished && busy[key]
		case waiting[key]:
			behind = append(behind, j)
		default:
			goes = append(goes, j)
		}
	}
	l.release(effects, behind)
	for _, reason := range slices.Sorted(maps.Keys(letters)) {
		l.bury(ctx, effects, letters[reason], reason)
	}
	return goes
}

// confirm records effects as done and finishes their records. While the store
// is down it tries on, for as long as effects may take: an effect without its
// confirm would be made twice.
func (l *lane) confirm(effects context.Context, done []*job) {
	if len(done) == 0 {
		return
	}
	g := l.d.guard
	if g == nil {
		for _, j := range done {
			l.taken(j, "")
		}
		return
	}
	claimed := done[:0:len(done)]
	for _, j := range done {
		j.maybe = true
		switch {
		case j.unguarded:
			l.taken(j, outcome.ReasonUnguarded)
		default:
			claimed = append(claimed, j)
		}
	}
	written := l.at
	states, ok := g.confirm(effects, claimed)
	if !ok {
		return
	}
	l.at = l.d.timing.Now()
	took := l.at.Sub(written)
	l.drop(claimed...)
	for i, j := range claimed {
		if states[i] != idempotency.Held {
			l.observe(j, events.Event{Kind: events.Confirm, Reason: "lost", Took: took})
			continue // asked for anew: the new verdict decides
		}
		l.observe(j, events.Event{Kind: events.Confirm, Took: took})
		l.taken(j, "")
	}
}

// identity is what a sink that keeps its own keys is told of a job's effect.
func (l *lane) identity(j *job, dec decide.Decision) *handlers.Identity {
	id := &handlers.Identity{Pipeline: l.d.plan.Name, Sink: l.gate.plan.Name, Generation: 1, ID: j.claim.ID}
	if g := l.d.guard; g != nil {
		id.Generation, id.Key, id.Digest, id.TTL = g.plan.Generation, dec.Key, dec.Digest, g.plan.TTL
		id.OnConflict, id.OnUncertain = string(g.plan.OnConflict), string(g.plan.OnUncertain)
	}
	return id
}

// taken ends a job whose call is durable. What the system knew from before makes it
// a duplicate.
func (l *lane) taken(j *job, reason string) {
	if j.repeated {
		l.end(j, outcome.Duplicate, outcome.ReasonRepeated, nil)
		return
	}
	l.end(j, outcome.Delivered, reason, nil)
}

// hold notes that the job's claim is ours, since a time, for the keeper to extend.
func (l *lane) hold(j *job, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j.polls, j.renewed = 0, since
	if !j.held {
		j.held = true
		l.held = append(l.held, j)
	}
}

// drop notes that the claims of jobs are no longer ours, and gives each a new
// token to ask anew with.
func (l *lane) drop(jobs ...*job) {
	if len(jobs) == 0 {
		return
	}
	l.d.guard.free(jobs)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range jobs {
		j.held = false
		j.lost.Store(false)
		j.claim.Token = l.d.guard.run.Next()
	}
	l.held = slices.DeleteFunc(l.held, func(j *job) bool { return !j.held })
}

// release gives back the claims of jobs whose effect certainly did not happen, so
// that none waits for a lease to run out and none is found uncertain. The others
// keep theirs. Where the store does not answer, all do.
func (l *lane) release(effects context.Context, jobs []*job) {
	if l.d.guard == nil {
		return
	}
	var idle []*job
	for _, j := range jobs {
		if j.held && !j.maybe {
			idle = append(idle, j)
		}
	}
	if l.d.guard.release(effects, idle) {
		l.drop(idle...)
	}
}

// giveBack releases, at the end of a lane, the claims whose effect certainly did
// not happen, also those that were asked for without an answer. The others stay,
// and are found as uncertain: where they are parked then, with what they met.
func (l *lane) giveBack(effects context.Context) {
	var idle, kept []*job
	for _, j := range l.held {
		if j.maybe {
			kept = append(kept, j)
		} else {
			idle = append(idle, j)
		}
	}
	for _, j := range l.jobs {
		if j.asked && !j.held && !j.maybe && !j.finished {
			idle = append(idle, j)
		}
	}
	l.d.guard.abandon(effects, idle)
	if l.d.guard.plan.OnUncertain == plan.ActionPark {
		l.d.guard.leave(effects, kept)
	}
	l.d.guard.free(l.held)
}

// blame notes why a job is dead-lettered without a write.
func (l *lane) blame(j *job, err error) *job {
	j.failed(&handlers.Failure{Err: err}, l.d.timing.Now())
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
