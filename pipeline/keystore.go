package pipeline

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/millrace/millrace/pipeline/idempotency"
	keystore "github.com/millrace/millrace/pipeline/idempotency/embedded"
	"github.com/millrace/millrace/pipeline/idempotency/redis"
	"github.com/millrace/millrace/pipeline/state"
)

// KeyStore is what a configuration can name as idempotency.store.
type KeyStore interface {
	idempotency.Store
	idempotency.Inspector
	idempotency.Resetter
	// Close ends the store; it is called once.
	Close() error
}

// KeyStoreDeps is what opening a key store needs of the process.
type KeyStoreDeps struct {
	// Folder is the state folder, where the embedded store lies.
	Folder *state.Folder
	Logger *slog.Logger
	// OnReset, where set, is told when the store is found to have lost its
	// memory. It must not block.
	OnReset func(*idempotency.ResetError)
}

// OpenKeyStore opens the store that a plan names. Its error names the key of the
// configuration to look at, or the process that has the folder, and never a
// password. The caller closes the store.
func OpenKeyStore(ctx context.Context, plan StorePlan, deps KeyStoreDeps) (KeyStore, error) {
	goesOn := plan.OnReset == ActionContinue
	if plan.Embedded {
		store, err := keystore.Open(deps.Folder.Path(state.Keys), keystore.Options{Logger: deps.Logger, ContinueAfterReset: goesOn, OnReset: deps.OnReset})
		if err != nil {
			return nil, held(fmt.Errorf("open the embedded key store: %w", err), "the embedded key store")
		}
		return store, nil
	}
	store, err := redis.Open(ctx, string(plan.URL), redis.Options{
		Logger: deps.Logger, AllowEviction: plan.AllowEviction, ContinueAfterReset: goesOn, OnReset: deps.OnReset,
	})
	if err != nil {
		return nil, fmt.Errorf("idempotency.store: %w", err)
	}
	return store, nil
}
