package keys

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/millrace/millrace/pipeline/idempotency"
	keystore "github.com/millrace/millrace/pipeline/idempotency/embedded"
	"github.com/millrace/millrace/pipeline/idempotency/redis"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

// Store is what a configuration can name as idempotency.store.
type Store interface {
	idempotency.Store
	idempotency.Inspector
	idempotency.Resetter
	idempotency.Lister
	// Close ends the store; it is called once.
	Close() error
}

// Deps is what opening a key store needs of the process.
type Deps struct {
	// Folder is the state folder, where the embedded store lies.
	Folder *state.Folder
	Logger *slog.Logger
	// OnReset, where set, is told when the store is found to have lost its
	// memory. It must not block.
	OnReset func(*idempotency.ResetError)
}

// Open opens the store that a plan names. Its error names the key of the
// configuration to look at, or the process that has the folder, and never a
// password. The caller closes the store.
func Open(ctx context.Context, planned plan.Store, deps Deps) (Store, error) {
	goesOn := planned.OnReset == plan.ActionContinue
	if planned.Embedded {
		store, err := keystore.Open(deps.Folder.Path(state.Keys),
			keystore.Options{Logger: deps.Logger, ContinueAfterReset: goesOn, OnReset: deps.OnReset})
		if err != nil {
			return nil, state.Held(fmt.Errorf("open the embedded key store: %w", err), "the embedded key store")
		}
		return store, nil
	}
	store, err := redis.Open(ctx, string(planned.URL), redis.Options{
		Logger: deps.Logger, AllowEviction: planned.AllowEviction, ContinueAfterReset: goesOn, OnReset: deps.OnReset,
	})
	if err != nil {
		return nil, fmt.Errorf("idempotency.store: %w", err)
	}
	return store, nil
}
