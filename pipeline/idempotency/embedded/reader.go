package embedded

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// reader looks rows up in the database on behalf of one call. It goes by an
// iterator because Get does not ask the filters of the lowest level, where
// almost all rows are: the claim of a new key would read from the disk. One
// iterator serves the call for as long as no write has ended in the meantime.
type reader struct {
	db   *pebble.DB
	iter *pebble.Iterator
	// settled counts the writes that ended, seen is what it was when the
	// iterator was made. A key leaves the memory only after settled has risen,
	// so that under the lock of its shard it is either in memory or in an
	// iterator that is not outdated.
	settled *atomic.Uint64
	seen    uint64
}

func (s *Store) reader() *reader { return &reader{db: s.db, settled: &s.settled} }

// row reads a key's row, nil where there is none. The lock of the key's shard
// must be held.
func (r *reader) row(k key) (*idempotency.Row, error) {
	if ended := r.settled.Load(); r.iter == nil || r.seen != ended {
		r.close()
		iter, err := r.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
		if err != nil {
			return nil, err
		}
		r.iter, r.seen = iter, ended
	}
	if !r.iter.SeekPrefixGE(k.row()) {
		return nil, r.iter.Error()
	}
	value, err := r.iter.ValueAndErr()
	if err != nil {
		return nil, err
	}
	row, err := idempotency.Decode(value)
	return row, errors.Join(err, r.iter.Error())
}

// close gives the iterator back; the reader may be used on. An error of an
// iterator was told by the look-up that met it.
func (r *reader) close() {
	if r.iter != nil {
		_ = r.iter.Close()
		r.iter = nil
	}
}

// inOrder lists the indexes of n keys in the order of the keys, so that looking
// them up goes through the database once, forwards. Equal keys keep their order.
func inOrder(n int, keyAt func(int) key) []int {
	type at struct {
		key   key
		index int
	}
	all := make([]at, n)
	for i := range all {
		all[i] = at{keyAt(i), i}
	}
	slices.SortStableFunc(all, func(a, b at) int { return bytes.Compare(a.key[:], b.key[:]) })
	order := make([]int, n)
	for i, a := range all {
		order[i] = a.index
	}
	return order
}
