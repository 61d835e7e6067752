package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

func park(p *plan.Pipeline) { p.Idempotency.OnUncertain = plan.ActionPark }

// refusedConnection is a call of which not a byte was sent.
func refusedConnection(*handlers.Call, int) error {
	return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Err: errors.New("connection refused")}
}

// A stop while the receiver refuses connections parks nothing: nothing was sent.
// The claims are free at once for the next process.
func TestStopInAnOutageParksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		r := newRig(t, store, park, &scripted{script: refusedConnection})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		each := func(r *rig, ctx context.Context) {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() { r.deliver(ctx, rec(int64(i), fmt.Sprint("k", i), fmt.Sprint("v", i))) })
			}
			wg.Wait()
		}
		each(r, ctx)
		if n := r.delivery.Cut(); n != 0 {
			t.Errorf("%d are said to be of unknown fate", n)
		}
		next := newRig(t, store, park, &scripted{})
		began := time.Now()
		each(next, t.Context())
		if n := next.journal.count(outcome.Delivered); n != 8 || time.Since(began) > time.Second {
			t.Errorf("%d delivered in %s, letters %v", n, time.Since(began), next.letters.reasons())
		}
	})
}

// A kill in an outage leaves no claim of a call that was not sent.
func TestNoClaimIsHeldWhileNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		r := newRig(t, store, park, &scripted{script: refusedConnection})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { r.deliver(ctx, rec(1, "a", "x"), rec(2, "b", "y")) })
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, v := range []string{"x", "y"} {
			id := idempotency.Identity("p", "s0", 1, "k:"+v)
			if rows, _ := store.Get(t.Context(), []idempotency.ID{id}); rows[0] != nil {
				t.Errorf("key %s is held: %+v", v, rows[0])
			}
		}
		cancel()
		wg.Wait()
	})
}

// Where an attempt's fate is unknown, a later refusal parks the key: the receiver
// may refuse because it has applied the first.
func TestUnknownThenRefusedIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		applied := 0
		sink := &scripted{script: func(_ *handlers.Call, n int) error {
			switch n {
			case 1:
				applied++
				return errors.New("no answer within 5s")
			case 2:
				return handlers.Permanent(errors.New("422 already processed"))
			}
			applied++
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		r.deliver(t.Context(), rec(1, "a", "x"))
		r.deliver(t.Context(), rec(2, "a", "x"))
		if diff := cmp.Diff([]string{"1 refused", "2 parked"}, r.letters.reasons()); diff != "" || applied != 1 {
			t.Errorf("applied %d times, letters %s", applied, diff)
		}
	})
}

// A store that is away for longer than a lease costs a living process nothing: its
// claims are its own until somebody takes them.
func TestStoreAwayDuringALongWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, away := awayStore(time.Second, 46*time.Second)
		sink := &scripted{script: func(*handlers.Call, int) error { time.Sleep(22 * time.Second); return nil }}
		r := newRig(t, store, nil, sink)
		r.deliver(t.Context(), rec(1, "a", "x"))
		if keys, total := sink.effects(); keys != 1 || total != 1 || r.journal.outcomes[1] != outcome.Delivered {
			t.Errorf("%d effects of %d keys, outcome %s", total, keys, r.journal.outcomes[1])
		}
		if !away() {
			t.Error("the store was never away")
		}
	})
}

// awayStore fails from a time to another, counted from now.
func awayStore(from, to time.Duration) (store *storetest.Model, failed func() bool) {
	store = storetest.NewModel(time.Now)
	began := time.Now()
	var mu sync.Mutex
	any := false
	store.Fail = func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if at := time.Since(began); at < from || at >= to {
			return nil
		}
		any = true
		return errors.New("redis: connection refused")
	}
	return store, func() bool { mu.Lock(); defer mu.Unlock(); return any }
}

