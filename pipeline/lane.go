package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
)

// job is one write of one record on its way through claim, write and confirm.
type job struct {
	index int
	rec   *handlers.Record // the source record
	call  handlers.Call
	key   string
	claim idempotency.Claim

	// held tells that the claim is ours; keeper reads it under the lane's mu.
	held bool
	// lost is set by the keeper when the claim went to somebody else.
	lost atomic.Bool
	// maybe tells that an attempt's fate is unknown: the claim must stay.
	maybe bool
	// unguarded tells that the store was down and `on_store_error` is process.
	unguarded bool
	finished  bool

	// tries counts writes; judged counts those that speak against the record.
	tries, judged int
	// infra tells that it met a failure of the system; seen is how many runs
	// its sink had then taken.
	infra bool
	seen  int64
	polls int
	took  time.Duration // its last write
	next  time.Time
	first error
	last  error
}

// lane delivers the writes of one lane batch to one sink.
type lane struct {
	d    *Delivery
	gate *gate
	w    *work
	jobs []*job // those not finished, and some that are
	left int

	mu     sync.Mutex
	cancel context.CancelCauseFunc // of the write in progress
	held   []*job
}

// add queues a write.
func (l *lane) add(index int, rec *handlers.Record, write Write, dec Decision) {
	j := &job{index: index, rec: rec, key: dec.Key, call: handlers.Call{Record: write.Record, Request: write.Request}}
	name := l.gate.plan.Name
	if g := l.d.guard; g != nil {
		j.claim = g.claimFor(l.d.plan.Name, name, dec, rec)
		j.call.ID = j.claim.ID.External()
	} else {
		j.call.ID = idempotency.Coordinates(l.d.plan.Name, name, 1, l.w.batch.TopicID, rec.Partition, rec.Offset).External()
	}
	l.jobs = append(l.jobs, j)
	l.left++
}

// run ends when every write has ended or ctx has. It never waits for another
// holder while it could let go: a Busy key is asked for again later, and the
// other keys go on meanwhile.
func (l *lane) run(ctx, effects context.Context) {
	defer l.count()
	if g := l.d.guard; g != nil {
		g.keep(l)
		defer g.forget(l)
		defer l.giveBack(effects)
		l.skipDone(effects)
	}
	for l.left > 0 && ctx.Err() == nil {
		run, wait := l.pick(l.d.timing.Now())
		if len(run) == 0 {
			l.d.timing.sleep(ctx, wait)
			continue
		}
		probe, ok := l.gate.enter(ctx)
		if !ok {
			return
		}
		if probe {
			run = run[:1]
		}
		run = l.claim(ctx, effects, run)
		if len(run) == 0 || !l.limit(ctx, len(run)) {
			l.gate.leave(probe)
			continue
		}
		l.write(effects, run, probe)
		l.settle(ctx, effects, run)
	}
}

