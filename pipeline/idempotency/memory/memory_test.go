package memory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/memory"
)

// The suite in storetest covers what the store does; this is about its hooks.
func TestHooks(t *testing.T) {
	s := memory.New(time.Now)
	run := idempotency.NewRun()
	claims := []idempotency.Claim{{ID: idempotency.ID{1}, Token: run.Next(), TTL: time.Hour, Lease: time.Minute}}
	down := errors.New("down")
	only := func(call string) func(string) error {
		return func(op string) error {
			if op == call {
				return down
			}
			return nil
		}
	}
	row := func() *idempotency.Row {
		t.Helper()
		rows, err := s.Get(t.Context(), []idempotency.ID{{1}})
		if err != nil {
			t.Fatal(err)
		}
		return rows[0]
	}

	s.Fail = only("claim")
	if _, err := s.Claim(t.Context(), claims); !errors.Is(err, down) || row() != nil {
		t.Errorf("a claim that fails: %v, row %v", err, row())
	}
	s.Fail, s.Lose = nil, only("claim")
	if _, err := s.Claim(t.Context(), claims); !errors.Is(err, down) || row() == nil {
		t.Errorf("a claim whose answer is lost: %v, row %v", err, row())
	}
	s.Lose = nil
	before, err := s.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Lapse()
	if after, err := s.Epoch(t.Context()); err != nil || after == before || row() != nil {
		t.Errorf("after a lapse: epoch %q, %v, row %v", after, err, row())
	}
}
