package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/kafka"
)

func park(p *PipelinePlan) { p.Idempotency.OnUncertain = ActionPark }

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
		if n := next.journal.count(Delivered); n != 8 || time.Since(began) > time.Second {
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
		if keys, total := sink.effects(); keys != 1 || total != 1 || r.journal.outcomes[1] != Delivered {
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
		if n := r.journal.count(Delivered); n != 48 || len(r.letters.records) > 0 {
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
				store, _ := awayStore(5*time.Second, 50*time.Second)
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

// A claim that is known to be lost, or that may have run out while the rate limit
// held the record back, is not written under.
func TestLostClaimIsNotWrittenUnder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		failing := time.Now().Add(20 * time.Second)
		flaky := &oneSided{Store: store, fail: func() bool { return time.Now().Before(failing) }}
		change := func(p *PipelinePlan) { p.RateLimit, p.Idempotency.Lease = 0.01, 3*time.Second }
		slow := &scripted{}
		first := newRig(t, flaky, change, slow)
		second := newRig(t, store, func(p *PipelinePlan) { p.Idempotency.Lease = 3 * time.Second }, &scripted{})
		var wg sync.WaitGroup
		wg.Go(func() { first.deliver(t.Context(), rec(0, "z", "z"), rec(1, "a", "x")) })
		time.Sleep(10 * time.Second)
		second.deliver(t.Context(), rec(2, "b", "x"))
		wg.Wait()
		if calls := slow.called(); len(calls) != 1 || calls[0] != "0" || first.journal.outcomes[1] != Duplicate {
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
		sink := &scripted{limit: 2, script: func(_ *handlers.Call, n int) error {
			if n == 2 {
				// The first key goes to somebody else meanwhile.
				id := idempotency.Identity("p", "s0", 1, "k:x")
				store.Delete(t.Context(), []idempotency.ID{id})
				c := r.delivery.guard.claimFor("p", "s0", Decision{Key: "k:x"}, rec(9, "q", "x"))
				c.Token = other.Next()
				store.Claim(t.Context(), []idempotency.Claim{c})
			}
			return errors.New("no answer")
		}}
		r = newRig(t, store, nil, sink)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r.deliver(ctx, rec(1, "a", "x"), rec(2, "b", "y"))
		id := idempotency.Identity("p", "s0", 1, "k:y")
		if rows, _ := store.Get(t.Context(), []idempotency.ID{id}); rows[0] == nil {
			t.Error("the claim of an effect that may have happened was released")
		}
	})
}

// Order is that of the source, whatever the records are written under.
func TestOrderOfTheSourceHoldsBehindAFailure(t *testing.T) {
	for name, c := range map[string]struct {
		order kafka.Order
		keys  string
		want  []string
	}{
		"partition": {kafka.OrderPartition, "abc", []string{"1", "1", "2", "3"}},
		"key":       {kafka.OrderKey, "aaa", []string{"1", "1", "2", "3"}},
		"none":      {kafka.OrderNone, "aaa", []string{"1", "2", "3", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &scripted{limit: 10, rekey: true, script: func(_ *handlers.Call, n int) error {
					if n == 1 {
						return errBoom
					}
					return nil
				}}
				r := newRig(t, storetest.NewModel(time.Now), func(p *PipelinePlan) { p.Source.Order = c.order }, sink)
				r.deliver(t.Context(), rec(1, c.keys[:1], "x"), rec(2, c.keys[1:2], "y"), rec(3, c.keys[2:], "z"))
				if diff := cmp.Diff(c.want, sink.called()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// Without dead letters a record that can't be decided holds what is behind it in
// its order, and nothing else.
func TestDeadLetterOffKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{}
		r := newRig(t, storetest.NewModel(time.Now), func(p *PipelinePlan) { p.DeadLetter = "" }, sink)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			// An empty value makes an empty key, which is an error.
			done, _ := r.deliver(ctx, rec(1, "a", "x"), rec(2, "a", ""), rec(3, "a", "y"), rec(4, "b", "z"))
			if diff := cmp.Diff([]bool{true, false, false, true}, done); diff != "" {
				t.Error(diff)
			}
		})
		time.Sleep(30 * time.Second)
		if reasons := r.delivery.Reasons(); len(reasons) != 1 || !strings.HasPrefix(reasons[0], PauseOff+": in/0/2: ") {
			t.Errorf("reasons %q", reasons)
		}
		wg.Wait()
		if diff := cmp.Diff([]string{"1", "4"}, sink.called()); diff != "" {
			t.Error(diff)
		}
		if reasons := r.delivery.Reasons(); len(reasons) != 0 {
			t.Errorf("reasons afterwards %q", reasons)
		}
	})
}

// A panic while a request is made is that record's error.
func TestPanicInRender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.NewModel(time.Now), nil, &scripted{panics: "2"})
		done, err := r.deliver(t.Context(), rec(1, "a", "1"), rec(2, "a", "2"), rec(3, "a", "3"))
		if err != nil || !all(done) || r.journal.count(Delivered) != 2 {
			t.Errorf("err %v, outcomes %v", err, r.journal.outcomes)
		}
		if diff := cmp.Diff([]string{"2 render_failed"}, r.letters.reasons()); diff != "" {
			t.Error(diff)
		}
	})
}

// A dead letter fits in the end, whichever part of its record is too large.
func TestDeadLetterFits(t *testing.T) {
	large := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		key, value, header string
		want               string
	}{
		"value":   {"k", large, "h", "key headers -value"},
		"headers": {"k", "v", large, "key -headers -value"},
		"key":     {large, "v", "h", "-key -headers -value"},
		"all":     {large, large, large, "-key -headers -value"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &scripted{script: func(*handlers.Call, int) error { return handlers.Permanent(errBoom) }}
				r := newRig(t, storetest.NewModel(time.Now), func(p *PipelinePlan) { p.Idempotency = nil }, sink)
				r.letters.fail = func(records []*handlers.Record) error {
					if sizeOf(records[0]) > 5000 {
						return handlers.Permanent(fmt.Errorf("refused: %w", handlers.ErrTooLarge))
					}
					return nil
				}
				record := rec(1, c.key, c.value)
				record.Headers = []handlers.Header{{Key: "trace", Value: []byte(c.header)}}
				if done, _ := r.deliver(t.Context(), record); !all(done) || len(r.letters.records) != 1 {
					t.Fatalf("done %v, letters %v", done, r.letters.reasons())
				}
				if got := described(r.letters.records[0]); got != c.want {
					t.Errorf("the letter has %s, want %s", got, c.want)
				}
			})
		})
	}
}

func sizeOf(r *handlers.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// described lists what a letter has of its record, and with a minus what it has
// only the digest of.
func described(r *handlers.Record) string {
	var parts []string
	for _, part := range []struct {
		name   string
		has    bool
		digest string
	}{
		{"key", r.Key != nil, HeaderKeyDigest},
		{"headers", r.Headers[0].Key == "trace", HeaderHeadersDigest},
		{"value", r.Value != nil, HeaderValueDigest},
	} {
		if _, ok := r.Header(part.digest); ok {
			parts = append(parts, "-"+part.name)
		}
		if part.has {
			parts = append(parts, part.name)
		}
	}
	return strings.Join(parts, " ")
}
