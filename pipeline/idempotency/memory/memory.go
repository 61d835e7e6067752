// Package memory keeps keys in maps, as plainly as the state machine can be
// stored. `millrace test` runs on it, and it is the model that every other
// store is compared with.
package memory

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// Store is an idempotency.Store, Inspector and Lister without a disk. It may be used
// concurrently; its fields are set before that.
type Store struct {
	// Fail, when set, is asked before each call, by the call's name in lower
	// case; its error is returned and nothing is done.
	Fail func(op string) error
	// Lose, when set, is asked after each call; its error takes the place of
	// what was done, as when a reply is lost.
	Lose func(op string) error
	// Owned makes the store behave as one whose memory belongs to one process:
	// Restart then ends every claim's lease and forgets those that were not
	// durable.
	Owned bool

	now func() time.Time

	mu    sync.Mutex
	kept  map[idempotency.ID]*idempotency.Row
	brief map[idempotency.ID]*idempotency.Row // claims that a restart forgets
	epoch int
}

var (
	_ idempotency.Store     = (*Store)(nil)
	_ idempotency.Inspector = (*Store)(nil)
	_ idempotency.Lister    = (*Store)(nil)
)

// New makes an empty store whose clock is now.
func New(now func() time.Time) *Store {
	s := &Store{now: now}
	s.Lapse()
	return s
}

// Claim claims keys.
func (s *Store) Claim(ctx context.Context, claims []idempotency.Claim) ([]idempotency.Verdict, error) {
	verdicts := make([]idempotency.Verdict, len(claims))
	err := s.each(ctx, "claim", len(claims), func(i int, now time.Time) {
		c := &claims[i]
		row := s.row(c.ID)
		next, verdict := idempotency.ApplyClaim(row, c, now)
		verdict.Row = own(verdict.Row)
		verdicts[i] = verdict
		switch {
		case next == row:
		case s.Owned && !c.Durable:
			s.brief[c.ID] = next
		default:
			s.keep(c.ID, next)
		}
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

// Extend moves the deadlines of held claims.
func (s *Store) Extend(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	return s.states(ctx, "extend", claims, idempotency.ApplyExtend)
}

// Confirm records effects as done.
func (s *Store) Confirm(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	return s.states(ctx, "confirm", claims, idempotency.ApplyConfirm)
}

// Settle releases or parks claims.
func (s *Store) Settle(ctx context.Context, claims []idempotency.Claim,
	as idempotency.Settlement) ([]idempotency.TokenState, error) {
	return s.states(ctx, "settle", claims, func(row *idempotency.Row, c *idempotency.Claim,
		now time.Time) (*idempotency.Row, idempotency.TokenState) {
		return idempotency.ApplySettle(row, c, as, now)
	})
}

// Get returns the row of each key, nil where there is none.
func (s *Store) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error) {
	rows := make([]*idempotency.Row, len(ids))
	err := s.each(ctx, "get", len(ids), func(i int, now time.Time) {
		rows[i] = own(idempotency.Alive(s.row(ids[i]), now))
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// Delete forgets keys.
func (s *Store) Delete(ctx context.Context, ids []idempotency.ID) ([]bool, error) {
	were := make([]bool, len(ids))
	err := s.each(ctx, "delete", len(ids), func(i int, now time.Time) {
		were[i] = idempotency.Alive(s.row(ids[i]), now) != nil
		s.keep(ids[i], nil)
	})
	if err != nil {
		return nil, err
	}
	return were, nil
}

// List returns the keys that follow from, in the order of their external form.
func (s *Store) List(ctx context.Context, from string, most int) (idempotency.Listing, error) {
	var found idempotency.Listing
	err := s.each(ctx, "list", 1, func(_ int, now time.Time) {
		for _, rows := range []map[idempotency.ID]*idempotency.Row{s.kept, s.brief} {
			for id := range rows {
				row := idempotency.Alive(s.row(id), now)
				if row != nil && id.External() > from && row == rows[id] {
					found.Keys = append(found.Keys, idempotency.Listed{External: id.External(), Row: own(row)})
				}
			}
		}
	})
	slices.SortFunc(found.Keys, func(a, b idempotency.Listed) int { return strings.Compare(a.External, b.External) })
	if len(found.Keys) > most {
		found.Keys = found.Keys[:most]
		found.Next = found.Keys[most-1].External
	}
	return found, err
}

// Epoch names the store's memory; Lapse begins another.
func (s *Store) Epoch(ctx context.Context) (string, error) {
	var epoch string
	err := s.each(ctx, "epoch", 1, func(int, time.Time) { epoch = strconv.Itoa(s.epoch) })
	return epoch, err
}

// Restart is the end of the process that holds the claims, and the start of the
// next one on the same memory.
func (s *Store) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Owned {
		return
	}
	s.brief = map[idempotency.ID]*idempotency.Row{}
	for id, row := range s.kept {
		if row.State == idempotency.Claimed {
			over := own(row)
			over.Deadline = time.Time{}
			s.kept[id] = over
		}
	}
}

// Lapse loses the store's memory, as a flush does.
func (s *Store) Lapse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = map[idempotency.ID]*idempotency.Row{}
	s.brief = map[idempotency.ID]*idempotency.Row{}
	s.epoch++
}

type apply func(*idempotency.Row, *idempotency.Claim, time.Time) (*idempotency.Row, idempotency.TokenState)

func (s *Store) states(ctx context.Context, op string, claims []idempotency.Claim, do apply) ([]idempotency.TokenState,
	error) {
	states := make([]idempotency.TokenState, len(claims))
	err := s.each(ctx, op, len(claims), func(i int, now time.Time) {
		id := claims[i].ID
		row := s.row(id)
		next, state := do(row, &claims[i], now)
		states[i] = state
		_, brief := s.brief[id]
		switch {
		case next == row:
		case brief && next != nil && next.State == idempotency.Claimed:
			s.brief[id] = next
		default:
			s.keep(id, next)
		}
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

// each does n steps of a call at one time of the clock, between its hooks.
func (s *Store) each(ctx context.Context, op string, n int, do func(i int, now time.Time)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Fail != nil {
		if err := s.Fail(op); err != nil {
			return err
		}
	}
	s.mu.Lock()
	now := s.now()
	for i := range n {
		do(i, now)
	}
	s.mu.Unlock()
	if s.Lose != nil {
		return s.Lose(op)
	}
	return nil
}

func (s *Store) row(id idempotency.ID) *idempotency.Row {
	if row, ok := s.brief[id]; ok {
		return row
	}
	return s.kept[id]
}

func (s *Store) keep(id idempotency.ID, row *idempotency.Row) {
	delete(s.brief, id)
	if row == nil {
		delete(s.kept, id)
		return
	}
	s.kept[id] = row
}

func own(row *idempotency.Row) *idempotency.Row {
	if row == nil {
		return nil
	}
	c := *row
	return &c
}
