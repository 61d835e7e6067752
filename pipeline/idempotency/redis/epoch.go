package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

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
	return call{script: epochScript, key: s.prefix + "epoch", args: []string{what, hex.EncodeToString(id[:])}}
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
// whether one came.
func (s *Store) ready(ctx context.Context) error {
	s.mu.Lock()
	reset := s.reset
	s.mu.Unlock()
	if reset == nil {
		return nil
	}
	met, err := s.send(ctx, []call{s.epochCall("count")}, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if met.accepted != met.id || met.id == reset.Was {
		return lost(reset)
	}
	s.adopt(met)
	return nil
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
	loss := &idempotency.ResetError{Was: s.known, Now: met.id}
	s.opts.Logger.Error("key store: memory lost, effects may be repeated", "was", loss.Was, "now", loss.Now, "goes_on", s.opts.ContinueAfterReset)
	if s.opts.ContinueAfterReset {
		s.adopt(met)
		return nil
	}
	if s.reset == nil {
		s.reset = loss
	}
	return lost(s.reset)
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
