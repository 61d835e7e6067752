package embedded

import (
	"bytes"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/pipeline/idempotency"
)

const (
	// sweepEvery is how often expired rows are looked for.
	sweepEvery = time.Minute
	// sweepSize is about how many keys a sweep looks at before others may write.
	sweepSize = 512
)

// sweep removes expired rows, a bounded number at a time. The writer runs it, so
// that no row changes under it.
type sweep struct {
	now     time.Time
	removed int
	looked  int
	err     error
	done    chan struct{}
}

// sweepNowAndThen sweeps until the store is closed.
func (s *Store) sweepNowAndThen() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if _, err := s.sweep(); err != nil {
				s.disk.logger.Warn("key store: expired keys stay", "err", err)
			}
		}
	}
}

// sweep removes what has expired, from memory and from the disk, and returns
// how many rows the disk was rid of.
func (s *Store) sweep() (removed int, err error) {
	now := s.now()
	s.sweepMemory(now)
	for {
		one := &sweep{now: now, done: make(chan struct{})}
		s.writer.addSweep(one)
		select {
		case <-one.done:
		case <-s.disk.broken:
			return removed, s.disk.check()
		case <-s.stop:
			return removed, nil
		}
		removed += one.removed
		if one.err != nil || one.looked < sweepSize {
			return removed, one.err
		}
	}
}

func (s *Store) sweepMemory(now time.Time) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for k, e := range sh.entries {
			if e.writing == nil && idempotency.Alive(e.row, now) == nil {
				delete(sh.entries, k)
			}
		}
		sh.mu.Unlock()
	}
}

// sweep goes over the expiry index up to the hour that is not over yet. A row
// that was renewed has another entry there, in the hour when it does expire.
func (w *writer) sweep(s *sweep) (removed int, err error) {
	iter, err := w.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte("x/"),
		UpperBound: hourKey(hourOf(s.now)),
	})
	if err != nil {
		return 0, err
	}
	// Nobody else writes meanwhile, so one iterator serves all look-ups.
	from := &reader{db: w.db, settled: new(atomic.Uint64)}
	defer from.close()
	// The sync of a later write covers it; a crash before only repeats it.
	err = w.apply(pebble.NoSync, func(batch *pebble.Batch) error {
		var first, last []byte
		for iter.First(); iter.Valid() && s.looked < sweepSize; iter.Next() {
			if first == nil {
				first = bytes.Clone(iter.Key())
			}
			last = append(last[:0], iter.Key()...)
			value, err := iter.ValueAndErr()
			if err != nil {
				return err
			}
			for _, k := range ofExpiry(last, value) {
				s.looked++
				gone, err := expire(batch, from, k, s.now)
				if err != nil {
					return err
				}
				if gone {
					removed++
				}
			}
		}
		if first == nil {
			return iter.Error()
		}
		// Nothing lies between but what was seen.
		return errors.Join(iter.Error(), batch.DeleteRange(first, append(last, 0), nil))
	})
	return removed, errors.Join(err, iter.Close())
}

// expire removes a row that the index names, if it has expired.
func expire(batch *pebble.Batch, from *reader, k key, now time.Time) (bool, error) {
	row, err := from.row(k)
	if err != nil || row == nil || idempotency.Alive(row, now) != nil {
		return false, err
	}
	return true, batch.Delete(k.row(), nil)
}
