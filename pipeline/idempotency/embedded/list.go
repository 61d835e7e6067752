package embedded

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// List returns the keys that follow from, in their order. Each step has an iterator
// of its own, so that none keeps what was written over from being tidied up.
func (s *Store) List(ctx context.Context, from string, most int) (idempotency.Listing, error) {
	var found idempotency.Listing
	after, err := hex.DecodeString(from)
	if err == nil {
		err = s.enter(ctx)
	}
	if err != nil {
		return found, fmt.Errorf("list keys: %w", err)
	}
	defer s.leave()
	// A key that leaves the memory is in the database by then: memory goes first.
	held := s.heldAfter(after, most)
	rows, err := storedAfter(s.db, after, most)
	if err != nil {
		return found, fmt.Errorf("list keys: %w", err)
	}
	now, lookUp := s.now(), s.reader()
	defer lookUp.close()
	for k, row := range rows {
		if _, ok := held[k]; !ok && row.State == idempotency.Claimed {
			// It was claimed meanwhile, or by a process that is gone.
			if rows[k], err = s.find(lookUp, k); err != nil {
				return found, fmt.Errorf("list keys: %w", err)
			}
		}
	}
	maps.Copy(rows, held)
	step(&found, rows, most, now, s.db)
	return found, nil
}

// step makes one of rows, of which some may be nil, and tells where it ends.
func step(found *idempotency.Listing, rows map[key]*idempotency.Row, most int, now time.Time, db *pebble.DB) {
	keys := slices.SortedFunc(maps.Keys(rows), key.compare)
	if len(keys) < most {
		found.Bytes = int64(db.Metrics().DiskSpaceUsage())
	} else {
		keys = keys[:most]
		found.Next = hex.EncodeToString(keys[most-1][:])
	}
	for _, k := range keys {
		if row := own(idempotency.Alive(rows[k], now)); row != nil {
			found.Keys = append(found.Keys, idempotency.Listed{External: k.external(), Row: row})
		}
	}
}

// heldAfter are the rows in memory of keys behind one. The shards are in the order of
// the keys: once it has most of them, those left out come later than all of these.
func (s *Store) heldAfter(after []byte, most int) map[key]*idempotency.Row {
	first := 0
	if len(after) > 0 {
		first = int(after[0])
	}
	held := map[key]*idempotency.Row{}
	for i := first; i < len(s.shards) && len(held) < most; i++ {
		sh := &s.shards[i]
		sh.mu.Lock()
		for k, e := range sh.entries {
			if bytes.Compare(k[:], after) > 0 {
				held[k] = e.row
			}
		}
		sh.mu.Unlock()
	}
	return held
}

// storedAfter are the rows of the first keys of the database behind one.
func storedAfter(db *pebble.DB, after []byte, most int) (map[key]*idempotency.Row, error) {
	lower := []byte("k/")
	if len(after) > 0 {
		lower = append(append(lower, after...), 0)
	}
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: []byte("k0")})
	if err != nil {
		return nil, err
	}
	defer func() { _ = iter.Close() }()
	rows := map[key]*idempotency.Row{}
	for ok := iter.First(); ok && len(rows) < most; ok = iter.Next() {
		k, is := ofRow(iter.Key())
		if !is {
			continue
		}
		value, err := iter.ValueAndErr()
		if err != nil {
			return nil, err
		}
		if rows[k], err = idempotency.Decode(value); err != nil {
			return nil, fmt.Errorf("read key %x: %w", k, err)
		}
	}
	return rows, iter.Error()
}
