package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
)

// job is one write of one record on its way through claim, write and confirm.
type job struct {
	index int
	rec   *handlers.Record // the source record
	call  handlers.Call
	key   string
	claim idempotency.Claim

	// held tells that the claim is ours, since its renewal at the latest; keeper
	// reads and moves both under the lane's mu.
	held    bool
	renewed time.Time
	// asked tells that a claim was sent and its answer is not known.
	asked bool
	// lost is set by the keeper when the claim went to somebody else.
	lost atomic.Bool
	// maybe tells that an attempt's fate is unknown: the claim must stay.
	maybe bool
	// cut tells that a stop ended its last call.
	cut bool
	// repeated tells that the sink's system knew the effect from before.
	repeated bool
	// unguarded tells that the store was down and `on_store_error` is process.
	unguarded bool
	finished  bool
	// aside tells that it waits for a part of the sink's system.
	aside bool
	// stuck tells that it belongs into dead letters that are off.
	stuck bool
	// chased tells that a stop goes on with it, see chase.
	chased bool

	// tries counts writes; judged counts those that speak against the record.
	tries, judged int
	// accused tells that its last failure is the system's unless it is its own;
	// convicted counts those that only it can have been at fault for, in a row.
	accused   bool
	convicted atomic.Int32
	// seen is how many runs its sink had taken when it was last refused.
	seen  int64
	polls int
	took  time.Duration // its last write
	next  time.Time
	first error
	last  error
	// firstAt and lastAt are when it failed first, and last.
	firstAt, lastAt time.Time
}

// failed notes when and why the job failed; its last failure says what follows.
func (j *job) failed(f *handlers.Failure, at time.Time) {
	j.last, j.lastAt = f, at
	if j.first == nil {
		j.first, j.firstAt = f.Err, at
	}
}

