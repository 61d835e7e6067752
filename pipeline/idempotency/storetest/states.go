package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// The tests of this file are the rows of the state machine. Each uses keys of
// its own name, so that the durable and the brief run share a store.

func (s *session) key(name string) string { return s.t.Name() + " " + name }

func testClaim(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		if row := s.claim(c, idempotency.Go); row != nil {
			s.t.Errorf("a new key has the row %+v", row)
		}
		s.claim(they.claim(s.key("a")), idempotency.Busy)
		s.claim(me.claim(s.key("a")), idempotency.Busy)
		s.confirm(c, idempotency.Held)
		row := s.claim(they.again(c), idempotency.Duplicate)
		if row == nil || row.State != idempotency.Confirmed || row.Token != c.Token {
			s.t.Errorf("a duplicate is shown the row %+v", row)
		}
	})
}

func testConflict(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.content(s.key("a"), "one")
		s.claim(c, idempotency.Go)
		s.confirm(c, idempotency.Held)
		second := they.content(s.key("a"), "two")
		row := s.claim(second, idempotency.Conflict)
		if row == nil || row.Digest != c.Digest {
			s.t.Errorf("a conflict is shown the row %+v", row)
		}
		second.Override = idempotency.OverConflict
		s.claim(second, idempotency.Go)
		s.claim(me.again(c), idempotency.Busy)
		s.confirm(second, idempotency.Held)
		s.claim(they.again(second), idempotency.Duplicate)
		s.claim(me.again(c), idempotency.Conflict)
	})
}

func testLease(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		s.claim(me.claim(s.key("a")), idempotency.Go)
		s.advance(lease - 5*time.Second)
		row := s.claim(they.claim(s.key("a")), idempotency.Busy)
		if row == nil || row.Holder.Run != me.run.ID() {
			s.t.Errorf("who finds it busy is shown the row %+v", row)
		}
		s.advance(6 * time.Second)
		row = s.claim(they.claim(s.key("a")), idempotency.GoUncertain)
		if row == nil || row.Holder.Run != me.run.ID() {
			s.t.Errorf("who takes over is shown the row %+v", row)
		}
		s.claim(me.claim(s.key("a")), idempotency.Busy)
	})
}

// A clock that goes back, by hours, keeps no dead claim for longer than a lease.
func testClockBack(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		s.claim(c, idempotency.Go)
		s.advance(-time.Hour)
		s.claim(they.claim(s.key("a")), idempotency.Busy)
		s.advance(lease - 5*time.Second)
		s.claim(they.claim(s.key("a")), idempotency.Busy)
		s.extend(c, idempotency.Held)
		s.advance(lease - 5*time.Second)
		s.claim(they.claim(s.key("a")), idempotency.Busy)
		s.advance(6 * time.Second)
		s.claim(they.claim(s.key("a")), idempotency.GoUncertain)
		s.advance(time.Hour) // the store's other tests go on at their time
	})
}

func testTakeOver(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		old := me.claim(s.key("a"))
		s.claim(old, idempotency.Go)
		s.advance(lease + time.Second)
		taken := they.again(old)
		s.claim(taken, idempotency.GoUncertain)
		s.extend(old, idempotency.Lost)
		s.release(old, idempotency.Lost)
		s.park(old, idempotency.Lost)
		s.confirm(old, idempotency.Lost)
		s.claim(me.again(old), idempotency.Busy)
		s.confirm(taken, idempotency.Held)
		s.confirm(old, idempotency.Lost)
		s.extend(old, idempotency.Lost)
		s.claim(me.again(old), idempotency.Duplicate)
	})
}

func testExtend(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		s.extend(c, idempotency.Lost)
		s.claim(c, idempotency.Go)
		for range 4 {
			s.advance(lease - 5*time.Second)
			s.extend(c, idempotency.Held)
		}
		s.claim(they.claim(s.key("a")), idempotency.Busy)
		s.advance(lease + time.Second)
		s.extend(c, idempotency.Held)
		s.claim(they.claim(s.key("a")), idempotency.Busy)
		s.confirm(c, idempotency.Held)
		s.extend(c, idempotency.Held)
		s.extend(they.claim(s.key("a")), idempotency.Lost)
	})
}

// What a holder met before it went silent is told to whoever takes its key over,
// and to those after it.
func testMet(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		s.claim(c, idempotency.Go)
		c.Answer = strings.Repeat("x", 70)
		s.extend(c, idempotency.Held)
		c.Answer = ""
		s.extend(c, idempotency.Held)
		s.claim(c, idempotency.Go)
		for _, c := range []idempotency.Claim{they.again(c), me.again(c)} {
			s.advance(lease + time.Second)
			if row := s.claim(c, idempotency.GoUncertain); row == nil || row.Answer != strings.Repeat("x", 64) {
				s.t.Errorf("the row taken over is %+v", row)
			}
		}
	})
}

func testConfirm(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("late"))
		s.claim(c, idempotency.Go)
		s.confirm(they.again(c), idempotency.Lost)
		s.advance(lease + time.Second)
		s.confirm(they.again(c), idempotency.Lost)
		s.confirm(c, idempotency.Held)
		s.confirm(c, idempotency.Held)
		s.confirm(they.again(c), idempotency.Lost)
		s.release(c, idempotency.Lost)
		s.park(c, idempotency.Lost)
		s.claim(they.again(c), idempotency.Duplicate)
	})
}

