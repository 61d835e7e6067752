package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// memory is what a store knows of its own: a folder that was emptied, or that
// belongs to another machine, has other keys than those that were confirmed.
type memory struct {
	mu sync.Mutex
	// accepted tells that a person took this folder's keys for what there is.
	accepted bool
	reset    *idempotency.ResetError
}

// acceptedKey is where the accepted epoch is kept.
const acceptedKey = "m/accepted"

// readAccepted reads whether a person accepted what the folder holds.
func (s *Store) readAccepted() error {
	found, err := get(s.db, []byte(acceptedKey))
	if err != nil {
		return fmt.Errorf("read key store in %q: %w", s.disk.dir, err)
	}
	s.memory.accepted = found != nil && string(found) == s.epoch
	return nil
}

// Remember tells that effects were recorded under an epoch. Where it is not the
// folder's, and nobody accepted that, claims and confirms return an
// *idempotency.ResetError, unless the store goes on after a reset.
func (s *Store) Remember(epoch string) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if epoch == "" || epoch == s.epoch || s.memory.accepted || s.memory.reset != nil {
		return
	}
	loss := &idempotency.ResetError{Was: epoch, Now: s.epoch}
	if s.opts.OnReset != nil {
		s.opts.OnReset(loss)
	}
	if s.opts.ContinueAfterReset {
		s.memory.accepted = true
		s.opts.Logger.Warn("key store: it is not the one that effects were recorded in, they may be repeated; going on as on_store_reset says", "was", loss.Was, "now", loss.Now)
		return
	}
	s.opts.Logger.Error("key store: it is not the one that effects were recorded in; blocked until `millrace keys accept-reset`", "was", loss.Was, "now", loss.Now)
	s.memory.reset = loss
}

// Known is the epoch that this process goes by: while a loss is not accepted,
// the one that was lost.
func (s *Store) Known() string {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if s.memory.reset != nil {
		return s.memory.reset.Was
	}
	return s.epoch
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
	// A commit that failed for good returns nil.
	if err := errors.Join(s.db.Set([]byte(acceptedKey), []byte(s.epoch), pebble.Sync), s.disk.check()); err != nil {
		return fmt.Errorf("accept the key store's reset: %w", err)
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.memory.accepted, s.memory.reset = true, nil
	return nil
}
