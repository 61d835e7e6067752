package deliver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
)

// count counts the calls that a stop cut off, or did not make again although nobody
// knows of them.
func (e *errand) count() {
	for _, j := range e.jobs {
		if !j.finished && (j.cut || j.chased && j.held) {
			e.d.cut.Add(1)
		}
		e.standsNot(j)
		if !j.finished && j.stuck {
			e.d.pauses.drop(PauseOff)
		}
	}
}

// skipDone finishes, with one look-up, the records whose effects are done: a
// sink that takes one call at a time would else cost a claim for each.
func (e *errand) skipDone(effects context.Context) {
	look, ok := e.d.guard.store.(idempotency.Inspector)
	if !ok || e.gate.limit >= len(e.jobs) {
		return
	}
	ids := make([]idempotency.ID, len(e.jobs))
	for i, j := range e.jobs {
		ids[i] = j.claim.ID
	}
	ctx, cancel := context.WithTimeout(effects, storeTimeout)
	defer cancel()
	began := e.d.timing.Now()
	rows, err := look.Get(ctx, ids)
	if err != nil {
		return // the claims meet the same error, and treat it
	}
	e.at = e.d.timing.Now()
	took := e.at.Sub(began)
	for i, row := range rows {
		if row != nil && row.State == idempotency.Confirmed && row.Digest == e.jobs[i].claim.Digest {
			e.observe(e.jobs[i], events.Event{Kind: events.Claim, Reason: idempotency.Duplicate.String(), Took: took})
			e.duplicate(e.jobs[i], "", row)
		}
	}
}

// sure keeps of a run the jobs whose claim is ours for as long as a call may take:
// the rate limit may have held it back for long. The others are asked for again.
func (e *errand) sure(run []*job) []*job {
	if e.d.guard == nil {
		return run
	}
	now := e.d.timing.Now()
	unsure := func(j *job) bool { return !j.unguarded && (!j.held || e.stale(j, now)) }
	if !slices.ContainsFunc(run, unsure) {
		return run
	}
	return slices.DeleteFunc(slices.Clone(run), unsure)
}

// judge tells whether a job has used up its attempts. What is the fault of the
// system as a whole never speaks against a record here: see convicted. A refusal
// that may be the system's counts once others were taken since.
func (e *errand) judge(j *job, f *handlers.Failure) bool {
	switch {
	case f.Class == handlers.Infrastructure:
		return false
	case f.Class == handlers.NotApplied && !f.Suspect:
		return true
	}
	j.judged++
	taken := e.gate.taken.Load()
	alone := f.Class == handlers.NotApplied && j.judged > 1 && taken > j.seen
	j.seen = taken
	return alone || j.judged >= e.gate.plan.Retry.Attempts
}

// convicted tells whether j alone was at fault as often as it has attempts: so a
// record that brings the receiver down can't hold the rest for ever. Its first
// failure counts, which accused it.
func (e *errand) convicted(j *job) bool {
	return j.accused && int(j.convicted.Load()) >= max(1, e.gate.plan.Retry.Attempts-1)
}

// backoff is how long a job waits after its last failure: doubled each time, up
// to the maximum, less a random quarter so that retries spread. Where the system
// is at fault the gate does the waiting, and the job lets others go first.
func (e *errand) backoff(j *job, f *handlers.Failure) time.Duration {
	r := e.gate.plan.Retry
	switch {
	case f.Scope != "":
		return 0 // the absence does the waiting
	case f.Class == handlers.Infrastructure:
		return e.d.timing.Jitter(clock.Exponential(r.Initial, min(r.Max, maxPause), j.tries))
	}
	return max(e.d.timing.Jitter(clock.Exponential(r.Initial, r.Max, j.judged)), f.RetryAfter)
}

// deadLetter dead-letters jobs, and only then settles their claims: released where the
// effect certainly did not happen, else parked.
func (e *errand) deadLetter(ctx, effects context.Context, jobs []*job, reason string) {
	if len(jobs) == 0 {
		return
	}
	if e.d.letters.topic == "" {
		e.block(jobs)
		return
	}
	letters := make([]letter, len(jobs))
	for i, j := range jobs {
		stage := outcome.StageWrite
		if j.tries == 0 {
			stage = outcome.StageClaim
		}
		letters[i] = letter{
			index: j.index, rec: j.rec, topicID: e.w.topicID(j.index), of: e.w.letter(j.index),
			sink: e.gate.plan.Name, stage: stage, reason: reason,
			first: j.first, last: j.last, firstAt: j.firstAt, lastAt: j.lastAt, attempts: j.tries, key: j.key,
		}
	}
	if !e.d.letters.write(ctx, effects, letters) {
		return
	}
	e.at = e.d.timing.Now()
	var parked []*job
	for _, j := range jobs {
		if j.maybe && j.held {
			parked = append(parked, j)
		}
	}
	if !e.d.guard.park(effects, e, parked) {
		return
	}
	e.release(effects, jobs)
	for _, j := range jobs {
		e.end(j, outcome.DeadLettered, reason, j.last)
	}
}

// block blocks at jobs that belong into the dead letters, which are off: the same
// calls are made again and again.
func (e *errand) block(jobs []*job) {
	for _, j := range jobs {
		j.next = e.d.timing.Now().Add(e.gate.plan.Retry.Max)
		j.convicted.Store(0) // to be tried again
		e.stands(j, "", j.last)
		if j.tries == 0 && j.held {
			e.drop(j) // not settled: found uncertain again when asked for anew
		}
		if !j.stuck {
			j.stuck = true
			e.w.batch.Stuck(j.index)
			e.d.pauses.hold(PauseOff, fmt.Errorf("%s: %w", j.rec.Coordinates(), j.last))
		}
	}
}
