package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// all lists every key, a few at a time, by what receivers see of it.
func (s *session) all(most int) map[string]*idempotency.Row {
	s.t.Helper()
	rows := map[string]*idempotency.Row{}
	for from, steps := "", 0; ; steps++ {
		found, err := s.store.List(s.t.Context(), from, most)
		if err != nil {
			s.t.Fatalf("list: %v", err)
		}
		if len(found.Keys) > 20*most {
			s.t.Fatalf("a step of about %d has %d keys", most, len(found.Keys))
		}
		for _, k := range found.Keys {
			rows[k.External] = k.Row
		}
		if from = found.Next; from == "" {
			return rows
		}
		if steps > 100_000 {
			s.t.Fatal("it does not end")
		}
	}
}

// Every key is listed with its row, whatever its state, in steps of any size.
func testList(t *testing.T, h Harness) {
	s := start(t, h)
	if rows := s.all(10); len(rows) > 0 {
		t.Fatalf("an empty store lists %v", rows)
	}
	var ids []idempotency.ID
	for _, me := range []holder{newHolder(true), newHolder(false)} {
		claims := me.claims(120)
		if _, err := s.store.Claim(t.Context(), claims); err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.Confirm(t.Context(), claims[:60]); err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.Settle(t.Context(), claims[60:80], idempotency.ParkedAway); err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.Settle(t.Context(), claims[80:90], idempotency.Released); err != nil {
			t.Fatal(err)
		}
		for _, c := range append(claims[:80:80], claims[90:]...) {
			ids = append(ids, c.ID)
		}
	}
	want := func(ids []idempotency.ID) map[string]*idempotency.Row {
		rows, err := s.store.Get(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]*idempotency.Row{}
		for i, row := range rows {
			if row != nil {
				all[ids[i].External()] = row
			}
		}
		return all
	}
	there := want(ids)
	if len(there) != len(ids) {
		t.Fatalf("%d keys of %d are there", len(there), len(ids))
	}
	for _, most := range []int{1, 7, len(ids), 1000} {
		if diff := cmp.Diff(there, s.all(most)); diff != "" {
			t.Errorf("in steps of %d (-get +list):\n%s", most, diff)
		}
	}
	s.advance(2 * ttl)
	if diff := cmp.Diff(want(ids), s.all(7)); diff != "" {
		t.Errorf("once the confirmed ones expired (-get +list):\n%s", diff)
	}
	if h.Restart != nil {
		s.restart()
		if diff := cmp.Diff(want(ids), s.all(7)); diff != "" {
			t.Errorf("after a restart (-get +list):\n%s", diff)
		}
	}
}

// What is there all the time is listed, also while keys come, go and change.
func testListUnderLoad(t *testing.T, h Harness) {
	s := start(t, h)
	me := newHolder(false)
	steady := me.claims(300)
	if _, err := s.store.Claim(t.Context(), steady); err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	var changing sync.WaitGroup
	failed := make(chan error, 2)
	changing.Go(func() { // what was claimed becomes confirmed, one after the other
		for i := range steady {
			if _, err := s.store.Confirm(t.Context(), steady[i:i+1]); err != nil {
				failed <- fmt.Errorf("confirm: %w", err)
				return
			}
		}
	})
	changing.Go(func() {
		for !done.Load() {
			others := newHolder(false).claims(20)
			_, err := s.store.Claim(t.Context(), others)
			if err == nil {
				_, err = s.store.Settle(t.Context(), others, idempotency.Released)
			}
			if err != nil {
				failed <- fmt.Errorf("claim and release: %w", err)
				return
			}
		}
	})
	for range 10 {
		rows := s.all(25)
		for _, c := range steady {
			if rows[c.ID.External()] == nil {
				t.Errorf("a key that was there all the time is not listed")
				break
			}
		}
	}
	done.Store(true)
	changing.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
}
