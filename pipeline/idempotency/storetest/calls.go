package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// session calls a store and tells what it answers otherwise than wanted.
type session struct {
	t     *testing.T
	store Opened
	harn  Harness
}

func start(t *testing.T, h Harness) *session {
	t.Helper()
	return &session{t, h.Open(t), h}
}

func (s *session) restart() {
	s.t.Helper()
	s.harn.Restart(s.t)
	s.store = s.harn.Open(s.t)
}

func (s *session) advance(d time.Duration) { s.harn.Advance(d) }

// claim claims one key and expects an answer; it returns the row found.
func (s *session) claim(c idempotency.Claim, want idempotency.Answer) *idempotency.Row {
	s.t.Helper()
	verdicts, err := s.store.Claim(s.t.Context(), []idempotency.Claim{c})
	if err != nil {
		s.t.Fatalf("claim: %v", err)
	}
	if len(verdicts) != 1 || verdicts[0].Answer != want {
		s.t.Fatalf("claim is answered %v, want %v", verdicts, want)
	}
	return verdicts[0].Row
}

func (s *session) claimAll(claims []idempotency.Claim, want ...idempotency.Answer) {
	s.t.Helper()
	verdicts, err := s.store.Claim(s.t.Context(), claims)
	if err != nil {
		s.t.Fatalf("claim: %v", err)
	}
	got := make([]idempotency.Answer, len(verdicts))
	for i := range verdicts {
		got[i] = verdicts[i].Answer
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		s.t.Fatalf("answers (-want +got):\n%s", diff)
	}
}

func (s *session) extend(c idempotency.Claim, want idempotency.TokenState) {
	s.t.Helper()
	got, err := s.store.Extend(s.t.Context(), []idempotency.Claim{c})
	s.expect("extend", got, err, want)
}

func (s *session) confirm(c idempotency.Claim, want idempotency.TokenState) {
	s.t.Helper()
	got, err := s.store.Confirm(s.t.Context(), []idempotency.Claim{c})
	s.expect("confirm", got, err, want)
}

func (s *session) release(c idempotency.Claim, want idempotency.TokenState) {
	s.t.Helper()
	got, err := s.store.Settle(s.t.Context(), []idempotency.Claim{c}, idempotency.Released)
	s.expect("release", got, err, want)
}

func (s *session) park(c idempotency.Claim, want idempotency.TokenState) {
	s.t.Helper()
	got, err := s.store.Settle(s.t.Context(), []idempotency.Claim{c}, idempotency.ParkedAway)
	s.expect("park", got, err, want)
}

func (s *session) expect(call string, got []idempotency.TokenState, err error, want ...idempotency.TokenState) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", call, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("%s (-want +got):\n%s", call, diff)
	}
}

// get looks one key up.
func (s *session) get(id idempotency.ID) *idempotency.Row {
	s.t.Helper()
	rows, err := s.store.Get(s.t.Context(), []idempotency.ID{id})
	if err != nil {
		s.t.Fatalf("get: %v", err)
	}
	if len(rows) != 1 {
		s.t.Fatalf("get returns %d rows", len(rows))
	}
	return rows[0]
}

// bothWays runs a test with claims that survive a crash and with such that need
// not.
func bothWays(t *testing.T, h Harness, test func(s *session, me, they holder)) {
	s := start(t, h)
	for name, durable := range map[string]bool{"brief": false, "durable": true} {
		t.Run(name, func(t *testing.T) {
			inner := *s
			inner.t = t
			test(&inner, newHolder(durable), newHolder(durable))
			s.store = inner.store
		})
	}
}