// lane delivers the writes of one lane batch to one sink.
type lane struct {
	d    *Delivery
	gate *gate
	w    *work
	jobs []*job // those not finished, and some that are
	left int
	// began is when the lane did.
	began time.Time
	// at is when something last happened to its jobs: the time is not asked for again
	// for each of them.
	at time.Time
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
func (l *lane) add(index int, rec *handlers.Record, write decide.Write, dec decide.Decision) {
	j := &job{index: index, rec: rec, key: dec.Key, call: handlers.Call{
		Record: write.Record, Request: write.Request, Order: orderOf(l.d.plan.Source.Order, rec), Trace: handlers.TraceOf(rec),
	}}
	name := l.gate.plan.Name
	if g := l.d.guard; g != nil {
		j.claim = g.claimFor(l.d.plan.Name, name, &dec, rec)
	} else {
		j.claim.ID = idempotency.Coordinates(l.d.plan.Name, name, 1, l.w.batch.TopicID, rec.Partition, rec.Offset)
	}
	j.call.ID = j.claim.ID.External()
	if l.gate.keeps {
		j.call.Identity = l.identity(j, dec)
	}
	l.jobs = append(l.jobs, j)
	l.left++
}

// deliver ends when every write has ended or ctx has. It never waits for another
// holder while it could let go: a Busy key is asked for again later, and the
// other keys go on meanwhile.
func (l *lane) deliver(ctx, effects context.Context) {
	l.gate.join()
	back := false
	defer func() { l.gate.part(back) }()
	defer l.count()
	if g := l.d.guard; g != nil {
		g.keep(l)
		defer g.forget(l)
		defer l.giveBack(effects)
		l.skipDone(effects)
	}
	l.at = l.d.timing.Now()
	l.began = l.at
	if back = l.proceed(ctx, effects); !back && l.chase() {
		l.proceed(effects, effects)
	}
}

// proceed claims, writes and settles until nothing is left to do or ctx ends. It tells
// whether it hands back what is left.
func (l *lane) proceed(ctx, effects context.Context) (back bool) {
	for l.busy() && ctx.Err() == nil {
		run, wait := l.pick(l.d.timing.Now())
		if len(run) == 0 {
			if l.handBack() {
				return true
			}
			l.leaveAside()
			l.yield()
			l.d.timing.Sleep(ctx, wait)
			continue
		}
		if !l.w.setOut(run) {
			return true
		}
		if l.convicted(run[0]) {
			l.bury(ctx, effects, run, outcome.ReasonAttempts)
			continue
		}
		fresh := l.fresh()
		if !fresh && !l.gate.isOpen() {
			l.yield() // what comes next may show whether the sink or a record is at fault
		}
		p, ok := l.gate.enter(ctx, run[0].accused && l.gate.sound(), fresh)
		if !ok {
			l.gate.triesNot(run, nil, l.d.timing.Now())
			continue
		}
		picked := run
		if p.probe || p.few && !p.trial && len(run) == 1 {
			run = l.candidate(p, run)
		}
		run = l.claim(ctx, effects, run)
		if len(run) > 0 && !l.d.pace.wait(ctx, len(run), l.w.batch.Leaving) {
			run = nil
		}
		run = l.sure(run)
		l.gate.triesNot(picked, run, l.d.timing.Now())
		if len(run) == 0 {
			l.gate.leave(p)
			continue
		}
		l.write(effects, run, p)
		l.settle(ctx, effects, run)
	}
	return false
}

// yield lets what is not in order behind the lane's jobs come beside them.
func (l *lane) yield() {
	if now := l.d.timing.Now(); now.Sub(l.yielded) >= yieldEvery {
		l.yielded = now
		l.w.batch.Waits()
	}
}

// yieldEvery is how often a lane that waits looks for what is free to go.
const yieldEvery = 200 * time.Millisecond

// count counts the calls that a stop cut off, or did not make again although nobody
// knows of them.
func (l *lane) count() {
	for _, j := range l.jobs {
		if !j.finished && (j.cut || j.chased && j.held) {
			l.d.cut.Add(1)
		}
		if !j.finished && j.stuck {
			l.d.Pauses.drop(PauseOff)
		}
	}
}

// skipDone finishes, with one look-up, the records whose effects are done: a
// sink that takes one call at a time would else cost a claim for each.
func (l *lane) skipDone(effects context.Context) {
	look, ok := l.d.guard.store.(idempotency.Inspector)
	if !ok || l.gate.limit >= len(l.jobs) {
		return
	}
	ids := make([]idempotency.ID, len(l.jobs))
	for i, j := range l.jobs {
		ids[i] = j.claim.ID
	}
	ctx, cancel := context.WithTimeout(effects, storeTimeout)
	defer cancel()
	began := l.d.timing.Now()
	rows, err := look.Get(ctx, ids)
	if err != nil {
		return // the claims meet the same error, and treat it
	}
	l.at = l.d.timing.Now()
	took := l.at.Sub(began)
	for i, row := range rows {
		if row != nil && row.State == idempotency.Confirmed && row.Digest == l.jobs[i].claim.Digest {
			l.observe(l.jobs[i], events.Event{Kind: events.Claim, Reason: idempotency.Duplicate.String(), Took: took})
			l.end(l.jobs[i], outcome.Duplicate, "", nil)
		}
	}
}

// sure keeps of a run the jobs whose claim is ours for as long as a call may take:
// the rate limit may have held it back for long. The others are asked for again.
func (l *lane) sure(run []*job) []*job {
	if l.d.guard == nil {
		return run
	}
	now := l.d.timing.Now()
	unsure := func(j *job) bool { return !j.unguarded && (!j.held || l.stale(j, now)) }
	if !slices.ContainsFunc(run, unsure) {
		return run
	}
	return slices.DeleteFunc(slices.Clone(run), unsure)
}

// settle ends or postpones each job of a run that was written.
func (l *lane) settle(ctx, effects context.Context, run []*job) {
	var done, refused, exhausted, idle []*job
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
		if effects.Err() == nil && !j.lost.Load() && l.judge(j, f) {
			if f.Class == handlers.NotApplied {
				refused = append(refused, j)
			} else {
				exhausted = append(exhausted, j)
			}
			continue
		}
		j.next = l.at.Add(l.backoff(j, f))
		l.observe(j, events.Event{Kind: events.Retry, Attempt: j.tries, Reason: f.Class.String(), Err: f, Took: j.took})
	}
	l.confirm(effects, done)
	l.d.calling.Add(int64(-len(done)))
	l.bury(ctx, effects, refused, outcome.ReasonRefused)
	l.bury(ctx, effects, exhausted, outcome.ReasonAttempts)
	l.release(effects, idle)
}

