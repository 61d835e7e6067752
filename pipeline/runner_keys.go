package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

func (r *Runner) needsKeys() bool {
	return slices.ContainsFunc(r.plan.Pipelines, func(p *plan.Pipeline) bool { return p.Idempotency != nil })
}

// storeDeps is what opening the key store needs of the process.
func (r *Runner) storeDeps(folder *state.Folder) keys.Deps {
	return keys.Deps{Folder: folder, Logger: r.deps.Logger, OnReset: r.storeReset}
}

// openOwnStore opens the embedded key store, where pipelines guard their effects by
// it, and names it as a part of the process.
func (r *Runner) openOwnStore(ctx context.Context, folder *state.Folder, parts []state.Part,
	open *closers) ([]state.Part, error) {
	if !r.needsKeys() || !r.plan.Store.Embedded {
		return parts, nil
	}
	var store keys.Store
	err := r.openPart(ctx, func() (err error) {
		store, err = keys.Open(ctx, r.plan.Store, r.storeDeps(folder))
		return err
	})
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

func (r *Runner) keepStore(store keys.Store, open *closers) {
	open.add("the key store", func(context.Context) error { return store.Close() })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store = store
}

// keyStore is the key store, nil before it is open and where there is none.
func (r *Runner) keyStore() keys.Store {
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
	for clock.Sleep(ctx, storeLook) {
		asked, cancel := context.WithTimeout(ctx, 5*storeLook)
		_, err := store.Get(asked, nil)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if deliver.IsReset(err) {
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

// Keys are those of the process, for its API.
func (r *Runner) Keys() (api.Keys, error) {
	switch store := r.keyStore(); {
	case store != nil:
		return store, nil
	case r.needsKeys():
		return nil, errors.New("the key store is not open yet")
	default:
		return nil, errors.New("this process guards nothing by keys")
	}
}
