package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
)

// errand delivers the writes of one lane batch to one sink.
type errand struct {
	d    *Delivery
	gate *gate
	w    *work
	jobs []*job // those not finished, and some that are
	left int
	// began is when the errand did.
	began time.Time
	// yielded is when it last let others come beside it.
	yielded time.Time
	// chasing tells that a stop goes on with the chased jobs alone.
	chasing bool

	mu     sync.Mutex
	cancel context.CancelCauseFunc // of the write in progress
	run    []*job                  // what it writes
	held   []*job
}

// add queues a write.
func (e *errand) add(index int, rec *handlers.Record, write decide.Write, dec decide.Decision) {
	j := &job{index: index, rec: rec, key: dec.Key, call: handlers.Call{
		Record: write.Record, Request: write.Request, Order: orderOf(e.d.plan.Source.Order, rec),
		Trace: handlers.TraceOf(rec),
	}}
	name := e.gate.plan.Name
	if g := e.d.guard; g != nil {
		j.claim = g.claimFor(e.d.plan.Name, name, &dec, rec)
	} else {
		j.claim.ID = idempotency.Coordinates(e.d.plan.Name, name, 1, e.w.batch.TopicID, rec.Partition, rec.Offset)
	}
	j.call.ID = j.claim.ID.External()
	if e.gate.keeps {
		j.call.Identity = e.identity(j, dec)
	}
	e.jobs = append(e.jobs, j)
	e.left++
}

// deliver ends when every write has ended or ctx has. It never waits for another
// holder while it could let go: a Busy key is asked for again later, and the
// other keys go on meanwhile.
func (e *errand) deliver(ctx, effects context.Context) {
	e.gate.join()
	back := false
	defer func() { e.gate.part(back) }()
	defer e.count()
	if g := e.d.guard; g != nil {
		g.keep(e)
		defer g.forget(e)
		defer e.giveBack(effects)
		e.skipDone(effects)
	}
	e.began = e.d.timing.Now()
	if back = e.proceed(ctx, effects); !back && e.chase() {
		e.proceed(effects, effects)
	}
}

// proceed claims, writes and settles until nothing is left to do or ctx ends. It tells
// whether it hands back what is left.
func (e *errand) proceed(ctx, effects context.Context) (back bool) {
	for e.busy() && ctx.Err() == nil {
		run, wait := e.pick(e.d.timing.Now())
		if len(run) == 0 {
			if e.handBack() {
				return true
			}
			e.leaveAside()
			e.yield()
			e.d.timing.Sleep(ctx, wait)
			continue
		}
		if !e.w.setOut(run) {
			return true
		}
		if e.convicted(run[0]) {
			e.deadLetter(ctx, effects, run, outcome.ReasonAttempts)
			continue
		}
		fresh := e.fresh()
		if !fresh && !e.gate.isOpen() {
			e.yield() // what comes next may show whether the sink or a record is at fault
		}
		p, ok := e.gate.enter(ctx, run[0].accused && e.gate.sound(), fresh)
		if !ok {
			e.gate.triesNot(run, nil, e.d.timing.Now())
			continue
		}
		picked := run
		if p.probe || p.few && !p.trial && len(run) == 1 {
			run = e.candidate(p, run)
		}
		run = e.claim(ctx, effects, run)
		if len(run) > 0 && !e.d.pace.wait(ctx, len(run), e.w.batch.Leaving) {
			run = nil
		}
		run = e.sure(run)
		e.gate.triesNot(picked, run, e.d.timing.Now())
		if len(run) == 0 {
			e.gate.leave(p)
			continue
		}
		e.write(effects, run, p)
		e.settle(ctx, effects, run)
	}
	return false
}

// yield lets what is not in order behind the errand's jobs come beside them.
func (e *errand) yield() {
	if now := e.d.timing.Now(); now.Sub(e.yielded) >= yieldEvery {
		e.yielded = now
		e.w.batch.Waits()
	}
}

// yieldEvery is how often an errand that waits looks for what is free to go.
const yieldEvery = 200 * time.Millisecond

