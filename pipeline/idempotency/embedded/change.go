package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// Extend moves the deadlines of held claims. It costs no write, save for a durable
// claim once a day and where it has another answer.
func (s *Store) Extend(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	states, err := s.states(ctx, claims, idempotency.ApplyExtend)
	if err != nil {
		return nil, fmt.Errorf("extend claims: %w", err)
	}
	return states, nil
}

// Confirm records effects as done. They are on the disk when it returns.
func (s *Store) Confirm(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	states, err := s.states(ctx, claims, idempotency.ApplyConfirm)
	if err != nil {
		return nil, fmt.Errorf("confirm keys: %w", err)
	}
	return states, nil
}

// Settle releases or parks claims. What it changes is on the disk when it
// returns.
func (s *Store) Settle(ctx context.Context, claims []idempotency.Claim,
	as idempotency.Settlement) ([]idempotency.TokenState, error) {
	states, err := s.states(ctx, claims, func(row *idempotency.Row, c *idempotency.Claim,
		now time.Time) (*idempotency.Row, idempotency.TokenState) {
		return idempotency.ApplySettle(row, c, as, now)
	})
	if err != nil {
		return nil, fmt.Errorf("settle claims as %v: %w", as, err)
	}
	return states, nil
}

// Get returns the row of each key, nil where there is none.
func (s *Store) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("look up keys: %w", err)
	}
	defer s.leave()
	now := s.now()
	rows := make([]*idempotency.Row, len(ids))
	from := s.reader()
	defer from.close()
	for _, i := range inOrder(len(ids), func(i int) key { return keyOf(ids[i]) }) {
		row, err := s.find(from, keyOf(ids[i]))
		if err != nil {
			return nil, fmt.Errorf("look up keys: %w", err)
		}
		rows[i] = own(idempotency.Alive(row, now))
	}
	return rows, nil
}

func (s *Store) find(from *reader, k key) (*idempotency.Row, error) {
	sh := s.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	row, _, err := s.look(from, k, sh.entries[k])
	return row, err
}

// Delete forgets keys, whatever their state. They are gone from the disk when
// it returns.
func (s *Store) Delete(ctx context.Context, ids []idempotency.ID) ([]bool, error) {
	now := s.now()
	were := make([]bool, len(ids))
	err := s.change(ctx, len(ids), func(i int) (key, apply) {
		return keyOf(ids[i]), func(row *idempotency.Row) *idempotency.Row {
			were[i] = idempotency.Alive(row, now) != nil
			return nil
		}
	})
	if err != nil {
		return nil, fmt.Errorf("delete keys: %w", err)
	}
	return were, nil
}

// Epoch is a random id that was made with the folder.
func (s *Store) Epoch(ctx context.Context) (string, error) {
	if err := s.enter(ctx); err != nil {
		return "", fmt.Errorf("read the key store's epoch: %w", err)
	}
	defer s.leave()
	return s.epoch, nil
}

type transition func(*idempotency.Row, *idempotency.Claim, time.Time) (*idempotency.Row, idempotency.TokenState)

// apply makes a key's next row from its row, nil for none.
type apply func(row *idempotency.Row) *idempotency.Row

func (s *Store) states(ctx context.Context, claims []idempotency.Claim, step transition) ([]idempotency.TokenState,
	error) {
	if err := s.lost(); err != nil {
		return nil, err
	}
	now := s.now()
	states := make([]idempotency.TokenState, len(claims))
	err := s.change(ctx, len(claims), func(i int) (key, apply) {
		return keyOf(claims[i].ID), func(row *idempotency.Row) *idempotency.Row {
			next, state := step(row, &claims[i], now)
			states[i] = state
			return next
		}
	})
	return states, err
}

// change changes n keys. A key that is on its way to the disk is left for
// another round, after this call's own keys are written: waiting for it while
// holding others could wait for ever.
func (s *Store) change(ctx context.Context, n int, each func(i int) (key, apply)) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	from := s.reader()
	defer from.close()
	ahead := make([]int, n)
	for i := range ahead {
		ahead[i] = i
	}
	for len(ahead) > 0 {
		w := newWrite(len(ahead))
		var later []int
		var other *write
		for _, i := range ahead {
			k, next := each(i)
			busy, err := s.changeOne(w, from, k, next)
			if err != nil {
				w.err = err
				s.settle(w)
				return err
			}
			if busy != nil {
				later, other = append(later, i), busy
			}
		}
		if err := s.write(ctx, w); err != nil {
			return err
		}
		if other != nil && other != w {
			// How the other one ended is its own caller's business.
			if err := s.await(ctx, other); err != nil && other.pending() {
				return err
			}
		}
		ahead = later
	}
	return nil
}

// pending tells whether the write has not ended yet.
func (w *write) pending() bool {
	select {
	case <-w.done:
		return false
	default:
		return true
	}
}

// changeOne changes a key, or returns the write that it is part of.
func (s *Store) changeOne(w *write, from *reader, k key, apply apply) (busy *write, err error) {
	sh := s.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[k]
	if e != nil && e.writing != nil {
		return e.writing, nil
	}
	row, stored, err := s.look(from, k, e)
	if err != nil {
		return nil, err
	}
	next := apply(row)
	switch {
	case next == row:
		return nil, nil
	case next == nil && !stored:
		delete(sh.entries, k)
		return nil, nil
	}
	before := e
	if e == nil {
		e = &entry{row: row, stored: stored}
		if row != nil {
			e.kept = row.Expires
		}
		sh.entries[k] = e
	}
	if next != nil && next.State == idempotency.Claimed {
		e.row = next
		brief := e.kept.IsZero()
		if brief || next.Token == row.Token && next.Answer == row.Answer && next.Expires.Sub(e.kept) < 24*time.Hour {
			return nil, nil
		}
		e.kept = next.Expires
	}
	e.writing = w
	w.put(k, next, before, e)
	return nil, nil
}
