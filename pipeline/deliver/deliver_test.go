package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

var errBoom = errors.New("boom")

func all(done []bool) bool { return !slices.Contains(done, false) }

func TestRepeatsAreWrittenOnce(t *testing.T) {
	for _, limit := range []int{1, 100} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &scripted{limit: limit}
				r := newRig(t, storetest.NewModel(time.Now), nil, sink)
				for range 2 {
					done, err := r.deliver(t.Context(), rec(0, "a", "x"), rec(1, "a", "x"), rec(2, "b", "y"), rec(3, "c", "x"))
					if err != nil || !all(done) {
						t.Fatalf("done %v, err %v", done, err)
					}
				}
				if diff := cmp.Diff([]string{"0", "2"}, sink.calls); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRefusedIsDeadLetteredAndReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := true
		sink := &scripted{script: func(*handlers.Call, int) error {
			if refuse {
				return handlers.Permanent(errBoom)
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		done, _ := r.deliver(t.Context(), rec(7, "a", "x"))
		if !all(done) || r.journal.outcomes[7] != outcome.DeadLettered {
			t.Fatalf("done %v, outcome %s", done, r.journal.outcomes[7])
		}
		refuse = false
		if _, err := r.deliver(t.Context(), rec(8, "a", "x")); err != nil || r.journal.outcomes[8] != outcome.Delivered {
			t.Errorf("a released key: outcome %s, err %v", r.journal.outcomes[8], err)
		}
		if diff := cmp.Diff([]string{"7 refused"}, r.letters.reasons()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUnknownIsRetriedThenParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{script: func(c *handlers.Call, _ int) error {
			if c.Record.Offset < 10 {
				return errBoom
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		began := time.Now()
		done, _ := r.deliver(t.Context(), rec(1, "a", "x"), rec(11, "b", "y"))
		if !all(done) {
			t.Fatalf("done %v", done)
		}
		if diff := cmp.Diff([]string{"1", "11", "1", "1", "1", "1"}, sink.calls); diff != "" {
			t.Errorf("calls: the other key must not wait (-want +got):\n%s", diff)
		}
		// The same key again does not reach the sink: its letter waits.
		r.deliver(t.Context(), rec(12, "a", "x"))
		if diff := cmp.Diff([]string{"1 attempts", "12 parked"}, r.letters.reasons()); diff != "" {
			t.Error(diff)
		}
		got := r.letters.letter(t, 0)
		if !began.Equal(got.First) || !got.Last.After(got.First) {
			t.Errorf("it failed first at %s and last at %s, not from %s on", got.First, got.Last, began)
		}
		want := letters.Letter{
			Record: *rec(1, "a", "x"), TopicID: [16]byte{1}, Pipeline: "p", Sink: "s0", Generation: 1, Key: "k:x", Stage: "write", Reason: "attempts",
			FirstError: "boom", LastError: "boom", Attempts: 5, Round: 1, First: got.First, Last: got.Last, ConfigDigest: "digest",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want (-), written (+):\n%s", diff)
		}
	})
}

func TestOrderOfAKeyHoldsBehindAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{limit: 10, script: func(c *handlers.Call, n int) error {
			if c.Record.Offset == 1 && n < 4 {
				return errBoom
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		r.deliver(t.Context(), rec(1, "a", "x"), rec(2, "a", "y"), rec(3, "b", "z"), rec(4, "a", "w"))
		if diff := cmp.Diff([]string{"1", "3", "1", "1", "2", "4"}, sink.calls); diff != "" {
			t.Error(diff)
		}
	})
}

// A receiver that is away, for hours, costs nothing but time.
func TestReceiverDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(3 * time.Hour)
		sink := &scripted{script: func(*handlers.Call, int) error {
			switch {
			case time.Now().After(back):
				return nil
			case time.Until(back) > time.Hour:
				return &handlers.Failure{Class: handlers.Infrastructure, Err: errors.New("connection refused"), NotSent: true}
			default:
				return handlers.Unavailable(errors.New("503"))
			}
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		lanes(t, r, 500, 8)
		if n := r.journal.count(outcome.Delivered); n != 500 {
			t.Errorf("%d delivered", n)
		}
		if len(r.letters.records) > 0 {
			t.Errorf("dead letters: %v", r.letters.reasons())
		}
		if keys, total := sink.effects(); keys != 500 || total != 500 {
			t.Errorf("%d effects of %d keys", total, keys)
		}
		if reasons := r.reasons(); len(reasons) > 0 {
			t.Errorf("still paused: %v", reasons)
		}
		if calls := len(sink.calls); calls > 500+3*3600/3 {
			t.Errorf("%d calls: probing was not one at a time", calls)
		}
	})
}

// lanes delivers n records with keys of their own over several lanes at once.
func lanes(t *testing.T, r *rig, n, width int) {
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	defer cancel()
	var wg sync.WaitGroup
	for lane := range width {
		var records []*handlers.Record
		for i := lane; i < n; i += width {
			records = append(records, rec(int64(i), fmt.Sprint("key", i), fmt.Sprint("v", i)))
		}
		wg.Go(func() {
			done, err := r.deliver(ctx, records...)
			if err != nil || !all(done) {
				t.Errorf("lane %d: err %v, all done: %v", lane, err, all(done))
			}
		})
	}
	wg.Wait()
}

// One record that brings the receiver down can't hold the others for ever, and
// is judged by itself once others were taken in between.
func TestOneRecordBringsTheReceiverDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{script: func(c *handlers.Call, _ int) error {
			time.Sleep(20 * time.Millisecond)
			if c.Record.Offset == 100 {
				return &handlers.Failure{Class: handlers.Infrastructure, Suspect: true, Err: errors.New("502")}
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		lanes(t, r, 3000, 8)
		if diff := cmp.Diff([]string{"100 attempts"}, r.letters.reasons()); diff != "" {
			t.Error(diff)
		}
		if r.journal.count(outcome.DeadLettered) != 1 || r.journal.count(outcome.Delivered) != 2999 {
			t.Errorf("%d dead-lettered, %d delivered", r.journal.count(outcome.DeadLettered), r.journal.count(outcome.Delivered))
		}
		if l := r.letters.letter(t, 0); l.Attempts != 5 {
			t.Errorf("dead-lettered after %d attempts", l.Attempts)
		}
	})
}

// A receiver that comes back only for moments, between long outages, costs no
// record while five or more meet them: what all meet is nobody's fault. The last
// few can't be told from records that bring it down.
func TestFlappingReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		sink := &scripted{script: func(*handlers.Call, int) error {
			time.Sleep(20 * time.Millisecond)
			if time.Since(began)%time.Minute < 500*time.Millisecond {
				return nil
			}
			return handlers.Unavailable(errBoom)
		}}
		r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.Routes[0].Sinks[0].Retry.Max = time.Second }, sink)
		lanes(t, r, 100, 8)
		if n := r.journal.count(outcome.Delivered); n <= 100-suspectRow {
			t.Errorf("%d delivered, letters %v", n, r.letters.reasons())
		}
	})
}

