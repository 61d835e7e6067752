package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// sameRow compares all of a row but its times.
func (s *session) sameRow(want idempotency.Row, got *idempotency.Row) {
	s.t.Helper()
	if got == nil {
		s.t.Fatal("there is no row")
	}
	if diff := cmp.Diff(want, *got, cmpopts.IgnoreTypes(time.Time{})); diff != "" {
		s.t.Errorf("row (-want +got):\n%s", diff)
	}
}

func testBatches(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		done := me.claim(s.key("done"))
		s.claim(done, idempotency.Go)
		s.confirm(done, idempotency.Held)
		busy := they.claim(s.key("busy"))
		s.claim(busy, idempotency.Go)
		fresh := me.claim(s.key("fresh"))
		s.claimAll([]idempotency.Claim{me.again(busy), fresh, me.again(done)},
			idempotency.Busy, idempotency.Go, idempotency.Duplicate)
		states, err := s.store.Confirm(s.t.Context(), []idempotency.Claim{me.again(busy), fresh, fresh})
		s.expect("confirm", states, err, idempotency.Lost, idempotency.Held, idempotency.Held)
		s.claimAll(nil)

		const many = 3000
		claims := me.claims(many)
		verdicts, err := s.store.Claim(s.t.Context(), claims)
		if err != nil {
			s.t.Fatal(err)
		}
		for i, v := range verdicts {
			if v.Answer != idempotency.Go {
				s.t.Fatalf("claim %d of %d is answered %v", i, many, v.Answer)
			}
		}
		for call, do := range map[string]func(context.Context, []idempotency.Claim) ([]idempotency.TokenState, error){
			"extend": s.store.Extend, "confirm": s.store.Confirm,
		} {
			states, err := do(s.t.Context(), claims)
			if err != nil {
				s.t.Fatal(err)
			}
			for i, state := range states {
				if state != idempotency.Held {
					s.t.Fatalf("%s %d of %d is answered %v", call, i, many, state)
				}
			}
		}
	})
}

func testTwiceInBatch(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		a, b := me.claim(s.key("a")), me.claim(s.key("b"))
		s.claimAll([]idempotency.Claim{a, b, me.again(a), me.content(s.key("a"), "other")},
			idempotency.Go, idempotency.Go, idempotency.Busy, idempotency.Busy)
		states, err := s.store.Settle(s.t.Context(), []idempotency.Claim{a, a, b}, idempotency.Released)
		s.expect("release", states, err, idempotency.Held, idempotency.Held, idempotency.Held)
		s.claimAll([]idempotency.Claim{they.again(a), they.again(b)}, idempotency.Go, idempotency.Go)
	})
}

func testInspector(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		claimed, done, none := me.claim(s.key("claimed")), me.claim(s.key("done")), me.claim(s.key("none"))
		s.claimAll([]idempotency.Claim{claimed, done}, idempotency.Go, idempotency.Go)
		s.confirm(done, idempotency.Held)
		ids := []idempotency.ID{none.ID, claimed.ID, done.ID}
		rows, err := s.store.Get(s.t.Context(), ids)
		if err != nil {
			s.t.Fatal(err)
		}
		if rows[0] != nil || rows[1] == nil || rows[2] == nil ||
			rows[1].State != idempotency.Claimed || rows[2].State != idempotency.Confirmed {
			s.t.Errorf("get returns %v", rows)
		}
		for _, want := range [][]bool{{false, true, true}, {false, false, false}} {
			were, err := s.store.Delete(s.t.Context(), ids)
			if err != nil {
				s.t.Fatal(err)
			}
			if diff := cmp.Diff(want, were); diff != "" {
				s.t.Errorf("delete (-want +got):\n%s", diff)
			}
		}
		s.claimAll([]idempotency.Claim{they.again(done), they.again(claimed)}, idempotency.Go, idempotency.Go)

		epoch, err := s.store.Epoch(s.t.Context())
		if err != nil || epoch == "" {
			s.t.Fatalf("epoch: %q, %v", epoch, err)
		}
		if again, err := s.store.Epoch(s.t.Context()); err != nil || again != epoch {
			s.t.Errorf("epoch was %q and is %q, %v", epoch, again, err)
		}
	})
}

func testCancelled(t *testing.T, h Harness) {
	s := start(t, h)
	me := newHolder(true)
	c := me.claim("a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.store.Claim(ctx, []idempotency.Claim{c}); !errors.Is(err, context.Canceled) {
		t.Errorf("claim under a cancelled context: %v", err)
	}
	if _, err := s.store.Confirm(ctx, []idempotency.Claim{c}); !errors.Is(err, context.Canceled) {
		t.Errorf("confirm under a cancelled context: %v", err)
	}
	if row := s.get(c.ID); row != nil {
		t.Errorf("a call that was cancelled before it began wrote %+v", row)
	}
}

func testRestart(t *testing.T, h Harness) {
	if h.Restart == nil {
		t.Fatal("the harness cannot restart its store")
	}
	s := start(t, h)
	me, they := newHolder(true), newHolder(true)
	done, parked, dead, brief := me.claim("done"), me.claim("parked"), me.claim("dead"), me.claim("brief")
	brief.Durable = false
	again := me.claim("again")
	s.claimAll([]idempotency.Claim{done, parked, dead, brief, again},
		idempotency.Go, idempotency.Go, idempotency.Go, idempotency.Go, idempotency.Go)
	done.Answer = "201 Created"
	s.confirm(done, idempotency.Held)
	s.park(parked, idempotency.Held)
	epoch, err := s.store.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	s.restart()
	if now, err := s.store.Epoch(t.Context()); err != nil || now != epoch {
		t.Errorf("epoch was %q and is %q, %v", epoch, now, err)
	}
	row := s.claim(they.again(done), idempotency.Duplicate)
	if row.Answer != "201 Created" || row.Token != done.Token {
		t.Errorf("a confirmed key came back as %+v", row)
	}
	s.claim(they.again(parked), idempotency.Parked)
	if h.Owned {
		s.claim(they.again(dead), idempotency.GoUncertain)
		s.claim(they.again(brief), idempotency.Go)
		s.confirm(dead, idempotency.Lost)
		s.confirm(again, idempotency.Held)
		s.claim(they.again(again), idempotency.Duplicate)
		return
	}
	s.claim(they.again(dead), idempotency.Busy)
	s.claim(they.again(brief), idempotency.Busy)
	s.confirm(dead, idempotency.Held)
	s.confirm(again, idempotency.Held)
}
