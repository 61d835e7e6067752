package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/millrace/millrace/handlers"
)

// write makes the calls of run, tells the gate how it went, and notes each
// job's failure in its last; nil there means that the call is durable.
func (l *lane) write(effects context.Context, run []*job, probe bool) {
	ctx, cancel := context.WithCancelCause(effects)
	defer cancel(nil)
	l.mu.Lock()
	l.cancel = cancel
	l.mu.Unlock()

	calls := make([]handlers.Call, len(run))
	for i, j := range run {
		j.tries++
		calls[i] = j.call
	}
	began := l.d.timing.Now()
	err := safely(l.d.log, func() error { return l.gate.sink.Write(ctx, calls) })
	took := l.d.timing.Now().Sub(began)

	l.mu.Lock()
	l.cancel = nil
	l.mu.Unlock()
	outcome := gateNothing
	var pause time.Duration
	var cause error
	for i, j := range run {
		j.call.Answer, j.took = calls[i].Answer, took
		f := handlers.FailureOf(err, i)
		if f != nil && effects.Err() != nil && f.Class != handlers.NotApplied && f.Class != handlers.NotAttempted {
			f = &handlers.Failure{Class: handlers.Unknown, Err: f.Err} // cut off by the stop: nobody's fault
		}
		if f == nil {
			j.last = nil
			outcome = max(outcome, gateTaken)
			l.observe(j, Event{Kind: EventWrite, Attempt: j.tries, Took: took})
			continue
		}
		l.fault(j, f)
		if f.Class == handlers.NotApplied && !f.NotSent && !f.Suspect {
			outcome = max(outcome, gateTaken) // refused, so the sink is there
		}
		down := f.Class == handlers.Infrastructure
		if (down || f.Suspect) && l.gate.suspect(j.rec) || down {
			j.last = &handlers.Failure{Class: handlers.Infrastructure, Err: f.Err, RetryAfter: f.RetryAfter, NotSent: f.NotSent}
			outcome, pause, cause = gateDown, max(pause, f.RetryAfter), f.Err
		}
	}
	l.gate.result(probe, outcome, began, pause, cause)
}

// fault notes what a failed call says of its job.
func (l *lane) fault(j *job, f *handlers.Failure) {
	j.last = f
	if f.Class == handlers.NotAttempted {
		j.tries--
		return
	}
	if j.first == nil {
		j.first = f.Err
	}
	if !f.NotSent && f.Class != handlers.NotApplied {
		j.maybe = true
	}
}

// safely turns a sink's panic into a failure of unknown fate.
func safely(log *slog.Logger, write func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("the sink panicked", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("the sink panicked: %v", p)
		}
	}()
	return write()
}