func testForgotten(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		s.claim(c, idempotency.Go)
		if were, err := s.store.Delete(s.t.Context(), []idempotency.ID{c.ID}); err != nil || !were[0] {
			s.t.Fatalf("delete: %v, %v", were, err)
		}
		s.extend(c, idempotency.Lost)
		s.park(c, idempotency.Lost)
		s.confirm(c, idempotency.Held)
		s.claim(they.again(c), idempotency.Duplicate)
	})
}

func testRelease(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		s.claim(c, idempotency.Go)
		s.release(they.again(c), idempotency.Lost)
		s.release(c, idempotency.Held)
		s.release(c, idempotency.Held)
		if row := s.get(c.ID); row != nil {
			s.t.Errorf("a released key has the row %+v", row)
		}
		s.extend(c, idempotency.Lost)
		second := they.again(c)
		s.claim(second, idempotency.Go)

		// Released or not, an effect that nobody knows of stays uncertain.
		s.advance(lease + time.Second)
		third := me.again(c)
		s.claim(third, idempotency.GoUncertain)
		s.release(third, idempotency.Held)
		s.extend(third, idempotency.Lost)
		s.claim(they.again(c), idempotency.GoUncertain)
	})
}

func testPark(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		s.claim(c, idempotency.Go)
		s.park(they.again(c), idempotency.Lost)
		s.park(c, idempotency.Held)
		s.park(c, idempotency.Held)
		s.release(c, idempotency.Lost)
		s.confirm(c, idempotency.Lost)
		s.extend(c, idempotency.Lost)
		s.advance(lease + time.Second)
		row := s.claim(they.again(c), idempotency.Parked)
		if row == nil || row.State != idempotency.ParkedState {
			s.t.Errorf("who finds it parked is shown the row %+v", row)
		}
		redrive := they.again(c)
		redrive.Override = idempotency.OverParked
		s.claim(redrive, idempotency.Go)
		s.confirm(redrive, idempotency.Held)
		s.claim(me.again(c), idempotency.Duplicate)
	})
}

func testRepeat(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		s.claim(c, idempotency.Go)
		s.claim(c, idempotency.Go)
		s.claim(they.again(c), idempotency.Busy)
		s.advance(lease + time.Second)
		taken := they.again(c)
		s.claim(taken, idempotency.GoUncertain)
		s.claim(taken, idempotency.GoUncertain)
		s.confirm(taken, idempotency.Held)
		s.claim(taken, idempotency.Duplicate)
	})
}

func testRemembering(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		done, parked, dead := me.claim(s.key("done")), me.claim(s.key("parked")), me.claim(s.key("dead"))
		s.claimAll([]idempotency.Claim{done, parked, dead}, idempotency.Go, idempotency.Go, idempotency.Go)
		s.confirm(done, idempotency.Held)
		s.park(parked, idempotency.Held)

		s.advance(ttl - time.Minute)
		s.claim(they.again(done), idempotency.Duplicate)
		s.advance(2 * time.Minute)
		if row := s.get(done.ID); row != nil {
			s.t.Errorf("a key past its ttl has the row %+v", row)
		}
		next := they.again(done)
		s.claim(next, idempotency.Go)
		s.confirm(next, idempotency.Held)
		s.confirm(done, idempotency.Lost)

		// Not a short TTL, but a week is how long these two are remembered.
		s.claim(they.again(parked), idempotency.Parked)
		s.advance(idempotency.Forget - ttl - 2*time.Minute)
		s.claim(they.again(parked), idempotency.Parked)
		s.advance(2 * time.Minute)
		s.claimAll([]idempotency.Claim{they.again(parked), they.again(dead)}, idempotency.Go, idempotency.Go)
	})
}

func testRow(t *testing.T, h Harness) {
	bothWays(t, h, func(s *session, me, they holder) {
		c := me.claim(s.key("a"))
		s.claim(c, idempotency.Go)
		row := s.get(c.ID)
		want := idempotency.Row{
			State: idempotency.Claimed, Token: c.Token, Holder: c.Holder, Origin: c.Origin, Digest: c.Digest,
			Lease: c.Lease, TTL: c.TTL,
		}
		s.sameRow(want, row)
		if row.Deadline.Sub(row.ClaimedAt) != lease || row.Expires.Sub(row.ClaimedAt) != idempotency.Forget {
			s.t.Errorf("claimed at %v, lease until %v, kept until %v", row.ClaimedAt, row.Deadline, row.Expires)
		}
		s.advance(10 * time.Second)
		c.Answer = strings.Repeat("x", 70)
		s.confirm(c, idempotency.Held)
		row = s.get(c.ID)
		want.State, want.Answer = idempotency.Confirmed, c.Answer[:64]
		s.sameRow(want, row)
		if took := row.ConfirmedAt.Sub(row.ClaimedAt); took < 10*time.Second || took > 15*time.Second {
			s.t.Errorf("confirmed %v after the claim", took)
		}
		if row.Expires.Sub(row.ConfirmedAt) != ttl {
			s.t.Errorf("confirmed at %v, kept until %v", row.ConfirmedAt, row.Expires)
		}
	})
}
