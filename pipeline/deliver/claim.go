package deliver

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
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
	began := e.d.timing.Now()
	for _, j := range run {
		if j.lost.Load() {
			e.drop(j)
		}
		if (!j.held || e.stale(j, began)) && !j.unguarded {
			asked = append(asked, j)
		}
	}
	// A claim that is still held was made in the memory that is lost.
	if lost := g.lost(); lost != nil && len(asked) < len(run) {
		return e.storeDown(run, asked, lost)
	}
	verdicts, err := g.claim(effects, asked)
	if err != nil {
		return e.storeDown(run, asked, err)
	}
	if len(asked) > 0 {
		g.pauses.clear(pauseStore)
	}
	return e.answer(ctx, effects, run, asked, verdicts, began)
}

// answer acts on the verdicts. Of the jobs that may go, those behind a Busy one
// of the same order key are given back: waiting while holding a claim is how
// two lanes would wait for each other for ever.
func (e *errand) answer(ctx, effects context.Context, run, asked []*job, answers []idempotency.Verdict,
	began time.Time) []*job {
	letters := map[string][]*job{} // by reason
	var forgotten []*job
	away := map[*job]bool{}
	busy := map[string]bool{}
	e.at = e.d.timing.Now()
	took := e.at.Sub(began)
	for i, a := range answers {
		j, v := asked[i], decide.VerdictOf(e.d.guard.plan, a.Answer)
		e.observe(j, events.Event{Kind: events.Claim, Reason: a.Answer.String(), Took: took})
		if v.Goes || v.Uncertain {
			e.hold(j, began)
		} else if j.held {
			e.drop(j) // it ran out, and somebody else took it
		}
		j.maybe = j.maybe || v.Uncertain
		if v.Goes && (v.Uncertain || !e.forgets(j)) {
			continue
		}
		away[j] = true
		if v.Uncertain && j.first == nil && a.Row != nil && a.Row.Answer != "" {
			j.first = errors.New(a.Row.Answer)
		}
		if a.Answer == idempotency.Conflict {
			e.observe(j, events.Event{Kind: events.Conflict})
		}
		switch {
		case v.Goes:
			forgotten = append(forgotten, j)
		case v.Waits:
			j.polls++
			j.next = e.at.Add(e.d.timing.Jitter(clock.Exponential(busyRetry, time.Second, j.polls)))
			busy[e.orderKey(j)] = true
		case v.Err != nil:
			letters[v.Reason] = append(letters[v.Reason], e.refused(j, v.Err))
		default:
			e.duplicate(j, v.Reason, a.Row)
		}
	}
	e.release(effects, forgotten)
	for _, j := range forgotten {
		e.end(j, outcome.Dropped, outcome.ReasonForgotten, nil)
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
	written := e.at
	states, ok := g.confirm(effects, claimed)
	if !ok {
		return
	}
	e.at = e.d.timing.Now()
	took := e.at.Sub(written)
	e.drop(claimed...)
	for i, j := range claimed {
		if states[i] != idempotency.Held {
			e.observe(j, events.Event{Kind: events.Confirm, Reason: "lost", Took: took})
			continue // asked for anew: the new verdict decides
		}
		e.observe(j, events.Event{Kind: events.Confirm, Took: took})
		e.taken(j, "")
	}
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

const (
	busyRetry    = 10 * time.Millisecond
	storeRetry   = 50 * time.Millisecond
	storeTimeout = 10 * time.Second
	// releaseTimeout bounds what is only a courtesy to the next who wants a key.
	releaseTimeout = 5 * time.Second
	pauseStore     = "store"
)