// count counts what is left with an unknown fate at the end.
func (l *lane) count() {
	for _, j := range l.jobs {
		if !j.finished && j.maybe {
			l.d.cut.Add(1)
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
	rows, err := look.Get(ctx, ids)
	if err != nil {
		return // the claims meet the same error, and treat it
	}
	for i, row := range rows {
		if row != nil && row.State == idempotency.Confirmed && row.Digest == l.jobs[i].claim.Digest {
			l.observeClaim(l.jobs[i], idempotency.Duplicate)
			l.end(l.jobs[i], Duplicate, "", nil)
		}
	}
}

// pick chooses the next run: jobs that are due, in order, no key twice, none
// behind an unfinished one of its order key, and no more than the sink takes.
// When none is due it says how long until one is.
func (l *lane) pick(now time.Time) (run []*job, wait time.Duration) {
	for len(l.jobs) > 0 && l.jobs[0].finished {
		l.jobs = l.jobs[1:]
	}
	order := l.d.plan.Source.Order
	var blocked map[string]bool
	var ids map[idempotency.ID]bool
	wait = time.Second
	limit := min(l.gate.limit, l.d.burst())
	block := func(j *job) {
		if blocked == nil {
			blocked = map[string]bool{}
		}
		blocked[string(orderKey(order, j.rec))] = true
	}
	for _, j := range l.jobs {
		if j.finished || order != kafka.OrderNone && blocked[string(orderKey(order, j.rec))] {
			continue
		}
		if j.next.After(now) {
			wait = min(wait, j.next.Sub(now))
			block(j)
			continue
		}
		if l.d.guard != nil && limit > 1 {
			if ids[j.claim.ID] {
				block(j)
				continue
			}
			if ids == nil {
				ids = make(map[idempotency.ID]bool, min(limit, l.left))
			}
			ids[j.claim.ID] = true
		}
		if run = append(run, j); len(run) == limit {
			break
		}
	}
	return run, wait
}

// orderKey is what keeps rec in order: its key, or nothing at all where the
// whole partition stays in order.
func orderKey(order kafka.Order, rec *handlers.Record) []byte {
	if order == kafka.OrderPartition {
		return nil
	}
	return rec.Key
}

// burst is the longest run that the rate limit lets through at once.
func (d *Delivery) burst() int {
	if d.limiter == nil {
		return maxRun
	}
	return min(maxRun, d.limiter.Burst())
}

// limit waits for the rate limit; false means that ctx ended.
func (l *lane) limit(ctx context.Context, n int) bool {
	if l.d.limiter == nil {
		return true
	}
	now := l.d.timing.Now()
	turn := l.d.limiter.ReserveN(now, n)
	if !l.d.timing.sleep(ctx, turn.DelayFrom(now)) {
		turn.CancelAt(l.d.timing.Now())
		return false
	}
	return true
}

// settle ends or postpones each job of a run that was written.
func (l *lane) settle(ctx, effects context.Context, run []*job) {
	var done []*job
	var refused, parked []*job
	now := l.d.timing.Now()
	for _, j := range run {
		if j.last == nil {
			done = append(done, j)
			continue
		}
		var f *handlers.Failure
		errors.As(j.last, &f)
		switch f.Class {
		case handlers.NotAttempted:
		case handlers.NotApplied:
			refused = append(refused, j)
		default:
			if effects.Err() == nil && l.judge(j, f) {
				parked = append(parked, j)
				continue
			}
			j.next = now.Add(l.backoff(j, f))
			l.observe(j, Event{Kind: EventRetry, Attempt: j.tries, Reason: f.Class.String(), Err: f.Err, Took: j.took})
			l.gate.warn(l.d.log, j, f)
		}
	}
	l.confirm(effects, done)
	l.bury(ctx, effects, refused, reasonRefused, idempotency.Released)
	l.bury(ctx, effects, parked, reasonAttempts, idempotency.ParkedAway)
}

// judge tells whether a job has used up its attempts. A failure of the system
// as a whole speaks against the record only where others were taken since its
// first one, and few fail besides: so a record that brings the receiver down
// can't hold the rest for ever, and an outage, which everybody meets, is nobody's
// fault.
func (l *lane) judge(j *job, f *handlers.Failure) bool {
	taken := l.gate.taken.Load()
	switch {
	case f.Class != handlers.Infrastructure:
		j.judged++
	case !j.infra || l.gate.outage():
		j.infra, j.seen, j.judged = true, taken, 1
		return false
	case taken > j.seen:
		if j.judged++; j.judged >= l.gate.plan.Retry.Attempts {
			l.gate.absolve()
		}
	}
	return j.judged >= l.gate.plan.Retry.Attempts
}

// backoff is how long a job waits after its last failure: doubled each time, up
// to the maximum, less a random quarter so that retries spread. Where the system
// is at fault the gate does the waiting, and the job only lets others go first.
func (l *lane) backoff(j *job, f *handlers.Failure) time.Duration {
	r := l.gate.plan.Retry
	if f.Class == handlers.Infrastructure {
		return l.d.timing.jitter(r.Initial)
	}
	return max(l.d.timing.jitter(exponential(r.Initial, r.Max, j.tries)), f.RetryAfter)
}

// bury dead-letters jobs, and only then settles their claims.
func (l *lane) bury(ctx, effects context.Context, jobs []*job, reason string, as idempotency.Settlement) {
	if len(jobs) == 0 {
		return
	}
	if l.d.letters.topic == "" {
		// `dead_letter: off` blocks: the same call is made again and again.
		for _, j := range jobs {
			j.next = l.d.timing.Now().Add(l.gate.plan.Retry.Max)
			if j.tries == 0 && j.held {
				l.drop(j) // not settled: found uncertain again when asked for anew
			}
		}
		l.d.pauses.set(PauseOff, fmt.Errorf("%s: %w", coordinates(jobs[0].rec), jobs[0].last))
		return
	}
	letters := make([]letter, len(jobs))
	for i, j := range jobs {
		stage := StageWrite
		if j.tries == 0 {
			stage = StageClaim
		}
		letters[i] = letter{
			index: j.index, rec: j.rec, sink: l.gate.plan.Name, stage: stage, reason: reason,
			first: j.first, last: j.last, attempts: j.tries, key: j.key,
		}
	}
	if !l.d.letters.write(ctx, effects, letters) {
		return
	}
	l.d.guard.settle(effects, l, jobs, as)
	for _, j := range jobs {
		l.end(j, DeadLettered, reason, j.last)
	}
}

// end finishes a job.
func (l *lane) end(j *job, o Outcome, reason string, err error) {
	j.finished = true
	l.left--
	l.w.end(j.index, o, reason, err)
}

func (l *lane) observe(j *job, e Event) {
	e.Pipeline, e.Sink = l.d.plan.Name, l.gate.plan.Name
	e.Topic, e.Partition, e.Offset = j.rec.Topic, j.rec.Partition, j.rec.Offset
	l.d.observer.Observe(e)
}

func (l *lane) observeClaim(j *job, a idempotency.Answer) {
	l.observe(j, Event{Kind: EventClaim, Reason: a.String()})
}

// maxRun is the longest run, that of a lane batch.
const maxRun = 1024

// coordinates names a record for people.
func coordinates(r *handlers.Record) string {
	return fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset)
}