// count counts the calls that a stop cut off, or did not make again although nobody
// knows of them.
func (e *errand) count() {
	for _, j := range e.jobs {
		if !j.finished && (j.cut || j.chased && j.held) {
			e.d.cut.Add(1)
		}
		if !j.finished && j.stuck {
			e.d.Pauses.release(PauseOff)
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
	rows, err := look.Get(ctx, ids)
	if err != nil {
		return // the claims meet the same error, and treat it
	}
	for i, row := range rows {
		if row != nil && row.State == idempotency.Confirmed && row.Digest == e.jobs[i].claim.Digest {
			e.observeClaim(e.jobs[i], idempotency.Duplicate)
			e.end(e.jobs[i], outcome.Duplicate, "", nil)
		}
	}
}

// sure keeps of a run the jobs whose claim is ours for as long as a call may take:
// the rate limit may have held it back for long. The others are asked for again.
func (e *errand) sure(run []*job) []*job {
	unsure := func(j *job) bool { return !j.unguarded && (!j.held || e.stale(j)) }
	if e.d.guard == nil || !slices.ContainsFunc(run, unsure) {
		return run
	}
	return slices.DeleteFunc(slices.Clone(run), unsure)
}

// settle ends or postpones each job of a run that was written.
func (e *errand) settle(ctx, effects context.Context, run []*job) {
	var done, refused, exhausted, idle []*job
	now := e.d.timing.Now()
	for _, j := range run {
		if j.last == nil {
			done = append(done, j)
			continue
		}
		f, _ := errors.AsType[*handlers.Failure](j.last)
		if !j.maybe {
			idle = append(idle, j)
		}
		if f.Class == handlers.NotAttempted {
			continue
		}
		if effects.Err() == nil && !j.lost.Load() && e.judge(j, f) {
			if f.Class == handlers.NotApplied {
				refused = append(refused, j)
			} else {
				exhausted = append(exhausted, j)
			}
			continue
		}
		j.next = now.Add(e.backoff(j, f))
		e.observe(j, Event{Kind: EventRetry, Attempt: j.tries, Reason: f.Class.String(), Err: f.Err, Took: j.took})
		e.gate.warn(e.d.log, j, f)
	}
	e.confirm(effects, done)
	e.d.calling.Add(int64(-len(done)))
	e.deadLetter(ctx, effects, refused, outcome.ReasonRefused)
	e.deadLetter(ctx, effects, exhausted, outcome.ReasonAttempts)
	e.release(effects, idle)
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

// deadLetter writes the dead letters of jobs, and only then settles their claims: released where the
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
			index: j.index, rec: j.rec, topicID: e.w.batch.TopicID, sink: e.gate.plan.Name, stage: stage,
			reason: reason,
			first:  j.first, last: j.last, firstAt: j.firstAt, lastAt: j.lastAt, attempts: j.tries, key: j.key,
		}
	}
	if !e.d.letters.write(ctx, effects, letters) {
		return
	}
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

// block waits at jobs that belong into the dead letters, which are off: the same
// calls are made again and again.
func (e *errand) block(jobs []*job) {
	for _, j := range jobs {
		j.next = e.d.timing.Now().Add(e.gate.plan.Retry.Max)
		j.convicted.Store(0) // to be tried again
		if j.tries == 0 && j.held {
			e.drop(j) // not settled: found uncertain again when asked for anew
		}
		if !j.stuck {
			j.stuck = true
			e.w.batch.Stuck(j.index)
			e.d.Pauses.hold(PauseOff, fmt.Errorf("%s: %w", coordinates(j.rec), j.last))
		}
	}
}

// end finishes a job.
func (e *errand) end(j *job, o outcome.Outcome, reason string, err error) {
	j.finished = true
	e.left--
	if j.stuck {
		e.d.Pauses.release(PauseOff)
	}
	if e.gate.scoped != nil && e.w.batch.InLine() {
		e.w.setOut([]*job{j})
		e.w.batch.Leave(j.index, e.placeOf(j))
	}
	e.w.end(j.index, o, reason, err)
}

func (e *errand) observe(j *job, event Event) {
	event.Pipeline, event.Sink = e.d.plan.Name, e.gate.plan.Name
	event.Topic, event.Partition, event.Offset = j.rec.Topic, j.rec.Partition, j.rec.Offset
	e.d.observer.Observe(event)
}

func (e *errand) observeClaim(j *job, a idempotency.Answer) {
	e.observe(j, Event{Kind: EventClaim, Reason: a.String()})
}

// maxRun is the longest run, that of a lane batch.
const maxRun = 1024

// coordinates names a record for people.
func coordinates(r *handlers.Record) string {
	return fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset)
}
