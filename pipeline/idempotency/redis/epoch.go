package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// epoch is what the store says of its own memory.
type epoch struct {
	id       string
	count    int64
	accepted string
}

func (s *Store) epochCall(what string) call {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return call{script: s.epochs, key: s.prefix + "epoch", args: []string{what, hex.EncodeToString(id[:])}}
}

// begin meets the store for the first time.
func (s *Store) begin(ctx context.Context) error {
	met, err := s.send(ctx, []call{s.epochCall("count")}, nil)
	if err != nil {
		return fmt.Errorf("read its epoch: %w", err)
	}
	s.mu.Lock()
	if s.known == "" {
		s.known = met.id
	}
	s.mu.Unlock()
	// A loss is for the calls to report: the process starts, and waits.
	_ = s.judge(met, epoch{})
	return nil
}

// ready lets a call begin, unless the store waits for a person; then it looks
// whether one came. What was remembered is compared first.
func (s *Store) ready(ctx context.Context) error {
	s.mu.Lock()
	calm := s.reset == nil && len(s.doubts) == 0
	s.mu.Unlock()
	if calm {
		return nil
	}
	met, err := s.send(ctx, []call{s.epochCall("count")}, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reset != nil {
		if met.accepted != met.id || met.id == s.reset.Was {
			return lost(s.reset)
		}
		s.adopt(met)
		return nil
	}
	doubts := s.doubts
	s.doubts = nil
	if met.id == met.accepted {
		s.adopt(met)
		return nil
	}
	for _, epoch := range doubts {
		if epoch != met.id {
			return s.lose(met, epoch)
		}
	}
	return nil
}

// Remember tells that effects were recorded under an epoch. The next call
// compares it with the store's.
func (s *Store) Remember(epoch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch != "" && epoch != s.known && !slices.Contains(s.doubts, epoch) {
		s.doubts = append(s.doubts, epoch)
	}
}

// Known is the epoch that this process goes by.
func (s *Store) Known() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// Reset is the loss that the store waits for a person about, nil for none.
func (s *Store) Reset() *idempotency.ResetError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reset
}

// highest is the epoch with the highest counter that came back so far: what is
// sent from now on must come back higher.
func (s *Store) highest() epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return epoch{id: s.known, count: s.seen}
}

// judge tells whether an epoch that came back shows the memory that this
// process knows; before is what highest was when its batch was sent.
func (s *Store) judge(met, before epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if met.id == s.known && (met.id != before.id || met.count > before.count) {
		s.seen = max(s.seen, met.count)
		return lost(s.reset)
	}
	if met.id != s.known && met.accepted == met.id {
		s.adopt(met)
		return nil
	}
	if s.reset != nil {
		return lost(s.reset)
	}
	return s.lose(met, s.known)
}

// lose notes a loss and goes on or not, as configured. The caller holds mu.
func (s *Store) lose(met epoch, was string) error {
	loss := &idempotency.ResetError{Was: was, Now: met.id}
	if s.opts.OnReset != nil {
		s.opts.OnReset(loss)
	}
	if s.opts.ContinueAfterReset {
		s.opts.Logger.Warn("key store: memory lost, effects may be repeated; going on as on_store_reset says", "was", loss.Was, "now", loss.Now)
		s.adopt(met)
		return nil
	}
	s.opts.Logger.Error("key store: memory lost; blocked until `millrace keys accept-reset`", "was", loss.Was, "now", loss.Now)
	s.reset = loss
	return loss
}

// lost is the error of a loss, nil for none.
func lost(reset *idempotency.ResetError) error {
	if reset == nil {
		return nil
	}
	return reset
}

// adopt takes the store's memory as it is.
func (s *Store) adopt(met epoch) {
	if s.known != met.id {
		s.opts.Logger.Info("key store: goes on with another epoch", "was", s.known, "now", met.id)
	}
	s.known, s.seen, s.reset = met.id, met.count, nil
}

// Epoch is the id of the store's memory as it is now, known to this process or
// not.
func (s *Store) Epoch(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	met, err := s.send(ctx, []call{s.epochCall("count")}, nil)
	if err != nil {
		return "", fmt.Errorf("read the key store's epoch: %w", err)
	}
	return met.id, nil
}

// AcceptReset takes the store's memory as it is now, for this and every other
// process that uses it: it gets a new epoch, marked as accepted.
func (s *Store) AcceptReset(ctx context.Context) error {
	met, err := s.send(ctx, []call{s.epochCall("accept")}, nil)
	if err != nil {
		return fmt.Errorf("accept the key store's reset: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopt(met)
	return nil
}
