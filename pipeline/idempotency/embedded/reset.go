package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// memory is what a store knows of its own: a folder that was emptied, that
// belongs to another machine, or whose files were damaged, has other keys than
// those that were confirmed.
type memory struct {
	mu sync.Mutex
	// accepted tells that a person took this folder's keys for what there is.
	accepted bool
	reset    *idempotency.ResetError
	// lost is the highest count of writes that was remembered and is not here.
	lost uint64
}

// mark is what commits remember of the store: its folder, and how many writes
// had then been synced. A folder with fewer has lost some.
type mark struct {
	epoch string
	count uint64
}

func (m mark) String() string { return m.epoch + "/" + strconv.FormatUint(m.count, 10) }

func markOf(text string) mark {
	epoch, count, _ := strings.Cut(text, "/")
	n, _ := strconv.ParseUint(count, 10, 64)
	return mark{epoch, n}
}

// acceptedKey is where the accepted epoch is kept.
const acceptedKey = "m/accepted"

// countKey is where the number of synced writes is kept.
const countKey = "m/count"

func appendCount(dst []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(dst, n) }

// readAccepted reads whether a person accepted what the folder holds, and how
// many writes that is.
func (s *Store) readAccepted() error {
	found, err := get(s.db, []byte(acceptedKey))
	if err != nil {
		return fmt.Errorf("read key store in %q: %w", s.disk.dir, err)
	}
	s.memory.accepted = found != nil && string(found) == s.epoch
	count, err := get(s.db, []byte(countKey))
	if err != nil {
		return fmt.Errorf("read key store in %q: %w", s.disk.dir, err)
	}
	if len(count) == 8 {
		s.writer.count.Store(binary.BigEndian.Uint64(count))
	}
	return nil
}

// Remember tells that effects were recorded under what Known said then. Where
// that was another folder, or one with more writes than this one has, and nobody
// accepted it, claims and confirms return an *idempotency.ResetError, unless the
// store goes on after a reset.
func (s *Store) Remember(known string) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	was, now := markOf(known), s.mark()
	switch {
	case known == "", was.epoch == now.epoch && was.count <= now.count, was.epoch != now.epoch && s.memory.accepted:
		return
	case was.epoch == now.epoch:
		s.memory.lost = max(s.memory.lost, was.count)
	}
	if s.memory.reset != nil {
		return
	}
	loss := &idempotency.ResetError{Was: known, Now: now.String()}
	if s.opts.OnReset != nil {
		s.opts.OnReset(loss)
	}
	if s.opts.ContinueAfterReset {
		s.memory.accepted = true
		s.writer.count.Store(max(s.writer.count.Load(), was.count))
		s.opts.Logger.Warn("key store: it has lost keys of effects that were recorded, they may be repeated; going "+
			"on as on_store_reset says", "was", loss.Was, "now", loss.Now)
		return
	}
	s.opts.Logger.Error("key store: it has lost keys of effects that were recorded; blocked until `millrace keys "+
		"accept-reset`", "was", loss.Was, "now", loss.Now)
	s.memory.reset = loss
}

func (s *Store) mark() mark { return mark{s.epoch, s.writer.count.Load()} }

// Known is what this process goes by: the folder's epoch and how many writes
// were synced; while a loss is not accepted, what was lost.
func (s *Store) Known() string {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if s.memory.reset != nil {
		return s.memory.reset.Was
	}
	return s.mark().String()
}

// Reset is the loss that the store waits for a person about, nil for none.
func (s *Store) Reset() *idempotency.ResetError {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.memory.reset
}

// lost is the loss as an error.
func (s *Store) lost() error {
	if reset := s.Reset(); reset != nil {
		return reset
	}
	return nil
}

// AcceptReset takes the folder's keys for what there is. That is on the disk
// when it returns.
func (s *Store) AcceptReset(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("accept the key store's reset: %w", err)
	}
	defer s.leave()
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	// What commits remember of the lost writes is covered by counting on from
	// there. The next write takes the count to the disk.
	s.writer.count.Store(max(s.writer.count.Load(), s.memory.lost))
	// A commit that failed for good returns nil.
	err := errors.Join(
		s.db.Set([]byte(countKey), appendCount(nil, s.writer.count.Load()), pebble.NoSync),
		s.db.Set([]byte(acceptedKey), []byte(s.epoch), pebble.Sync),
		s.disk.check(),
	)
	if err != nil {
		return fmt.Errorf("accept the key store's reset: %w", err)
	}
	s.memory.accepted, s.memory.reset, s.memory.lost = true, nil, 0
	return nil
}
