package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/idempotency"
	keystore "github.com/millrace/millrace/pipeline/idempotency/embedded"
	"github.com/millrace/millrace/pipeline/idempotency/redis"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

// Reader looks idempotency keys up and changes nothing: no row, nothing that
// the store keeps of itself, no file. It is used by one goroutine at a time.
type Reader interface {
	// Get returns the row of each key, nil where there is none or it has expired,
	// and the time on the store's clock.
	Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, time.Time, error)
	// Close ends the connections.
	Close() error
}

// Lister goes through all keys of a store as a Reader looks some up.
type Lister interface {
	idempotency.Lister
	// Close ends the connections.
	Close() error
}

// NewReader looks into the store that a plan names. Embedded keys are asked of
// the process that holds them on the state folder dir, whichever that is at the
// time of each look-up; where none does, their folder is opened for a moment. An
// error never holds a password.
func NewReader(plan plan.Store, dir string, log *slog.Logger) (Reader, error) {
	return newReader(plan, dir, log)
}

// NewLister is NewReader for all keys. Of embedded ones it keeps the folder until it
// is closed, where no process has it.
func NewLister(plan plan.Store, dir string, log *slog.Logger) (Lister, error) {
	return newReader(plan, dir, log)
}

type readerAndLister interface {
	Reader
	idempotency.Lister
}

func newReader(plan plan.Store, dir string, log *slog.Logger) (readerAndLister, error) {
	if plan.Embedded {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("look up keys: %w", err)
		}
		return &embeddedKeys{dir: abs, log: log}, nil
	}
	reader, err := redis.OpenReader(string(plan.URL))
	if err != nil {
		return nil, fmt.Errorf("idempotency.store: %w", err)
	}
	return reader, nil
}

// Delete forgets keys of the Redis that a plan names, and tells which there
// were. It writes nothing else there, so that it works on one that is full.
func Delete(ctx context.Context, plan plan.Store, ids []idempotency.ID) (_ []bool, err error) {
	reader, err := redis.OpenReader(string(plan.URL))
	if err != nil {
		return nil, fmt.Errorf("idempotency.store: %w", err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	return reader.Delete(ctx, ids)
}

type embeddedKeys struct {
	dir string
	log *slog.Logger
	// folder is the keys' folder, from the first step of a list that found no
	// process with it.
	folder *keystore.Reader
}

const (
	// lookBatch keeps one request to another process well below what it takes.
	lookBatch = 5000
	// lookPatience is how long a process may take between having the folder and
	// saying so.
	lookPatience = 10 * time.Second
)

// Get looks a few thousand keys up at once.
func (k *embeddedKeys) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, time.Time, error) {
	now := time.Now()
	var all []*idempotency.Row
	for part := range slices.Chunk(ids, lookBatch) {
		rows, err := k.part(ctx, part)
		if err != nil {
			return nil, now, err
		}
		all = append(all, rows...)
	}
	return all, now, nil
}

func (k *embeddedKeys) part(ctx context.Context, ids []idempotency.ID) (rows []*idempotency.Row, err error) {
	err = k.where(ctx, func(keys api.Keys) error {
		rows, err = keys.Get(ctx, ids)
		return err
	}, func(dir string) error {
		rows, err = keystore.Peek(ctx, dir, k.log, ids)
		return err
	})
	return rows, err
}

// List asks the process that holds the keys, or keeps their folder open until Close.
func (k *embeddedKeys) List(ctx context.Context, from string, most int) (found idempotency.Listing, err error) {
	if k.folder == nil {
		err = k.where(ctx, func(keys api.Keys) error {
			found, err = keys.List(ctx, from, most)
			return err
		}, func(dir string) error {
			k.folder, err = keystore.OpenReader(dir, k.log)
			return err
		})
	}
	if err == nil && k.folder != nil {
		return k.folder.List(ctx, from, most)
	}
	return found, err
}

// where goes to the keys: those of the process that holds them, or their folder.
func (k *embeddedKeys) where(ctx context.Context, process func(api.Keys) error, folder func(dir string) error) error {
	for deadline := time.Now().Add(lookPatience); ; {
		runs, err := state.Discover(k.dir)
		if err != nil {
			return err
		}
		for _, run := range runs {
			if run.Has(state.Keys) {
				client := api.Dial(run.Socket)
				defer client.Close()
				return process(client.Keys())
			}
		}
		err = folder(filepath.Join(k.dir, string(state.Keys)))
		if !errors.As(err, new(*state.HeldError)) || time.Now().After(deadline) ||
			!clock.Sleep(ctx, 100*time.Millisecond) {
			return state.Held(err, "the embedded key store")
		}
	}
}

// Close gives the folder free; each look-up of a key connects by itself.
func (k *embeddedKeys) Close() error {
	if k.folder == nil {
		return nil
	}
	return k.folder.Close()
}