// Store and receiver away together park nothing that was never sent.
func TestStoreAwayParksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := awayStore(20*time.Second, 65*time.Second)
		back := time.Now().Add(2 * time.Minute)
		sink := &scripted{script: func(c *handlers.Call, n int) error {
			if time.Now().Before(back) {
				return refusedConnection(c, n)
			}
			return nil
		}}
		r := newRig(t, store, park, sink)
		lanes(t, r, 48, 48)
		if n := r.journal.count(outcome.Delivered); n != 48 || len(r.letters.records) > 0 {
			t.Errorf("%d delivered, letters %v", n, r.letters.reasons())
		}
	})
}

// One key in two lanes, and in two processes, is one effect also where the store
// is silent for longer than a lease: who holds it comes first when it is back.
func TestStoreAwayWithOneKeyWantedTwice(t *testing.T) {
	for _, processes := range []int{1, 2} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, _ := awayStore(5*time.Second, 50*time.Second+500*time.Millisecond)
				sink := &scripted{script: func(*handlers.Call, int) error { time.Sleep(12 * time.Second); return nil }}
				rigs := []*rig{newRig(t, store, nil, sink)}
				rigs = append(rigs, rigs[0])
				if processes == 2 {
					rigs[1] = newRig(t, store, nil, sink)
				}
				var wg sync.WaitGroup
				for i := range 20 {
					for n, r := range rigs {
						wg.Go(func() {
							time.Sleep(time.Duration(n) * time.Second)
							r.deliver(t.Context(), rec(int64(100*n+i), fmt.Sprint(n, i), fmt.Sprint("v", i)))
						})
					}
				}
				wg.Wait()
				if keys, total := sink.effects(); keys != 20 || total != 20 {
					t.Errorf("%d effects of %d keys", total, keys)
				}
			})
		})
	}
}

// Who wants a key that another lane of its process is at does not ask the store.
func TestOneKeyInTwoLanesIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: storetest.NewModel(time.Now)}
		sink := &scripted{script: func(*handlers.Call, int) error { time.Sleep(10 * time.Second); return nil }}
		r := newRig(t, store, nil, sink)
		var wg sync.WaitGroup
		for i, key := range []string{"a", "b", "c"} {
			wg.Go(func() { r.deliver(t.Context(), rec(int64(i), key, "x")) })
		}
		wg.Wait()
		if n := store.claims.Load(); n > 3 || r.journal.count(outcome.Duplicate) != 2 {
			t.Errorf("the store was asked for the key %d times, outcomes %v", n, r.journal.outcomes)
		}
	})
}

// counting counts the claims that a store is asked for.
type counting struct {
	idempotency.Store
	claims atomic.Int64
}

func (s *counting) Claim(ctx context.Context, c []idempotency.Claim) ([]idempotency.Verdict, error) {
	s.claims.Add(int64(len(c)))
	return s.Store.Claim(ctx, c)
}

// A claim that is known to be lost, or that may have run out while the rate limit
// held the record back, is not written under.
func TestLostClaimIsNotWrittenUnder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		failing := time.Now().Add(20 * time.Second)
		flaky := &oneSided{Store: store, fail: func() bool { return time.Now().Before(failing) }}
		change := func(p *plan.Pipeline) { p.RateLimit, p.Idempotency.Lease = 0.01, 3*time.Second }
		slow := &scripted{}
		first := newRig(t, flaky, change, slow)
		second := newRig(t, store, func(p *plan.Pipeline) { p.Idempotency.Lease = 3 * time.Second }, &scripted{})
		var wg sync.WaitGroup
		wg.Go(func() { first.deliver(t.Context(), rec(0, "z", "z"), rec(1, "a", "x")) })
		time.Sleep(10 * time.Second)
		second.deliver(t.Context(), rec(2, "b", "x"))
		wg.Wait()
		if calls := slow.called(); len(calls) != 1 || calls[0] != "0" || first.journal.outcomes[1] != outcome.Duplicate {
			t.Errorf("calls %v, outcomes %v", calls, first.journal.outcomes)
		}
	})
}

// oneSided is a store whose extensions fail for one of its users.
type oneSided struct {
	idempotency.Store
	fail func() bool
}

