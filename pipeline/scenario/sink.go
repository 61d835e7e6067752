package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/plan"
)

// scripted is a sink that renders as it does in a run, and answers its calls as
// the test says.
type scripted struct {
	handlers.Sink
	plan   *plan.Sink
	limit  int
	script []plan.ScriptStep
	used   int // answers of the first step of script
	calls  int
	in     *rehearsal
	// tokens are how many calls a rate takes now, filled up at a time.
	tokens float64
	filled time.Time
}

func newScripted(sink handlers.Sink, plan *plan.Sink, in *rehearsal) *scripted {
	s := &scripted{Sink: sink, plan: plan, limit: maxBatch, script: in.test.Scripts[plan.Name], in: in}
	if l, ok := sink.(handlers.Limiter); ok {
		s.limit = l.MaxBatch()
	}
	return s
}

// maxBatch is what a sink without a limit of its own is handed at once.
const maxBatch = 1024

// MaxBatch is that of the sink itself.
func (s *scripted) MaxBatch() int { return s.limit }

// Scope is that of the sink itself.
func (s *scripted) Scope(request any) string {
	if scoped, ok := s.Sink.(handlers.Scoped); ok {
		return scoped.Scope(request)
	}
	return ""
}

// Write takes the calls one after the other, each as the script says. As in a
// run, order is kept within each part of the sink's system.
func (s *scripted) Write(ctx context.Context, batch []handlers.Call) error {
	for i := range batch {
		if scope := s.Scope(batch[i].Request); scope != "" {
			batch[i].Order = append([]byte(scope+"/"), batch[i].Order...)
		}
	}
	return handlers.Each(s.call)(ctx, batch)
}

func (s *scripted) call(_ context.Context, call *handlers.Call) error {
	if s.in.life.dead {
		return errDead
	}
	s.calls++
	text, failure := s.answer()
	w := s.in.called(s, call)
	w.calls++
	if failure != nil {
		s.in.tell(w.of, s.plan.Name, fmt.Sprintf("call %d: %s (%s: %s)", w.calls, text, failure.Class, failure))
		return failure
	}
	s.in.tell(w.of, s.plan.Name, fmt.Sprintf("call %d: %s", w.calls, text))
	if s.in.life.reach(plan.CrashAfterWrite, w.of) {
		return errDead
	}
	return nil
}

// answer takes the next answer of the script; behind its end all calls are
// taken.
func (s *scripted) answer() (string, *handlers.Failure) {
	for len(s.script) > 0 && s.used >= s.script[0].Times {
		s.script, s.used = s.script[1:], 0
	}
	if len(s.script) == 0 {
		return string(plan.AnswerOK), nil
	}
	s.used++
	step := s.script[0]
	switch {
	case step.Answer == plan.AnswerRate:
		s.used = 0 // it holds from now on
		if s.token(float64(step.Rate)) {
			return string(plan.AnswerOK), nil
		}
		return "fail 429", s.failure(plan.ScriptStep{Answer: plan.AnswerFail, Status: 429})
	case step.Status != 0:
		return fmt.Sprintf("%s %d", step.Answer, step.Status), s.failure(step)
	}
	return string(step.Answer), s.failure(step)
}

// token takes one out of a bucket that holds those of a second, and at least one.
func (s *scripted) token(rate float64) bool {
	now, most := s.in.clock.Now(), max(1, rate)
	if s.filled.IsZero() {
		s.tokens = most
	} else {
		s.tokens = min(most, s.tokens+rate*now.Sub(s.filled).Seconds())
	}
	s.filled = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// failure is what the sink itself makes of an answer, where it can tell, and else
// what most sinks do.
func (s *scripted) failure(step plan.ScriptStep) *handlers.Failure {
	switch step.Answer {
	case plan.AnswerOK:
		return nil
	case plan.AnswerUnknown:
		return &handlers.Failure{Class: handlers.Unknown, Err: errors.New("whether the call took effect is unknown")}
	}
	if step.Answer != plan.AnswerFail || step.Status != 0 {
		trouble := handlers.Trouble{Status: step.Status, Timeout: step.Answer == plan.AnswerTimeout,
			Refused: step.Answer == plan.AnswerRefused}
		if rehearser, ok := s.plan.Config.(handlers.Rehearser); ok {
			if f, ok := rehearser.Rehearse(trouble); ok {
				return f
			}
		}
	}
	switch step.Answer {
	case plan.AnswerFail:
		return handlers.Permanent(errors.New("the sink refused the record"))
	case plan.AnswerRefused:
		return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Err: errors.New("connection refused")}
	case plan.AnswerTimeout:
		return &handlers.Failure{Class: handlers.Unknown, Err: errors.New("no answer in time")}
	default:
		return &handlers.Failure{Class: handlers.Unknown, Err: errors.New("the connection was lost")}
	}
}

// letterbox takes the dead letters of one life.
type letterbox struct{ life *life }

// Produce keeps dead letters.
func (b *letterbox) Produce(_ context.Context, records []*handlers.Record) error {
	if b.life.dead {
		return errDead
	}
	for _, r := range records {
		b.life.in.letter(r)
	}
	return nil
}
