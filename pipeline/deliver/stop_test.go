package deliver

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// A call must not outlive its partition: another process may make it meanwhile.
func TestEffectsEndWhenThePartitionIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		effects, release := detach(ctx, 20*time.Second)
		defer release()
		time.Sleep(time.Minute)
		if err := effects.Err(); err != nil {
			t.Fatalf("before the end: %v", err)
		}
		began := time.Now()
		// Of a drain of 20 s, 17 were spent on catching up.
		cancel(&kafka.Ending{By: began.Add(3 * time.Second)})
		<-effects.Done()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("effects may go on for %s, and the partition is another's after 3s", took)
		}
	})
}

// Lanes that wait for the rate limit and give up must not delay those behind
// them: a stop waits for these.
func TestRateLimitForgetsWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(10, clock.NewTiming(nil))
		stopped, stop := context.WithCancel(t.Context())
		var lanes sync.WaitGroup
		var through atomic.Int32
		began := time.Now()
		for range 100 {
			lanes.Go(func() {
				if p.wait(stopped, 10, patient) {
					through.Add(1)
				}
			})
		}
		synctest.Wait()
		var last time.Duration
		lanes.Go(func() {
			if !p.wait(t.Context(), 10, patient) {
				t.Error("the one that is waited for did not get its turn")
			}
			last = time.Since(began)
		})
		synctest.Wait()
		stop()
		lanes.Wait()
		if n := through.Load(); n != 1 {
			t.Errorf("%d went through at once, want the 1 that the limit allows", n)
		}
		if last > time.Second {
			t.Errorf("10 records of 10/s waited %s behind lanes that had given up", last)
		}
	})
}

func TestWhatMayComeAgain(t *testing.T) {
	keyed, plain := &Delivery{guard: &guard{}}, &Delivery{}
	for _, c := range []struct {
		d       *Delivery
		outcome outcome.Outcome
		reason  string
		want    bool
	}{
		{keyed, outcome.Delivered, "", true},
		{keyed, outcome.Delivered, outcome.ReasonUnguarded, false},
		{plain, outcome.Delivered, "", false},
		{keyed, outcome.DeadLettered, outcome.ReasonRefused, false},
		{keyed, outcome.Duplicate, "", true},
		{plain, outcome.Filtered, "", true},
		{plain, outcome.Unmatched, "", true},
		{plain, outcome.Dropped, "", true},
	} {
		if got := c.d.repeatable(c.outcome, c.reason); got != c.want {
			t.Errorf("%s %q, guarded %v: %v, want %v", c.outcome, c.reason, c.d.guard != nil, got, c.want)
		}
	}
}

func patient() bool { return false }

// Lanes whose partition is being given up go first at the rate limit, also those
// that waited before it was.
func TestRateLimitLetsThoseFirstWhoLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(10, clock.NewTiming(nil))
		p.wait(t.Context(), 10, patient) // the first second is used up
		var leaves atomic.Bool
		began := time.Now()
		var lanes sync.WaitGroup
		for range 50 {
			lanes.Go(func() { p.wait(t.Context(), 10, patient) })
		}
		synctest.Wait()
		lanes.Go(func() {
			p.wait(t.Context(), 10, leaves.Load)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it had its turn after %s", took)
			}
		})
		synctest.Wait()
		leaves.Store(true)
		lanes.Wait()
	})
}

// What a second signal cuts off are calls, and effects that are not confirmed, not
// all that was fetched.
func TestUnderWay(t *testing.T) {
	for action, waiting := range map[plan.Action]int{plan.ActionRetry: 0, plan.ActionPark: 1} {
		synctest.Test(t, func(t *testing.T) {
			store := storetest.NewModel(time.Now)
			var down atomic.Bool
			store.Fail = func(op string) error {
				if op == "confirm" && down.Load() {
					return errBoom
				}
				return nil
			}
			answer := make(chan error)
			sink := &scripted{script: func(*handlers.Call, int) error { return <-answer }}
			r := newRig(t, store, func(p *plan.Pipeline) { p.Idempotency.OnUncertain = action }, sink)
			under := func(when string, want int) {
				t.Helper()
				synctest.Wait()
				if got := r.delivery.UnderWay(); got != want {
					t.Errorf("%s, %s: %d under way, want %d", action, when, got, want)
				}
			}
			var lane sync.WaitGroup
			lane.Go(func() { r.deliver(t.Context(), rec(1, "a", "x"), rec(2, "a", "y"), rec(3, "a", "z")) })
			under("called", 1)
			answer <- answered500
			under("answered 500", waiting)
			time.Sleep(time.Second)
			under("called again", 1)
			down.Store(true)
			answer <- nil
			under("taken, and not confirmed", 1)
			down.Store(false)
			time.Sleep(time.Minute)
			under("the next", 1)
			answer <- nil
			time.Sleep(time.Second)
			answer <- nil
			lane.Wait()
			under("done", 0)
		})
	}
}
