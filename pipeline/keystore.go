package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

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

func (r *Runner) needsKeys() bool {
	return slices.ContainsFunc(r.plan.Pipelines, func(p *PipelinePlan) bool { return p.Idempotency != nil })
}

// storeDeps is what opening the key store needs of the process.
func (r *Runner) storeDeps(folder *state.Folder) KeyStoreDeps {
	return KeyStoreDeps{Folder: folder, Logger: r.deps.Logger, OnReset: func(*idempotency.ResetError) { r.metrics.StoreReset() }}
}

// openOwnStore opens the embedded key store, where pipelines guard their effects by
// it, and names it as a part of the process.
func (r *Runner) openOwnStore(ctx context.Context, folder *state.Folder, parts []state.Part, open *closers) ([]state.Part, error) {
	if !r.needsKeys() || !r.plan.Store.Embedded {
		return parts, nil
	}
	store, err := OpenKeyStore(ctx, r.plan.Store, r.storeDeps(folder))
	if err != nil {
		return nil, err
	}
	r.keepStore(store, open)
	return append(parts, state.Keys), nil
}

// openSharedStore waits for a key store that lies elsewhere.
func (r *Runner) openSharedStore(ctx context.Context, open *closers) error {
	if !r.needsKeys() || r.plan.Store.Embedded {
		return nil
	}
	store, err := r.awaitStore(ctx)
	if err == nil {
		r.keepStore(store, open)
	}
	return err
}

func (r *Runner) keepStore(store KeyStore, open *closers) {
	open.add("the key store", func(context.Context) error { return store.Close() })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store = store
}

// keyStore is the key store, nil before it is open and where there is none.
func (r *Runner) keyStore() KeyStore {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.store
}

// storeLook is how often a shared store is looked at where no record does.
const storeLook = time.Second

// watchStore looks at a shared store now and then, so that one that is down or
// has lost its memory is known before the next record meets it, and one that is
// back as well.
func (r *Runner) watchStore(ctx context.Context) {
	store := r.keyStore()
	if store == nil || r.plan.Store.Embedded {
		return
	}
	away := outage{what: "the key store"}
	for sleep(ctx, storeLook) {
		asked, cancel := context.WithTimeout(ctx, 5*storeLook)
		_, err := store.Get(asked, nil)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if isReset(err) {
			err = nil // it answers, and the status has the loss from the store itself
		}
		down := away.noted(r.deps.Logger, err)
		r.mu.Lock()
		r.storeDown = down
		r.mu.Unlock()
	}
}

// storeTrouble says why the key store keeps the process from being ready, empty
// if it does not.
func (r *Runner) storeTrouble() string {
	r.mu.Lock()
	store, down := r.store, r.storeDown
	r.mu.Unlock()
	if store == nil {
		return ""
	}
	if reset := store.Reset(); reset != nil {
		return reset.Error()
	}
	return down
}