func (s *oneSided) Extend(ctx context.Context, c []idempotency.Claim) ([]idempotency.TokenState, error) {
	if s.fail() {
		return nil, errBoom
	}
	return s.Store.Extend(ctx, c)
}

// A record whose effect may have happened keeps its claim also behind one whose
// key somebody else has.
func TestBehindABusyOneItKeepsItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		var r *rig
		other := idempotency.NewRun()
		stolen := false
		sink := &scripted{limit: 2, whole: func(context.Context) error {
			if !stolen {
				// The first key goes to somebody else meanwhile.
				stolen = true
				id := idempotency.Identity("p", "s0", 1, "k:x")
				store.Delete(t.Context(), []idempotency.ID{id})
				c := r.delivery.guard.claimFor("p", "s0", &decide.Decision{Key: "k:x"}, rec(9, "q", "x"))
				c.Token = other.Next()
				store.Claim(t.Context(), []idempotency.Claim{c})
			}
			return errors.New("no answer")
		}}
		r = newRig(t, store, func(p *plan.Pipeline) {
			p.Routes[0].Sinks[0].Retry = plan.Retry{Attempts: 50, Initial: 5 * time.Second, Max: 5 * time.Second}
		}, sink)
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		r.deliver(ctx, rec(1, "a", "x"), rec(2, "a", "y"))
		id := idempotency.Identity("p", "s0", 1, "k:y")
		if rows, _ := store.Get(t.Context(), []idempotency.ID{id}); rows[0] == nil {
			t.Error("the claim of an effect that may have happened was released")
		}
	})
}

// What could not be given back when a partition went, because the store was away, is
// given back once it answers: who has the partition now need not wait for the lease.
func TestClaimsAreGivenBackLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := awayStore(2*time.Second, 10*time.Second)
		r := newRig(t, store, func(p *plan.Pipeline) { p.RateLimit = 0.1 }, &scripted{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		r.deliver(ctx, rec(1, "a", "x"), rec(2, "b", "y")) // the second waits for its turn
		next := newRig(t, store, nil, &scripted{})
		began := time.Now()
		next.deliver(t.Context(), rec(2, "b", "y"))
		if took := time.Since(began); took > 12*time.Second || next.journal.outcomes[2] != outcome.Delivered {
			t.Errorf("after %s it is %s", took, next.journal.outcomes[2])
		}
	})
}

// One claim that is lost does not cut off the calls of the others.
func TestOneLostClaimCutsOffNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		tries := 0
		sink := &scripted{limit: 2, whole: func(ctx context.Context) error {
			tries++
			select {
			case <-time.After(40 * time.Second):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}}
		r := newRig(t, store, nil, sink)
		go func() {
			time.Sleep(time.Second)
			store.Delete(t.Context(), []idempotency.ID{idempotency.Identity("p", "s0", 1, "k:x")})
		}()
		r.deliver(t.Context(), rec(1, "a", "x"), rec(2, "b", "y"))
		if tries != 1 || r.journal.count(outcome.Delivered) != 2 {
			t.Errorf("outcomes %v after %d tries", r.journal.outcomes, tries)
		}
	})
}

// A key whose dead letter is written is parked, also where the store is away just
// then.
func TestParkingWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		back := time.Now().Add(time.Minute)
		store.Fail = func(op string) error {
			if op == "settle" && time.Now().Before(back) {
				return errBoom
			}
			return nil
		}
		sink := &scripted{script: func(*handlers.Call, int) error {
			return &handlers.Failure{Class: handlers.Unknown, Own: true, Err: errBoom}
		}}
		r := newRig(t, store, nil, sink)
		r.deliver(t.Context(), rec(1, "a", "x"))
		r.deliver(t.Context(), rec(2, "a", "x"))
		if diff := cmp.Diff([]string{"1 attempts", "2 parked"}, r.letters.reasons()); diff != "" || len(sink.called()) != 5 {
			t.Errorf("%d calls, letters %s", len(sink.called()), diff)
		}
		if reasons := r.reasons(); len(reasons) > 0 {
			t.Errorf("still paused: %v", reasons)
		}
	})
}
