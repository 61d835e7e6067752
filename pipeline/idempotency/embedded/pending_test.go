package embedded

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// slow is a store whose next sync waits until it is let go.
type slow struct {
	*crashing
	store *Store
	armed chan struct{}
	at    chan struct{}
	let   chan struct{}
}

func newSlow(t *testing.T) *slow {
	s := &slow{crashing: newCrashing(), armed: make(chan struct{}, 1), at: make(chan struct{}), let: make(chan struct{})}
	fs := errorfs.Wrap(s.fs, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if !strings.HasSuffix(o.Path, ".log") || o.Kind != errorfs.OpFileSyncData && o.Kind != errorfs.OpFileSync {
			return nil
		}
		select {
		case <-s.armed:
			s.at <- struct{}{}
			<-s.let
		default:
		}
		return nil
	}))
	var err error
	if s.store, err = open("db", fs, s.options(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Of a test that failed before it let the sync go.
		close(s.let)
		s.store.Close()
	})
	return s
}

func (s *slow) answer(t *testing.T, c idempotency.Claim, want idempotency.Answer) {
	t.Helper()
	verdicts, err := s.store.Claim(t.Context(), []idempotency.Claim{c})
	if err != nil || verdicts[0].Answer != want {
		t.Fatalf("claim is answered %v, %v, want %v", verdicts, err, want)
	}
}

// While a confirm is on its way to the disk, nobody may go and nobody is told
// that the effect is done, even where the lease ran out meanwhile.
func TestBusyWhileConfirmIsWritten(t *testing.T) {
	for name, forgotten := range map[string]bool{"claimed": false, "forgotten": true} {
		t.Run(name, func(t *testing.T) {
			s := newSlow(t)
			run := idempotency.NewRun()
			c := aClaim(run, false)
			if !forgotten {
				s.answer(t, c, idempotency.Go)
			}
			confirmed := make(chan error, 1)
			s.armed <- struct{}{}
			go func() {
				_, err := s.store.Confirm(t.Context(), []idempotency.Claim{c})
				confirmed <- err
			}()
			<-s.at
			s.Advance(2 * c.Lease)
			again := c
			again.Token = run.Next()
			s.answer(t, again, idempotency.Busy)
			s.let <- struct{}{}
			if err := <-confirmed; err != nil {
				t.Fatal(err)
			}
			s.answer(t, again, idempotency.Duplicate)
		})
	}
}

// A confirm whose caller gave up is written all the same, and its key is busy
// for so long; repeating it waits for that and is Held.
func TestConfirmThatWasGivenUp(t *testing.T) {
	s := newSlow(t)
	run := idempotency.NewRun()
	c := aClaim(run, true)
	s.answer(t, c, idempotency.Go)
	s.armed <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := s.store.Confirm(ctx, []idempotency.Claim{c})
		first <- err
	}()
	<-s.at
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Fatalf("confirm that was given up: %v", err)
	}
	again := c
	again.Token = run.Next()
	s.answer(t, again, idempotency.Busy)
	repeated := make(chan idempotency.TokenState, 1)
	go func() {
		states, err := s.store.Confirm(t.Context(), []idempotency.Claim{c})
		if err != nil {
			t.Error(err)
		}
		repeated <- append(states, 0)[0]
	}()
	s.let <- struct{}{}
	if state := <-repeated; state != idempotency.Held {
		t.Errorf("repeated confirm is %v", state)
	}
	s.answer(t, again, idempotency.Duplicate)
}
