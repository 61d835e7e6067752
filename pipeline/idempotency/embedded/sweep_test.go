package embedded

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// stored counts the keys of one kind in the database.
func stored(t *testing.T, s *Store, kind string) int {
	t.Helper()
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte(kind + "/"), UpperBound: []byte(kind + "0")})
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	n := 0
	for iter.First(); iter.Valid(); iter.Next() {
		n++
	}
	return n
}

func sweepNow(t *testing.T, s *Store, want int) {
	t.Helper()
	removed, err := s.sweep()
	if err != nil {
		t.Fatal(err)
	}
	if removed != want {
		t.Errorf("sweep removed %d rows, want %d", removed, want)
	}
}

func TestSweepRemovesWhatExpired(t *testing.T) {
	c := newCrashing()
	s := c.open(t)
	run := idempotency.NewRun()
	const many = 2*sweepSize + 100
	claims := make([]idempotency.Claim, many)
	for i := range claims {
		claims[i] = aClaim(run, false)
	}
	if _, err := s.Confirm(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	later := aClaim(run, false)
	later.TTL = 8 * 24 * time.Hour
	if _, err := s.Confirm(t.Context(), []idempotency.Claim{later}); err != nil {
		t.Fatal(err)
	}
	c.Advance(2 * time.Hour)
	sweepNow(t, s, 0) // the hour is not over
	c.Advance(time.Hour)
	sweepNow(t, s, many)
	if rows, expiries := stored(t, s, "k"), stored(t, s, "x"); rows != 1 || expiries != 1 {
		t.Errorf("%d rows and %d expiries are left, want one of each", rows, expiries)
	}
	sweepNow(t, s, 0)
	rows, err := s.Get(t.Context(), []idempotency.ID{later.ID})
	if err != nil || rows[0] == nil {
		t.Errorf("the key that lives on is %v, %v", rows, err)
	}
}

// A key that was confirmed again lives as long as its last confirm says, and
// one that is claimed is not disturbed.
func TestSweepSparesWhatWasRenewed(t *testing.T) {
	c := newCrashing()
	s := c.open(t)
	run := idempotency.NewRun()
	first := aClaim(run, false)
	other := aClaim(run, false)
	call := func(got []idempotency.TokenState, err error) {
		t.Helper()
		if err != nil || got[0] != idempotency.Held {
			t.Fatalf("%v, %v", got, err)
		}
	}
	call(s.Confirm(t.Context(), []idempotency.Claim{first}))
	call(s.Confirm(t.Context(), []idempotency.Claim{other}))
	c.Advance(first.TTL)
	again := first
	again.Token = run.Next()
	claimed := other
	claimed.Token = run.Next()
	verdicts, err := s.Claim(t.Context(), []idempotency.Claim{again, claimed})
	if err != nil || verdicts[0].Answer != idempotency.Go || verdicts[1].Answer != idempotency.Go {
		t.Fatalf("%v, %v", verdicts, err)
	}
	call(s.Confirm(t.Context(), []idempotency.Claim{again}))
	c.Advance(time.Hour)
	sweepNow(t, s, 1)
	rows, err := s.Get(t.Context(), []idempotency.ID{again.ID, claimed.ID})
	if err != nil || rows[0] == nil || rows[0].State != idempotency.Confirmed || rows[1] == nil || rows[1].State != idempotency.Claimed {
		t.Errorf("rows are %+v, %v", rows, err)
	}
	call(s.Confirm(t.Context(), []idempotency.Claim{claimed}))
	c.Advance(again.TTL + time.Hour)
	sweepNow(t, s, 2)
	if rows, expiries := stored(t, s, "k"), stored(t, s, "x"); rows != 0 || expiries != 0 {
		t.Errorf("%d rows and %d expiries are left", rows, expiries)
	}
}

func TestSweepForgetsDeadClaims(t *testing.T) {
	c := newCrashing()
	s := c.open(t)
	run := idempotency.NewRun()
	claims := []idempotency.Claim{aClaim(run, false), aClaim(run, true)}
	if _, err := s.Claim(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	entries := func() (n int) {
		for i := range s.shards {
			n += len(s.shards[i].entries)
		}
		return n
	}
	c.Advance(idempotency.Forget - time.Hour)
	sweepNow(t, s, 0)
	if entries() != 2 {
		t.Errorf("%d claims are in memory, want 2", entries())
	}
	c.Advance(2 * time.Hour)
	sweepNow(t, s, 1)
	if entries() != 0 || stored(t, s, "k") != 0 {
		t.Errorf("%d claims are in memory and %d on the disk", entries(), stored(t, s, "k"))
	}
}
