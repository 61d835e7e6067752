package deliver

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(15 * time.Second)
		store := storetest.NewModel(time.Now)
		store.Fail = func(string) error {
			if time.Now().Before(back) {
				return errBoom
			}
			return nil
		}
		sink := &scripted{script: func(*handlers.Call, int) error {
			if time.Now().Before(back) {
				t.Error("the sink was called while the store was down")
			}
			return nil
		}}
		r := newRig(t, store, nil, sink)
		done, err := r.deliver(t.Context(), rec(1, "a", "x"), rec(2, "b", "y"))
		if err != nil || !all(done) || r.journal.count(outcome.Delivered) != 2 {
			t.Errorf("done %v, err %v, outcomes %v", done, err, r.journal.outcomes)
		}
		if since := time.Since(back); since > 2*time.Second {
			t.Errorf("resumed %s after the store was back", since)
		}
	})
}

func TestStoreDownProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		store.Fail = func(string) error { return errBoom }
		sink := &scripted{}
		r := newRig(t, store, func(p *plan.Pipeline) { p.Idempotency.OnStoreError = plan.ActionProcess }, sink)
		done, _ := r.deliver(t.Context(), rec(1, "a", "x"))
		if !all(done) || len(sink.calls) != 1 {
			t.Errorf("done %v, calls %v", done, sink.calls)
		}
	})
}

// A store that lost its memory blocks, whatever is to be done while one is down.
func TestStoreResetBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accepted := time.Now().Add(20 * time.Second)
		store := storetest.NewModel(time.Now)
		store.Fail = func(string) error {
			if time.Now().Before(accepted) {
				return fmt.Errorf("claim keys: %w", &idempotency.ResetError{Was: "a", Now: "b"})
			}
			return nil
		}
		sink := &scripted{script: func(*handlers.Call, int) error {
			if time.Now().Before(accepted) {
				t.Error("the sink was called before the loss was accepted")
			}
			return nil
		}}
		r := newRig(t, store, func(p *plan.Pipeline) { p.Idempotency.OnStoreError = plan.ActionProcess }, sink)
		done, err := r.deliver(t.Context(), rec(1, "a", "x"))
		if err != nil || !all(done) || r.journal.count(outcome.Delivered) != 1 {
			t.Errorf("done %v, err %v, outcomes %v", done, err, r.journal.outcomes)
		}
	})
}

// A drain gives a batch back half done: what was begun is finished, the rest
// stays unfinished, and its claims are free for the next owner.
func TestDrainGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		sink := &scripted{script: func(*handlers.Call, int) error { time.Sleep(time.Second); return nil }}
		r := newRig(t, store, nil, sink)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		done, err := r.deliver(ctx, rec(1, "a", "x"), rec(2, "b", "y"), rec(3, "c", "z"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]bool{true, true, false}, done); diff != "" {
			t.Error(diff)
		}
		next := newRig(t, store, nil, &scripted{})
		began := time.Now()
		next.deliver(t.Context(), rec(1, "a", "x"), rec(2, "b", "y"), rec(3, "c", "z"))
		if diff := cmp.Diff([]string{"3"}, next.sinks[0].calls); diff != "" || time.Since(began) > time.Second {
			t.Errorf("after %s: %s", time.Since(began), diff)
		}
	})
}

func TestUncertainIsParkedWhereAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		park := func(p *plan.Pipeline) { p.Idempotency.OnUncertain = plan.ActionPark }
		r := newRig(t, store, park, &scripted{})
		claim := r.delivery.guard.claimFor("p", "s0", &decide.Decision{Key: "k:x"}, rec(1, "a", "x"))
		if _, err := store.Claim(t.Context(), []idempotency.Claim{claim}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // its holder went silent
		r.deliver(t.Context(), rec(1, "a", "x"))
		if diff := cmp.Diff([]string{"1 uncertain"}, r.letters.reasons()); diff != "" || len(r.sinks[0].calls) > 0 {
			t.Errorf("calls %v, letters: %s", r.sinks[0].calls, diff)
		}
	})
}

// What an earlier holder may have done stays known, whatever this one is answered: the key
// of a record that is refused then is parked, and no repeat of it is delivered.
func TestUncertainIsNeverFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		sink := &scripted{script: func(c *handlers.Call, _ int) error {
			if c.Record.Offset == 1 {
				return handlers.Permanent(errBoom)
			}
			return nil
		}}
		r := newRig(t, store, nil, sink)
		claim := r.delivery.guard.claimFor("p", "s0", &decide.Decision{Key: "k:x"}, rec(1, "a", "x"))
		if _, err := store.Claim(t.Context(), []idempotency.Claim{claim}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // its holder went silent
		r.deliver(t.Context(), rec(1, "a", "x"), rec(2, "a", "x"))
		if diff := cmp.Diff([]string{"1 refused", "2 parked"}, r.letters.reasons()); diff != "" || len(r.sinks[0].calls) != 1 {
			t.Errorf("calls %v, letters: %s", r.sinks[0].calls, diff)
		}
	})
}

func TestDeadLetterTopicDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(time.Hour)
		sink := &scripted{script: func(*handlers.Call, int) error { return handlers.Permanent(errBoom) }}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		r.letters.fail = func([]*handlers.Record) error {
			if time.Now().Before(back) {
				return handlers.Unavailable(errBoom)
			}
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done, _ := r.deliver(ctx, rec(1, "a", "x"))
		if done[0] {
			t.Error("the offset passed a letter that was not written")
		}
		done, _ = r.deliver(t.Context(), rec(1, "a", "x"))
		if !done[0] || len(r.letters.records) != 1 {
			t.Errorf("done %v, letters %v", done, r.letters.reasons())
		}
	})
}

func TestDeadLetterTooLargeGoesByPointer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{script: func(*handlers.Call, int) error { return handlers.Permanent(errBoom) }}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		r.letters.fail = func(records []*handlers.Record) error {
			if records[0].Value != nil {
				return handlers.Permanent(fmt.Errorf("refused: %w", handlers.ErrTooLarge))
			}
			return nil
		}
		r.deliver(t.Context(), rec(1, "a", "x"))
		if len(r.letters.records) != 1 {
			t.Fatalf("%d letters", len(r.letters.records))
		}
		if l := r.letters.letter(t, 0); l.Missing.Value == nil || l.Missing.Value.Bytes != 1 {
			t.Errorf("the letter lacks %+v", l.Missing)
		}
		if slices.ContainsFunc(r.journal.events, func(e events.Event) bool { return e.Kind == events.Pause }) {
			t.Error("it is told of as a pause")
		}
	})
}

func TestDeadLetterOffBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refuse atomic.Bool
		refuse.Store(true)
		sink := &scripted{script: func(*handlers.Call, int) error {
			if refuse.Load() {
				return handlers.Permanent(errBoom)
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.DeadLetter = "" }, sink)
		finished := make(chan []bool)
		go func() {
			done, _ := r.deliver(t.Context(), rec(1, "a", "x"))
			finished <- done
		}()
		time.Sleep(time.Hour)
		if len(r.reasons()) == 0 {
			t.Error("it blocks without saying so")
		}
		refuse.Store(false)
		if done := <-finished; !all(done) || r.journal.outcomes[1] != outcome.Delivered {
			t.Errorf("done %v, outcomes %v", done, r.journal.outcomes)
		}
	})
}
