package embedded

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// shard is a part of the keys that are held in memory. Its lock is never held
// while the disk is written.
type shard struct {
	mu      sync.Mutex
	entries map[key]*entry
}

// entry is a key that is claimed, or about to change on the disk. It takes
// precedence over what the database holds.
type entry struct {
	// row is never changed, only replaced. It is nil for a key without a row
	// that is about to get one.
	row *idempotency.Row
	// stored tells whether the database has a row of the key, whichever.
	stored bool
	// kept is when the claim's own row in the database expires, zero where it
	// has none.
	kept time.Time
	// writing is set while the key's change is on its way to the disk: until it
	// is there, nobody is told of it, and every claim finds the key busy.
	writing *write
}

func (s *Store) shard(k key) *shard { return &s.shards[k[0]] }

// look finds a key's row under the lock of its shard.
func (s *Store) look(from *reader, k key, e *entry) (row *idempotency.Row, stored bool, err error) {
	if e != nil {
		return e.row, e.stored, nil
	}
	row, err = from.row(k)
	if err != nil {
		return nil, false, fmt.Errorf("read key %x: %w", k, err)
	}
	if row != nil && row.State == idempotency.Claimed {
		// Whoever claimed it is gone: this process owns the folder now, and
		// would have the claim in memory.
		row.Deadline = time.Time{}
	}
	return row, row != nil, nil
}

// Claim claims keys. A claim that is not Durable costs no write.
func (s *Store) Claim(ctx context.Context, claims []idempotency.Claim) ([]idempotency.Verdict, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("claim keys: %w", err)
	}
	defer s.leave()
	if err := s.lost(); err != nil {
		return nil, fmt.Errorf("claim keys: %w", err)
	}
	// What could not be confirmed must not be begun.
	if err := s.disk.room(); err != nil {
		return nil, fmt.Errorf("claim keys: %w", err)
	}
	now := s.now()
	verdicts := make([]idempotency.Verdict, len(claims))
	w := newWrite(len(claims))
	from := s.reader()
	defer from.close()
	for _, i := range inOrder(len(claims), func(i int) key { return keyOf(claims[i].ID) }) {
		verdict, err := s.claim(w, from, &claims[i], now)
		if err != nil {
			w.err = err
			s.settle(w)
			return nil, fmt.Errorf("claim keys: %w", err)
		}
		verdicts[i] = verdict
	}
	if err := s.write(ctx, w); err != nil {
		return nil, fmt.Errorf("claim keys: %w", err)
	}
	return verdicts, nil
}

func (s *Store) claim(w *write, from *reader, c *idempotency.Claim, now time.Time) (idempotency.Verdict, error) {
	k := keyOf(c.ID)
	sh := s.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[k]
	if e != nil && e.writing != nil {
		return idempotency.Verdict{Answer: idempotency.Busy, Row: own(e.row)}, nil
	}
	row, stored, err := s.look(from, k, e)
	if err != nil {
		return idempotency.Verdict{}, err
	}
	next, verdict := idempotency.ApplyClaim(row, c, now)
	verdict.Row = own(verdict.Row)
	if next == row {
		return verdict, nil
	}
	taken := &entry{row: next, stored: stored}
	sh.entries[k] = taken
	if c.Durable {
		taken.writing, taken.stored, taken.kept = w, true, next.Expires
		w.put(k, next, e, taken)
	} else {
		w.changes = append(w.changes, change{key: k, brief: true, before: e, entry: taken})
	}
	return verdict, nil
}

// write puts a call's changes on the disk, where it has any.
func (s *Store) write(ctx context.Context, w *write) error {
	if w.size == 0 {
		return nil
	}
	s.writer.add(w)
	return s.await(ctx, w)
}

// settle gives the keys of a write free: the database holds what it changed,
// or, after a failure, nothing of it happened. Of a claim, memory stays in
// charge.
func (s *Store) settle(w *write) {
	s.settled.Add(1)
	// Backwards, for a key that one call claimed twice.
	for i := len(w.changes) - 1; i >= 0; i-- {
		c := &w.changes[i]
		sh := s.shard(c.key)
		sh.mu.Lock()
		if c.entry.writing == w {
			c.entry.writing = nil
		}
		switch {
		case sh.entries[c.key] != c.entry:
		case w.err != nil && c.before != nil:
			sh.entries[c.key] = c.before
		case w.err != nil, !c.brief && !c.stays:
			delete(sh.entries, c.key)
		}
		sh.mu.Unlock()
	}
}

func own(row *idempotency.Row) *idempotency.Row {
	if row == nil {
		return nil
	}
	c := *row
	return &c
}