// judge tells whether a job has used up its attempts. What is the fault of the
// system as a whole never speaks against a record here: see convicted. A refusal
// that may be the system's counts once others were taken since.
func (l *lane) judge(j *job, f *handlers.Failure) bool {
	switch {
	case f.Class == handlers.Infrastructure:
		return false
	case f.Class == handlers.NotApplied && !f.Suspect:
		return true
	}
	j.judged++
	taken := l.gate.taken.Load()
	alone := f.Class == handlers.NotApplied && j.judged > 1 && taken > j.seen
	j.seen = taken
	return alone || j.judged >= l.gate.plan.Retry.Attempts
}

// convicted tells whether j alone was at fault as often as it has attempts: so a
// record that brings the receiver down can't hold the rest for ever. Its first
// failure counts, which accused it.
func (l *lane) convicted(j *job) bool {
	return j.accused && int(j.convicted.Load()) >= max(1, l.gate.plan.Retry.Attempts-1)
}

// backoff is how long a job waits after its last failure: doubled each time, up
// to the maximum, less a random quarter so that retries spread. Where the system
// is at fault the gate does the waiting, and the job lets others go first.
func (l *lane) backoff(j *job, f *handlers.Failure) time.Duration {
	r := l.gate.plan.Retry
	switch {
	case f.Scope != "":
		return 0 // the absence does the waiting
	case f.Class == handlers.Infrastructure:
		return l.d.timing.Jitter(clock.Exponential(r.Initial, min(r.Max, maxPause), j.tries))
	}
	return max(l.d.timing.Jitter(clock.Exponential(r.Initial, r.Max, j.judged)), f.RetryAfter)
}

// bury dead-letters jobs, and only then settles their claims: released where the
// effect certainly did not happen, else parked.
func (l *lane) bury(ctx, effects context.Context, jobs []*job, reason string) {
	if len(jobs) == 0 {
		return
	}
	if l.d.letters.topic == "" {
		l.stick(jobs)
		return
	}
	letters := make([]letter, len(jobs))
	for i, j := range jobs {
		stage := outcome.StageWrite
		if j.tries == 0 {
			stage = outcome.StageClaim
		}
		letters[i] = letter{
			index: j.index, rec: j.rec, topicID: l.w.batch.TopicID, sink: l.gate.plan.Name, stage: stage, reason: reason,
			first: j.first, last: j.last, firstAt: j.firstAt, lastAt: j.lastAt, attempts: j.tries, key: j.key,
		}
	}
	if !l.d.letters.write(ctx, effects, letters) {
		return
	}
	l.at = l.d.timing.Now()
	var parked []*job
	for _, j := range jobs {
		if j.maybe && j.held {
			parked = append(parked, j)
		}
	}
	if !l.d.guard.park(effects, l, parked) {
		return
	}
	l.release(effects, jobs)
	for _, j := range jobs {
		l.end(j, outcome.DeadLettered, reason, j.last)
	}
}

// stick blocks at jobs that belong into the dead letters, which are off: the same
// calls are made again and again.
func (l *lane) stick(jobs []*job) {
	for _, j := range jobs {
		j.next = l.d.timing.Now().Add(l.gate.plan.Retry.Max)
		j.convicted.Store(0) // to be tried again
		if j.tries == 0 && j.held {
			l.drop(j) // not settled: found uncertain again when asked for anew
		}
		if !j.stuck {
			j.stuck = true
			l.w.batch.Stuck(j.index)
			l.d.Pauses.hold(PauseOff, fmt.Errorf("%s: %w", coordinates(j.rec), j.last))
		}
	}
}

// end finishes a job.
func (l *lane) end(j *job, o outcome.Outcome, reason string, err error) {
	j.finished = true
	l.left--
	if j.stuck {
		l.d.Pauses.release(PauseOff)
	}
	if l.gate.scoped != nil && l.w.batch.InLine() {
		l.w.setOut([]*job{j})
		l.w.batch.Leave(j.index, l.placeOf(j))
	}
	l.w.end(j.index, o, reason, err, l.at)
}

// maxRun is the longest run, that of a lane batch.
const maxRun = 1024
