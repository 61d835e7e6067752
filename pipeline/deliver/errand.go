package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/events"
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
	// at is when something last happened to its jobs: the time is not asked for again
	// for each of them.
	at time.Time
	// yielded is when it last let others come beside it.
	yielded time.Time
	// chasing tells that a stop goes on with the chased jobs alone.
	chasing bool
	// skipped is how many skips it has seen.
	skipped int64

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
		j.claim.ID = idempotency.Coordinates(e.d.plan.Name, name, 1, e.w.topicID(index), rec.Partition, rec.Offset)
	}
	e.again(j)
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
	e.at = e.d.timing.Now()
	e.began = e.at
	if back = e.proceed(ctx, effects); !back && e.chase() {
		e.proceed(effects, effects)
	}
}

// proceed claims, writes and settles until nothing is left to do or ctx ends. It tells
// whether it hands back what is left.
func (e *errand) proceed(ctx, effects context.Context) (back bool) {
	for e.busy() && ctx.Err() == nil {
		if e.skip(effects) {
			continue
		}
		run, wait := e.pick(e.d.timing.Now())
		if len(run) == 0 {
			if e.handBack() {
				return true
			}
			e.leaveAside()
			e.yield()
			e.rest(ctx, wait)
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
		p, ok := e.gate.enter(ctx, run[0].accused && e.gate.sound(), fresh, e.skipped)
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

// settle ends or postpones each job of a run that was written.
func (e *errand) settle(ctx, effects context.Context, run []*job) {
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
		if effects.Err() == nil && !j.lost.Load() && e.judge(j, f) {
			if f.Class == handlers.NotApplied {
				refused = append(refused, j)
			} else {
				exhausted = append(exhausted, j)
			}
			continue
		}
		j.next = e.at.Add(e.backoff(j, f))
		e.observe(j, events.Event{Kind: events.Retry, Attempt: j.tries, Reason: f.Class.String(), Err: f, Took: j.took})
	}
	e.confirm(effects, done)
	e.d.calling.Add(int64(-len(done)))
	e.deadLetter(ctx, effects, refused, outcome.ReasonRefused)
	e.deadLetter(ctx, effects, exhausted, outcome.ReasonAttempts)
	e.release(effects, idle)
}

// end finishes a job.
func (e *errand) end(j *job, o outcome.Outcome, reason string, err error) {
	j.finished = true
	e.left--
	e.standsNot(j)
	if j.stuck {
		e.d.pauses.release(PauseOff)
	}
	if e.gate.scoped != nil && e.w.batch.InLine() {
		e.w.setOut([]*job{j})
		e.w.batch.Leave(j.index, e.placeOf(j))
	}
	e.w.end(j.index, o, reason, err, e.at)
}

// maxRun is the longest run, that of a lane batch.
const maxRun = 1024
