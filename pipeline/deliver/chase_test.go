package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// answered500 is a call that was answered, and may have taken effect.
var answered500 = &handlers.Failure{Class: handlers.Unknown, Err: errors.New("the receiver answered 500 Internal Server Error")}

// A stop goes on, within the drain, with what it would else leave uncertain: one 500
// that is followed by a 200 parks nothing.
func TestStopTriesTheUnknownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		sink := &scripted{script: func(c *handlers.Call, n int) error {
			if c.Record.Offset == 1 && n == 1 {
				return answered500
			}
			return nil
		}}
		r := newRig(t, store, park, sink)
		ctx, cancel := context.WithCancel(t.Context())
		sink.whole = func(context.Context) error { cancel(); return nil }
		done, _ := r.deliver(ctx, rec(1, "a", "x"), rec(2, "a", "y"), rec(3, "b", "z"))
		if diff := cmp.Diff([]bool{true, false, false}, done); diff != "" {
			t.Errorf("finished: %s", diff)
		}
		next := newRig(t, store, park, &scripted{})
		done, _ = next.deliver(t.Context(), rec(1, "a", "x"), rec(2, "a", "y"), rec(3, "b", "z"))
		if diff := cmp.Diff([]string{"2", "3"}, next.sinks[0].called()); diff != "" || !all(done) || len(r.letters.reasons())+len(next.letters.reasons()) > 0 {
			t.Errorf("calls %s, letters %v, then %v", diff, r.letters.reasons(), next.letters.reasons())
		}
	})
}

// Where the drain ends before the receiver is back, the next start parks what is of
// unknown fate, and says what was met. What was never sent is delivered.
func TestStopInAnOutageOfUnknownFate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		short := func(p *plan.Pipeline) { park(p); p.Source.Drain = 2 * time.Second }
		r := newRig(t, store, short, &scripted{script: func(*handlers.Call, int) error { return answered500 }})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		each := func(r *rig, ctx context.Context) {
			var wg sync.WaitGroup
			for i := range int64(12) {
				wg.Go(func() {
					r.deliver(ctx, rec(2*i, fmt.Sprint("k", i), fmt.Sprint("v", 2*i)), rec(2*i+1, fmt.Sprint("k", i), fmt.Sprint("v", 2*i+1)))
				})
			}
			wg.Wait()
		}
		began := time.Now()
		each(r, ctx)
		if took := time.Since(began); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("the stop took %s", took)
		}
		if reasons := r.letters.reasons(); len(reasons) > 0 {
			t.Errorf("letters %v", reasons)
		}
		next := newRig(t, store, park, &scripted{})
		each(next, t.Context())
		// The second of each key was never sent.
		if n := next.journal.count(outcome.DeadLettered); n == 0 || n > 12 || n+next.journal.count(outcome.Delivered) != 24 {
			t.Errorf("%d dead-lettered, %d delivered", n, next.journal.count(outcome.Delivered))
		}
		for _, record := range next.letters.records {
			l, err := letters.Decode(record)
			if err != nil || l.FirstError != answered500.Error() || l.LastError != decide.ErrUncertain.Error() || l.Reason != outcome.ReasonUncertain {
				t.Errorf("%s: first %q, last %q, %v", l.Reason, l.FirstError, l.LastError, err)
			}
		}
	})
}
