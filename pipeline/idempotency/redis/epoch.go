package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// epoch is what the store says of its own memory.
type epoch struct {
	id       string
	count    int64
	accepted string
	// now is the store's time when it said that, in microseconds.
	now int64
}

// mark is an epoch as others remember it: its id, and how far its counter was.
func (e epoch) mark() string { return e.id + "/" + strconv.FormatInt(e.count, 10) }

// markOf reads a mark. One without a counter, as earlier releases left, says only
// which memory it was.
func markOf(mark string) epoch {
	id, count, _ := strings.Cut(mark, "/")
	n, _ := strconv.ParseInt(count, 10, 64)
	return epoch{id: id, count: n}
}

// Lacks tells whether the memory that was looked at is another one than a mark
// remembers, or one that went back since, and nobody accepted that.
func (s State) Lacks(mark string) bool {
	was := markOf(mark)
	if was.id == s.Epoch {
		return was.count > s.Count
	}
	return s.Epoch == "" || s.Accepted != s.Epoch
}

func (s *Store) epochCall(what string) call {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return call{script: s.epochs, keys: []string{s.prefix + "epoch"}, args: []string{what, hex.EncodeToString(id[:])}}
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
		if met.accepted != met.id || met.id == markOf(s.reset.Was).id {
			return lost(s.reset)
		}
		s.adopt(met)
		return nil
	}
	doubts := s.doubts
	s.doubts = nil
	for _, mark := range doubts {
		// This call raised the counter: it is behind where it is not ahead.
		if was := markOf(mark); was.id == met.id && was.count >= met.count {
			return s.lose(met, mark)
		}
	}
	if met.id == met.accepted {
		s.adopt(met)
		return nil
	}
	for _, mark := range doubts {
		if markOf(mark).id != met.id {
			return s.lose(met, mark)
		}
	}
	return nil
}

// Remember tells that effects were recorded under an epoch. The next call
// compares it with the store's.
func (s *Store) Remember(mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := markOf(mark)
	if mark != "" && (was.id != s.known || was.count > s.seen) && !slices.Contains(s.doubts, mark) {
		s.doubts = append(s.doubts, mark)
	}
}

// Known is the epoch that this process goes by, and how far its counter was when
// it last answered; while a loss is not accepted, what was lost.
func (s *Store) Known() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reset != nil {
		return s.reset.Was
	}
	return epoch{id: s.known, count: s.seen}.mark()
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
	return s.lose(met, epoch{id: s.known, count: s.seen}.mark())
}

// lose notes a loss and goes on or not, as configured. The caller holds mu.
func (s *Store) lose(met epoch, was string) error {
	loss := &idempotency.ResetError{Was: was, Now: met.mark()}
	if s.opts.OnReset != nil {
		s.opts.OnReset(loss)
	}
	if s.opts.ContinueAfterReset {
		s.opts.Logger.Warn("key store: memory lost, effects may be repeated; going on as on_store_reset says", "was",
			loss.Was, "now", loss.Now)
		s.adopt(met)
		return nil
	}
	s.opts.Logger.Error("key store: memory lost; blocked until `millrace keys accept-reset`", "was", loss.Was, "now",
		loss.Now)
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
