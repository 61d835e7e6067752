package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// testOneGo lets many ask for one key at once: one may go, and once it is done
// everybody else is told so.
func testOneGo(t *testing.T, h Harness) {
	s := start(t, h)
	for _, durable := range []bool{false, true} {
		for round := range 20 {
			key := newHolder(durable).claims(1)[0]
			var went atomic.Int32
			var winner idempotency.Claim
			together(16, func(int) {
				c := newHolder(durable).again(key)
				verdicts, err := s.store.Claim(t.Context(), []idempotency.Claim{c})
				switch {
				case err != nil:
					t.Errorf("claim: %v", err)
				case verdicts[0].Answer == idempotency.Go:
					went.Add(1)
					winner = c
				case verdicts[0].Answer != idempotency.Busy:
					t.Errorf("claim is answered %v", verdicts[0].Answer)
				}
			})
			if went.Load() != 1 {
				t.Fatalf("round %d: %d may go, want one", round, went.Load())
			}
			s.confirm(winner, idempotency.Held)
			together(16, func(int) {
				verdicts, err := s.store.Claim(t.Context(), []idempotency.Claim{newHolder(durable).again(key)})
				if err != nil || verdicts[0].Answer != idempotency.Duplicate {
					t.Errorf("a finished key is answered %v, %v", verdicts, err)
				}
			})
		}
	}
}

// testNeverTwice has claims arrive all the while that a key is confirmed: each
// must find it busy or done, none may go.
func testNeverTwice(t *testing.T, h Harness) {
	s := start(t, h)
	for _, durable := range []bool{false, true} {
		for range 50 {
			c := newHolder(durable).claims(1)[0]
			s.claim(c, idempotency.Go)
			var confirmed atomic.Bool
			together(4, func(i int) {
				if i == 0 {
					if states, err := s.store.Confirm(t.Context(), []idempotency.Claim{c}); err != nil ||
						states[0] != idempotency.Held {
						t.Errorf("confirm: %v, %v", states, err)
					}
					confirmed.Store(true)
					return
				}
				they := newHolder(durable)
				for {
					after := confirmed.Load()
					verdicts, err := s.store.Claim(t.Context(), []idempotency.Claim{they.again(c)})
					switch {
					case err != nil:
						t.Errorf("claim: %v", err)
						return
					case verdicts[0].Answer == idempotency.Duplicate:
						return
					case verdicts[0].Answer != idempotency.Busy || after:
						t.Errorf("claim is answered %v, confirmed before: %v", verdicts[0].Answer, after)
						return
					}
				}
			})
		}
	}
}

// testTwoLanes is two lanes of one process whose batches hold the same keys in
// opposite order.
func testTwoLanes(t *testing.T, h Harness) {
	me := newHolder(false)
	race(t, h, []holder{me, me}, [][]string{{"x", "y"}, {"y", "x"}}, 2)
}

// testTwoHolders is two processes on one store.
func testTwoHolders(t *testing.T, h Harness) {
	race(t, h, []holder{newHolder(true), newHolder(true)}, [][]string{{"x", "y", "z"}, {"z", "y", "x"}}, 3)
}

// testTwoSinks is two lanes of one route with two sinks: each sink has a key of
// its own for the same record.
func testTwoSinks(t *testing.T, h Harness) {
	me := newHolder(true)
	race(t, h, []holder{me, me}, [][]string{{"a/http", "a/kafka", "b/http", "b/kafka"},
		{"b/kafka", "b/http", "a/kafka", "a/http"}}, 4)
}

// race has each lane do its keys by the rule that nobody waits while it holds an
// unconfirmed claim: every key ends with one effect, and everybody gets through.
func race(t *testing.T, h Harness, holders []holder, lanes [][]string, keys int32) {
	s := start(t, h)
	for round := range 30 {
		suffix := string(rune('a' + round))
		var effects atomic.Int32
		together(len(lanes), func(i int) {
			ahead := make([]idempotency.Claim, 0, len(lanes[i]))
			for _, key := range lanes[i] {
				ahead = append(ahead, holders[i].claim(key+suffix))
			}
			for len(ahead) > 0 && !t.Failed() {
				ahead = pass(t, s.store, holders[i], ahead, &effects)
			}
		})
		if effects.Load() != keys {
			t.Fatalf("round %d: %d effects of %d keys", round, effects.Load(), keys)
		}
	}
}

// pass claims, confirms what may go and returns what is busy.
func pass(t *testing.T, store Opened, me holder, claims []idempotency.Claim,
	effects *atomic.Int32) []idempotency.Claim {
	verdicts, err := store.Claim(t.Context(), claims)
	if err != nil {
		t.Errorf("claim: %v", err)
		return nil
	}
	var held, busy []idempotency.Claim
	for i, v := range verdicts {
		switch v.Answer {
		case idempotency.Go:
			held = append(held, claims[i])
		case idempotency.Busy:
			busy = append(busy, me.again(claims[i]))
		case idempotency.Duplicate:
		default:
			t.Errorf("claim is answered %v", v.Answer)
		}
	}
	effects.Add(int32(len(held)))
	states, err := store.Confirm(context.WithoutCancel(t.Context()), held)
	if err != nil {
		t.Errorf("confirm: %v", err)
	}
	for _, state := range states {
		if state != idempotency.Held {
			t.Errorf("confirm is answered %v", state)
		}
	}
	return busy
}

// together runs do n times at once and waits for all.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			do(i)
		})
	}
	close(gate)
	wg.Wait()
}
