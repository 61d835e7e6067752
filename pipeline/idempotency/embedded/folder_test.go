package embedded

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// A folder of the first releases has an entry of the expiry index for each row,
// named by hour and hash. It is read, written on, and rid of what expires.
func TestFolderOfEarlierReleases(t *testing.T) {
	c := newCrashing()
	s := c.open(t)
	run := idempotency.NewRun()
	states := []idempotency.State{idempotency.Confirmed, idempotency.ParkedState, idempotency.Claimed}
	claims := make([]idempotency.Claim, len(states))
	batch := s.db.NewBatch()
	var err error
	for i, state := range states {
		claims[i] = aClaim(run, true)
		row := idempotency.Row{
			State: state, Token: claims[i].Token, Digest: claims[i].Digest, ClaimedAt: c.now, Deadline: c.now.Add(claims[i].Lease),
			Expires: c.now.Add(2 * time.Hour), Lease: claims[i].Lease, TTL: 2 * time.Hour, Answer: "met",
		}
		hash := claims[i].ID[:16]
		hour := binary.BigEndian.AppendUint32([]byte("x/"), uint32(row.Expires.Unix()/3600))
		err = errors.Join(err, batch.Set(append([]byte("k/"), hash...), idempotency.Encode(&row), nil), batch.Set(append(hour, hash...), nil, nil))
	}
	if err := errors.Join(err, batch.Commit(pebble.Sync)); err != nil {
		t.Fatal(err)
	}
	c.crash(t, 0)
	s = c.open(t)

	again := make([]idempotency.Claim, len(claims))
	for i := range claims {
		again[i] = claims[i]
		again[i].Token = run.Next()
	}
	verdicts, err := s.Claim(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []idempotency.Answer{idempotency.Duplicate, idempotency.Parked, idempotency.GoUncertain} {
		if verdicts[i].Answer != want || verdicts[i].Row == nil || verdicts[i].Row.Answer != "met" {
			t.Errorf("a row that is %v is answered %v", states[i], verdicts[i])
		}
	}
	if got, err := s.Confirm(t.Context(), again[2:]); err != nil || got[0] != idempotency.Held {
		t.Errorf("%v, %v", got, err)
	}
	// The claim that was taken over is listed for a week as well.
	for _, later := range []time.Duration{3 * time.Hour, idempotency.Forget} {
		c.Advance(later)
		if _, err := s.sweep(); err != nil {
			t.Fatal(err)
		}
		if rows := stored(t, s, "k"); rows != 0 {
			t.Errorf("%d rows are left", rows)
		}
	}
	if rows, expiries := stored(t, s, "k"), stored(t, s, "x"); rows != 0 || expiries != 0 {
		t.Errorf("%d rows and %d expiries are left", rows, expiries)
	}
}

// What many calls wrote at once is listed in bounded pieces, each of which names
// its rows and no others.
func TestExpiryIndexOfManyRows(t *testing.T) {
	s := newCrashing().open(t)
	run := idempotency.NewRun()
	claims := make([]idempotency.Claim, 3*sweepSize)
	for i := range claims {
		claims[i] = aClaim(run, false)
		claims[i].TTL = time.Duration(1+i%3) * time.Hour
	}
	if _, err := s.Confirm(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte("x/"), UpperBound: []byte("x0")})
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	hours := map[key]uint32{}
	entries := 0
	for iter.First(); iter.Valid(); iter.Next() {
		entries++
		keys := ofExpiry(iter.Key(), iter.Value())
		if len(keys) == 0 || len(keys) > sweepSize/2 {
			t.Errorf("%x lists %d hashes", iter.Key(), len(keys))
		}
		for _, k := range keys {
			hours[k] = binary.BigEndian.Uint32(iter.Key()[2:])
		}
	}
	if len(hours) != len(claims) || entries != 6 {
		t.Errorf("%d entries list %d of %d rows", entries, len(hours), len(claims))
	}
	now := s.now()
	for _, claim := range claims {
		if hour := hourOf(now.Add(claim.TTL)); hours[keyOf(claim.ID)] != hour {
			t.Fatalf("a row that expires in hour %d is listed in %d", hour, hours[keyOf(claim.ID)])
		}
	}
}
