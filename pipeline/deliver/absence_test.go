package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
)

// One call tries a part of the system that is away, and who was chosen and is not
// sent leaves that to another.
func TestWhoIsNotSentDoesNotTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.NewModel(time.Now), nil, &scripted{scope: func(c string) string { return c[:1] }})
		g := r.delivery.gates[0]
		to := func(value string) *job { return &job{call: handlers.Call{Request: value, Record: rec(0, "k", value)}} }
		one, other, elsewhere := to("x1"), to("x2"), to("y1")
		g.miss(&handlers.Failure{Class: handlers.Infrastructure, Scope: "x"})
		time.Sleep(maxPause)
		if wait := g.absentFor(one, time.Now()); wait > 0 {
			t.Fatalf("it waits for %s", wait)
		}
		g.tries(one, time.Now())
		if g.absentFor(other, time.Now()) == 0 {
			t.Error("two try at once")
		}
		g.triesNot([]*job{one, elsewhere}, []*job{elsewhere}, time.Now())
		if wait := g.absentFor(other, time.Now()); wait > 0 {
			t.Errorf("nobody tries, and the other waits for %s", wait)
		}
		g.triesNot([]*job{one}, []*job{other}, time.Now())
		if g.absentFor(one, time.Now()) == 0 {
			t.Error("another was sent, and is not waited for")
		}
	})
}
