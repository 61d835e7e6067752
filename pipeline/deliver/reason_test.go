package deliver

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// TestTheReasonIsThatOfTheOutcome ends a record's writes in every order: what is
// told of the record is the reason of the write whose outcome it has.
func TestTheReasonIsThatOfTheOutcome(t *testing.T) {
	refused := errors.New("refused")
	type write struct {
		o      outcome.Outcome
		reason string
		err    error
	}
	delivered, conflict, letter := write{o: outcome.Delivered}, write{outcome.Duplicate, "conflict", nil}, write{outcome.DeadLettered, "refused", refused}
	for _, c := range []struct {
		writes []write
		want   write
	}{
		{[]write{delivered, conflict}, delivered},
		{[]write{conflict, delivered}, delivered},
		{[]write{conflict, {o: outcome.Duplicate}}, conflict},
		{[]write{letter, delivered, conflict}, letter},
		{[]write{conflict, delivered, letter}, letter},
		{[]write{conflict, letter, delivered}, letter},
	} {
		var got write
		d := &Delivery{plan: &plan.Pipeline{}, observer: observerFunc(func(e events.Event) { got = write{e.Outcome, e.Reason, e.Err} })}
		w := newWork(d, kafka.NewBatch("t", 0, [16]byte{}, 0, []*handlers.Record{{}}, func(int) {}))
		w.left[0] = len(c.writes)
		for _, each := range c.writes {
			w.end(0, each.o, each.reason, each.err, time.Time{})
		}
		if got != c.want {
			t.Errorf("%v: got %v, want %v", c.writes, got, c.want)
		}
	}
}

type observerFunc func(events.Event)

func (f observerFunc) Observe(e events.Event) { f(e) }