// Five different records in a row that fail suspiciously are the receiver's
// fault: it pauses, and nothing is dead-lettered.
func TestSuspiciousFailuresOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(time.Hour)
		sink := &scripted{script: func(*handlers.Call, int) error {
			if time.Now().Before(back) {
				return &handlers.Failure{Class: handlers.Unknown, Err: errors.New("500")}
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		lanes(t, r, 40, 8)
		if len(r.letters.records) > 0 || r.journal.count(outcome.Delivered) != 40 {
			t.Errorf("letters %v, delivered %d", r.letters.reasons(), r.journal.count(outcome.Delivered))
		}
	})
}

// Two lanes that want X,Y and Y,X must not wait for each other.
func TestTwoLanesWantEachOthersKeys(t *testing.T) {
	for _, limit := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			slow := &scripted{limit: limit, script: func(*handlers.Call, int) error { time.Sleep(time.Second); return nil }}
			r := newRig(t, storetest.NewModel(time.Now), nil, slow)
			var wg sync.WaitGroup
			for _, records := range [][]*handlers.Record{
				{rec(1, "a", "X"), rec(2, "a", "Y")},
				{rec(3, "b", "Y"), rec(4, "b", "X")},
			} {
				wg.Go(func() {
					if done, err := r.deliver(t.Context(), records...); err != nil || !all(done) {
						t.Errorf("done %v, err %v", done, err)
					}
				})
			}
			wg.Wait()
			if keys, total := slow.effects(); keys != 2 || total != 2 {
				t.Errorf("%d effects of %d keys", total, keys)
			}
			if r.journal.count(outcome.Delivered) != 2 || r.journal.count(outcome.Duplicate) != 2 {
				t.Errorf("outcomes %v", r.journal.outcomes)
			}
		})
	}
}

