//go:build real

package redis

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// lose makes the server lose its memory in one of the ways that there are.
var losses = map[string]func(t *testing.T, s *Store){
	"emptied": func(t *testing.T, s *Store) { s.do(t, "FLUSHALL") },
	"back in time": func(t *testing.T, s *Store) {
		s.do(t, "HSET", DefaultPrefix+"epoch", "n", "0")
	},
}

func TestRealResetBlocksUntilAccepted(t *testing.T) {
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			server := startServer(t)
			first, second := open(t, server.url(""), Options{}), open(t, server.url(""), Options{})
			run := idempotency.NewRun()
			for _, s := range []*Store{first, second} {
				if _, err := s.one(t, aClaim(run)); err != nil {
					t.Fatal(err)
				}
			}
			lose(t, first)
			c := aClaim(run)
			var reset *idempotency.ResetError
			for range 2 {
				if answer, err := first.one(t, c); !errors.As(err, &reset) {
					t.Fatalf("a claim after the loss: %v, %v", answer, err)
				}
			}
			if name == "emptied" {
				if _, err := second.Confirm(t.Context(), []idempotency.Claim{aClaim(run)}); !errors.As(err, &reset) {
					t.Errorf("the second process: %v", err)
				}
			}

			// The one who accepts need not be one of them.
			if err := open(t, server.url(""), Options{}).AcceptReset(t.Context()); err != nil {
				t.Fatal(err)
			}
			again := c
			again.Token = run.Next()
			if answer, err := first.one(t, again); err != nil || answer != idempotency.Go {
				t.Errorf("a key that was claimed without an answer: %v, %v", answer, err)
			}
			if answer, err := second.one(t, aClaim(run)); err != nil || answer != idempotency.Go {
				t.Errorf("the second process, after the loss was accepted: %v, %v", answer, err)
			}
		})
	}
}

func TestRealResetGoesOnWhereAskedTo(t *testing.T) {
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			server := startServer(t)
			store := open(t, server.url(""), Options{ContinueAfterReset: true})
			run := idempotency.NewRun()
			lose(t, store)
			for range 3 {
				if answer, err := store.one(t, aClaim(run)); err != nil || answer != idempotency.Go {
					t.Errorf("%v, %v", answer, err)
				}
			}
		})
	}
}

// A process that was not there when the memory was lost learns of it from the
// epoch that it remembers.
func TestRealResetIsNoticedAtTheStart(t *testing.T) {
	server := startServer(t)
	before := open(t, server.url(""), Options{})
	known, err := before.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run := idempotency.NewRun()
	if _, err := open(t, server.url(""), Options{Epoch: known}).one(t, aClaim(run)); err != nil {
		t.Errorf("nothing was lost: %v", err)
	}
	before.do(t, "FLUSHALL")
	later := open(t, server.url(""), Options{Epoch: known})
	var reset *idempotency.ResetError
	if _, err := later.one(t, aClaim(run)); !errors.As(err, &reset) || markOf(reset.Was).id != known || markOf(reset.Now).id == known {
		t.Errorf("error is %v", err)
	}
	if err := later.AcceptReset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer, err := later.one(t, aClaim(run)); err != nil || answer != idempotency.Go {
		t.Errorf("after the loss was accepted: %v, %v", answer, err)
	}
}

// A Redis that came back from an older backup, or without its last second, while
// every process was down has its name still: the counter beside the commits tells.
func TestRealOlderMemoryIsNoticedFromCommits(t *testing.T) {
	server := startServer(t)
	run := idempotency.NewRun()
	store := open(t, server.url(""), Options{})
	for range 5 {
		if _, err := store.one(t, aClaim(run)); err != nil {
			t.Fatal(err)
		}
	}
	committed := store.Known()

	later := open(t, server.url(""), Options{})
	later.Remember(committed)
	if _, err := later.one(t, aClaim(run)); err != nil || later.Reset() != nil {
		t.Fatalf("nothing was lost: %v, %v", err, later.Reset())
	}

	store.do(t, "HSET", DefaultPrefix+"epoch", "n", "1")
	if seen, err := Look(t.Context(), server.url("")); err != nil || !seen.Lacks(committed) {
		t.Errorf("looked at, it lacks nothing: %+v, %v", seen, err)
	}
	restored := open(t, server.url(""), Options{})
	restored.Remember(committed)
	var reset *idempotency.ResetError
	if _, err := restored.one(t, aClaim(run)); !errors.As(err, &reset) || reset.Was != committed || !strings.Contains(err.Error(), "went back in time") {
		t.Fatalf("error is %v", err)
	}
	if restored.Known() != committed {
		t.Errorf("what it commits meanwhile remembers %q", restored.Known())
	}
	if err := restored.AcceptReset(t.Context()); err != nil {
		t.Fatal(err)
	}
	restored.Remember(committed)
	if _, err := restored.one(t, aClaim(run)); err != nil {
		t.Errorf("after the loss was accepted: %v", err)
	}
	if seen, err := Look(t.Context(), server.url("")); err != nil || seen.Lacks(committed) || seen.Lacks(restored.Known()) {
		t.Errorf("after the loss was accepted: %+v, %v", seen, err)
	}
}

// Effects that others recorded under another epoch are a loss, whether or not
// this process was there, and once only.
func TestRealResetIsNoticedFromCommits(t *testing.T) {
	server := startServer(t)
	run := idempotency.NewRun()
	store := open(t, server.url(""), Options{})
	store.Remember(store.Known())
	store.Remember("")
	if _, err := store.one(t, aClaim(run)); err != nil || store.Reset() != nil {
		t.Fatalf("nothing was lost: %v, %v", err, store.Reset())
	}
	known := store.Known()
	store.Remember("another")
	var reset *idempotency.ResetError
	if _, err := store.one(t, aClaim(run)); !errors.As(err, &reset) || reset.Was != "another" {
		t.Fatalf("error is %v", err)
	}
	if store.Reset() == nil || store.Known() != "another" {
		t.Errorf("waits for %v and goes by %q", store.Reset(), store.Known())
	}
	if err := open(t, server.url(""), Options{}).AcceptReset(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := store.one(t, aClaim(run)); err != nil {
			t.Errorf("after the loss was accepted: %v", err)
		}
		store.Remember("another") // of a partition that nothing was read of since
	}
	if markOf(store.Known()).id == markOf(known).id || store.Reset() != nil {
		t.Errorf("still goes by the epoch before, or waits for %v", store.Reset())
	}

	told := 0
	goesOn := open(t, server.url(""), Options{ContinueAfterReset: true, OnReset: func(*idempotency.ResetError) { told++ }})
	goesOn.do(t, "FLUSHALL")
	if _, err := goesOn.one(t, aClaim(run)); err != nil || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
}
