package embedded

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// List returns the keys that follow from, in their order. Each step has an iterator
// of its own, so that none keeps what was written over from being tidied up, and
// holds each shard for one key at a time.
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
	keys := s.heldAfter(after, most)
	stored, err := storedAfter(s.db, after, most)
	if err != nil {
		return found, fmt.Errorf("list keys: %w", err)
	}
	keys = append(keys, stored...)
	slices.SortFunc(keys, key.compare)
	keys = slices.Compact(keys)
	now, rows := s.now(), s.reader()
	defer rows.close()
	for _, k := range step(&found, keys, most, s.db) {
		row, err := s.find(rows, k)
		if err != nil {
			return found, fmt.Errorf("list keys: %w", err)
		}
		if row = own(idempotency.Alive(row, now)); row != nil {
			found.Keys = append(found.Keys, idempotency.Listed{External: k.external(), Row: row})
		}
	}
	return found, nil
}

// step is how far one goes through sorted keys, of which found is told the end.
func step(found *idempotency.Listing, keys []key, most int, db *pebble.DB) []key {
	if len(keys) < most {
		found.Bytes = int64(db.Metrics().DiskSpaceUsage())
		return keys
	}
	found.Next = hex.EncodeToString(keys[most-1][:])
	return keys[:most]
}

// heldAfter are keys in memory behind one. The shards are in the order of the keys:
// once it has most of them, those left out come later than all of these.
func (s *Store) heldAfter(after []byte, most int) []key {
	first := 0
	if len(after) > 0 {
		first = int(after[0])
	}
	var keys []key
	for i := first; i < len(s.shards) && len(keys) < most; i++ {
		sh := &s.shards[i]
		sh.mu.Lock()
		for k := range sh.entries {
			if bytes.Compare(k[:], after) > 0 {
				keys = append(keys, k)
			}
		}
		sh.mu.Unlock()
	}
	return keys
}

// storedAfter are the first keys of the database behind one.
func storedAfter(db *pebble.DB, after []byte, most int) ([]key, error) {
	lower := []byte("k/")
	if len(after) > 0 {
		lower = append(append(lower, after...), 0)
	}
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: []byte("k0")})
	if err != nil {
		return nil, err
	}
	defer func() { _ = iter.Close() }()
	var keys []key
	for ok := iter.First(); ok && len(keys) < most; ok = iter.Next() {
		if k, is := ofRow(iter.Key()); is {
			keys = append(keys, k)
		}
	}
	return keys, iter.Error()
}