// Two processes on one store: each effect once, and a lease that ran out is
// taken over, while the one that was cut off does not confirm.
func TestTwoHoldersOnOneStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		one, two := &scripted{limit: 5, script: napping(t)}, &scripted{limit: 5, script: napping(t)}
		first, second := newRig(t, store, nil, one), newRig(t, store, nil, two)
		var wg sync.WaitGroup
		for i, r := range []*rig{first, second} {
			wg.Go(func() {
				var records []*handlers.Record
				for n := range 20 {
					v := n
					if i == 1 {
						v = 19 - n
					}
					records = append(records, rec(int64(n), fmt.Sprint(v%3), fmt.Sprint(v)))
				}
				if done, err := r.deliver(t.Context(), records...); err != nil || !all(done) {
					t.Errorf("done %v, err %v", done, err)
				}
			})
		}
		wg.Wait()
		_, a := one.effects()
		_, b := two.effects()
		if a+b != 20 {
			t.Errorf("%d + %d effects of 20 keys", a, b)
		}
	})
}

func napping(t *testing.T) func(*handlers.Call, int) error {
	return func(*handlers.Call, int) error { time.Sleep(10 * time.Millisecond); return nil }
}

// A write that outlasts its lease keeps the key, because the lease is extended.
func TestLeaseIsExtendedDuringALongWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		slow := &scripted{script: func(*handlers.Call, int) error { time.Sleep(5 * time.Minute); return nil }}
		quick := &scripted{}
		first, second := newRig(t, store, nil, slow), newRig(t, store, nil, quick)
		var wg sync.WaitGroup
		wg.Go(func() { first.deliver(t.Context(), rec(1, "a", "X")) })
		time.Sleep(time.Second)
		second.deliver(t.Context(), rec(2, "a", "X"))
		wg.Wait()
		if len(quick.calls) != 0 || second.journal.outcomes[2] != outcome.Duplicate {
			t.Errorf("calls %v, outcome %s", quick.calls, second.journal.outcomes[2])
		}
	})
}

// The sinks of one route are independent: one that is down holds the record's
// offset, not the other sink.
func TestTwoSinksOfOneRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(time.Hour)
		up := &scripted{limit: 10}
		down := &scripted{limit: 10, script: func(*handlers.Call, int) error {
			if time.Now().Before(back) {
				return handlers.Unavailable(errBoom)
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, up, down)
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			r.deliver(t.Context(), rec(1, "a", "X"), rec(2, "b", "Y"))
		}()
		time.Sleep(time.Minute)
		if calls := up.called(); len(calls) != 2 {
			t.Errorf("the sink that is up took %v", calls)
		}
		if n := r.journal.count(outcome.Delivered); n != 0 {
			t.Errorf("%d finished before both sinks had them", n)
		}
		<-finished
		if r.journal.count(outcome.Delivered) != 2 {
			t.Errorf("outcomes %v", r.journal.outcomes)
		}
	})
}

// Of two sinks of a route, the one whose request can't be made is dead-lettered
// on its own, and the other is written.
func TestOneSinkCannotRender(t *testing.T) {
	for _, action := range []plan.Action{plan.ActionDeadLetter, plan.ActionDrop} {
		synctest.Test(t, func(t *testing.T) {
			good, bad := &scripted{}, &scripted{render: errBoom}
			r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.OnError = action }, good, bad)
			done, err := r.deliver(t.Context(), rec(1, "a", "x"))
			if err != nil || !all(done) || len(good.called()) != 1 {
				t.Fatalf("%s: done %v, err %v, calls %v", action, done, err, good.called())
			}
			want := outcome.DeadLettered
			if action == plan.ActionDrop {
				want = outcome.Delivered
			}
			if got := r.journal.outcomes[1]; got != want || len(r.letters.records) != map[plan.Action]int{plan.ActionDeadLetter: 1, plan.ActionDrop: 0}[action] {
				t.Errorf("%s: outcome %s, letters %v", action, got, r.letters.reasons())
			}
			if action == plan.ActionDeadLetter {
				if l := r.letters.letter(t, 0); l.Sink != "s1" {
					t.Errorf("the letter names sink %q", l.Sink)
				}
			}
		})
	}
}
