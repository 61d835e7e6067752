package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/events"
)

// write makes the calls of run, tells the gate how it went, and notes each
// job's failure in its last; nil there means that the call is durable.
func (e *errand) write(effects context.Context, run []*job, p pass) {
	ctx, cancel := context.WithCancelCause(effects)
	defer cancel(nil)
	e.mu.Lock()
	e.cancel, e.run = cancel, run
	e.mu.Unlock()

	calls := make([]handlers.Call, len(run))
	for i, j := range run {
		j.tries++
		calls[i] = j.call
	}
	began := e.d.timing.Now()
	e.d.calling.Add(int64(len(run)))
	err := safely(e.d.log, func() error { return e.gate.sink.Write(ctx, calls) })
	e.at = e.d.timing.Now()
	took := e.at.Sub(began)

	e.mu.Lock()
	e.cancel, e.run = nil, nil
	e.mu.Unlock()
	found := finding{job: run[0]}
	for i, j := range run {
		j.call.Answer, j.took = e.d.plan.Redactor.Shown(calls[i].Answer), took
		// An earlier attempt of its own may be what the system knows.
		j.repeated = calls[i].Repeated && !j.maybe
		f := handlers.FailureOf(err, i)
		if f == nil {
			j.last, j.accused = nil, false
			if j.maybe {
				e.met(j, "")
			}
			found.taken = true
			e.gate.reached(j)
			e.observe(j, events.Event{Kind: events.Write, Attempt: j.tries, Took: took})
			continue
		}
		e.d.calling.Add(-1)
		j.cut = effects.Err() != nil && !f.NotSent && f.Class != handlers.NotAttempted
		if cutOff := effects.Err() != nil || j.lost.Load(); cutOff && f.MaySystem() {
			// by us: nobody's fault
			f = &handlers.Failure{Class: handlers.Unknown, NotSent: f.NotSent, Own: true, Err: f.Err}
		}
		e.fault(j, f)
		e.accuse(j, f, p, &found)
	}
	e.gate.result(p, found)
}

// accuse says what a failed call says of the system.
func (e *errand) accuse(j *job, f *handlers.Failure, p pass, found *finding) {
	infra := f.Class == handlers.Infrastructure
	switch {
	case f.Scope != "" && infra:
		j.accused = false
		e.gate.miss(f)
		e.stands(j, e.gate.pauseScope(f.Scope), f.Err)
	case f.MaySystem() && e.gate.suspect(j.rec, p) || infra && (!f.Suspect || f.RetryAfter > 0):
		found.down, found.asked, found.cause = true, max(found.asked, f.RetryAfter), e.causeOf(j, f, p)
		j.last = &handlers.Failure{Class: handlers.Infrastructure, Err: f.Err, RetryAfter: f.RetryAfter,
			NotSent: f.NotSent}
		j.accused = false
	case infra:
		found.missed, found.cause = true, e.causeOf(j, f, p)
		j.accused = true
	case f.MaySystem():
		found.failed = true
	case f.Class == handlers.NotApplied && !f.NotSent:
		found.taken = true // refused, so the sink is there
	}
}

// causeOf is a failure that may be the record's, with the record that met it: where
// the sink stays shut, it may be that one that has to be seen to.
func (e *errand) causeOf(j *job, f *handlers.Failure, p pass) error {
	if f.Class == handlers.Infrastructure && !f.Suspect || !p.probe {
		return f.Err
	}
	e.stands(j, pauseSink+e.gate.plan.Name, f.Err)
	return fmt.Errorf("%w (last tried with the record %s, see `millrace skip`)", f.Err, j.rec.Coordinates())
}

// fault notes what a failed call says of its job.
func (e *errand) fault(j *job, f *handlers.Failure) {
	if f.Class == handlers.NotAttempted {
		j.last = f
		j.tries--
		return
	}
	j.failed(f, e.at)
	if !f.NotSent && f.Class != handlers.NotApplied && !j.maybe {
		j.maybe = true
		e.met(j, e.d.plan.Redactor.Shown(f.Error()))
	}
}

// met notes what the call of j met that left its fate unknown, for the keeper to tell
// the store.
func (e *errand) met(j *job, what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.claim.Answer = what
}

// safely turns a sink's panic into a failure of unknown fate, which like any error
// without a class may be the system's.
func safely(log *slog.Logger, write func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("the sink panicked", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("the sink panicked: %v", p)
		}
	}()
	return write()
}
