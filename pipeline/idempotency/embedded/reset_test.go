package embedded

import (
	"errors"
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// Effects that were recorded in another store are a loss: nothing is claimed or
// confirmed until a person accepts it, also after a restart.
func TestResetBlocksUntilAccepted(t *testing.T) {
	c := newCrashing()
	store := c.open(t)
	run := idempotency.NewRun()
	claim := func() error {
		token := run.Next()
		_, err := store.Claim(t.Context(), []idempotency.Claim{{ID: idempotency.Identity("p", "s", 1, token.String()), Token: token, TTL: 1 << 40, Lease: 1 << 35}})
		return err
	}
	store.Remember(store.Known())
	store.Remember("")
	if err := claim(); err != nil || store.Reset() != nil {
		t.Fatalf("nothing was lost: %v, %v", err, store.Reset())
	}
	store.Remember("another")
	var reset *idempotency.ResetError
	if err := claim(); !errors.As(err, &reset) || reset.Was != "another" {
		t.Errorf("a claim after the loss: %v", err)
	}
	if _, err := store.Confirm(t.Context(), []idempotency.Claim{{Token: run.Next()}}); !errors.As(err, &reset) {
		t.Errorf("a confirm after the loss: %v", err)
	}
	if store.Known() != "another" {
		t.Errorf("goes by %q while the loss is not accepted", store.Known())
	}
	if _, err := store.Get(t.Context(), []idempotency.ID{{}}); err != nil {
		t.Errorf("a person can't look: %v", err)
	}
	if err := store.AcceptReset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := claim(); err != nil || store.Known() == "another" {
		t.Errorf("after the loss was accepted: %v, goes by %q", err, store.Known())
	}
	c.crash(t, 0)
	store = c.open(t)
	store.Remember("another")
	if err := claim(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestResetGoesOnWhereAskedTo(t *testing.T) {
	c := newCrashing()
	options := c.options(t)
	told := 0
	options.ContinueAfterReset, options.OnReset = true, func(*idempotency.ResetError) { told++ }
	store, err := open("db", c.fs, options)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	store.Remember("another")
	store.Remember("another")
	if store.Reset() != nil || told != 1 {
		t.Errorf("waits for %v, told %d times", store.Reset(), told)
	}
}

// A folder that holds fewer writes than commits remember has lost some, as when
// its log was damaged: that is a loss as well, and once accepted it is over.
func TestLostWritesAreALoss(t *testing.T) {
	c := newCrashing()
	store := c.open(t)
	run := idempotency.NewRun()
	claim := idempotency.Claim{ID: idempotency.Identity("p", "s", 1, "k"), Token: run.Next(), TTL: 1 << 40, Lease: 1 << 35}
	if _, err := store.Confirm(t.Context(), []idempotency.Claim{claim}); err != nil {
		t.Fatal(err)
	}
	known := store.Known()
	c.crash(t, 0)
	store = c.open(t)
	if store.Remember(known); store.Reset() != nil || store.Known() != known {
		t.Fatalf("nothing was lost: %v, knows %s, knew %s", store.Reset(), store.Known(), known)
	}
	more := mark{store.epoch, markOf(known).count + 7}.String()
	store.Remember(more)
	if _, err := store.Claim(t.Context(), []idempotency.Claim{claim}); !errors.As(err, new(*idempotency.ResetError)) {
		t.Errorf("a claim after seven writes were lost: %v", err)
	}
	if err := store.AcceptReset(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.crash(t, 0)
	store = c.open(t)
	if store.Remember(more); store.Reset() != nil {
		t.Errorf("a loss that was accepted came back: %v", store.Reset())
	}
}
