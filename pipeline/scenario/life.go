package scenario

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// life is one life of the process that a test runs: from its start to the end of
// the test, or to its crash. What is dead has no effect any more.
type life struct {
	in       *rehearsal
	ctx      context.Context
	end      context.CancelFunc
	delivery *deliver.Delivery
	dead     bool
	// crashed, stopped and blocked are why it is dead: at most one is set.
	crashed, blocked bool
	stopped          error
}

func newLife(ctx context.Context, in *rehearsal) *life {
	l := &life{in: in}
	l.ctx, l.end = context.WithCancel(ctx)
	in.clock.over, in.clock.stuck = false, func() { l.die(); l.blocked = true }
	run := idempotency.NewRun()
	deps := deliver.Deps{
		Sinks: in.sinks, Run: run, Holder: idempotency.Holder{Host: "test", PID: in.lives, Run: run.ID()},
		Producer: &letterbox{l}, ConfigDigest: in.digest, Observer: l, Clock: in.clock,
		Logger: slog.New(slog.DiscardHandler), Stop: func(err error) { l.die(); l.stopped = err },
	}
	if in.pipeline.Idempotency != nil {
		deps.Store = &store{in.keys, l}
	}
	l.delivery = deliver.New(l.ctx, &in.pipeline, deps)
	return l
}

// die ends the life where it stands.
func (l *life) die() {
	l.dead, l.in.clock.over = true, true
	l.end()
}

// close frees what the life holds.
func (l *life) close() {
	l.end()
	l.delivery.Close()
}

// deliver hands records over as one lane batch, and says which were finished.
func (l *life) deliver(records []*handlers.Record) ([]bool, error) {
	finished := make([]bool, len(records))
	batch := kafka.NewBatch(records[0].Topic, records[0].Partition, [16]byte{}, 0, records, func(i int) {
		if !l.dead {
			finished[i] = true
		}
	})
	err := l.delivery.Handle(kafka.NewMessage(l.ctx, batch))
	return finished, err
}

// reach notes that the process came to a point with a record, and tells whether
// it dies there.
func (l *life) reach(p plan.CrashPoint, g *got) bool {
	in := l.in
	if in.test.Crash.Point != p || in.crashed {
		return false
	}
	if in.reached++; in.reached < in.test.Crash.Times {
		return false
	}
	in.crashed, l.crashed = true, true
	in.tell(g, "", fmt.Sprintf("the process dies %s", p))
	l.die()
	return true
}

// Observe keeps what happens.
func (l *life) Observe(e events.Event) {
	if l.dead {
		return
	}
	g := l.in.at(e.Topic, e.Partition, e.Offset)
	switch e.Kind {
	case events.Record:
		g.outcome, g.reason, g.err = e.Outcome, e.Reason, e.Err
		text := string(e.Outcome)
		if e.Reason != "" && e.Reason != text {
			text += " (" + e.Reason + ")"
		}
		l.in.tell(g, "", text)
	case events.Claim:
		if g.claimed(claimant{e.Sink, l.in.lives}, e.Reason) {
			l.in.tell(g, e.Sink, "claim: "+e.Reason)
		}
	case events.Confirm:
		l.in.tell(g, e.Sink, trimmed("confirm: "+e.Reason))
	case events.Conflict:
		l.in.tell(g, e.Sink, "conflict: the key is done, with other content")
	case events.DeadLetter:
		l.in.tell(g, e.Sink, "dead letter: "+e.Reason)
	case events.Pause:
		l.in.tell(nil, e.Sink, fmt.Sprintf("the pipeline waits for %s: %v", e.Reason, e.Err))
	case events.Resume:
		l.in.tell(nil, e.Sink, "the pipeline goes on")
	}
}
