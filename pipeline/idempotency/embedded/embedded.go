// Package embedded keeps idempotency keys in a folder of this machine, which
// one process owns at a time. Claims stay in memory, unless they ask to be
// durable; confirms, parkings and durable claims are on the disk before the call
// that makes them returns.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/state"
)

// ErrClosed is returned by calls on a store that was closed.
var ErrClosed = errors.New("the key store is closed")

// Options are what a store needs of its surroundings.
type Options struct {
	// Logger hears what a human must act on, and of trouble that passes.
	Logger *slog.Logger
	// Now is the store's clock, time.Now where it is nil.
	Now func() time.Time
	// ContinueAfterReset goes on where the folder is not the one that effects
	// were recorded in; otherwise claims and confirms return an
	// *idempotency.ResetError until a person accepts that.
	ContinueAfterReset bool
	// OnReset, where set, is told of that, also where the store goes on. It
	// must not block.
	OnReset func(*idempotency.ResetError)
}

// Store is an idempotency.Store, Inspector, Resetter and Lister on a folder. It may
// be used concurrently.
//
// When the disk is almost full, or while it fails in the background, calls
// return errors and work again once it recovered. When a write of unknown fate
// failed, or the files are damaged, every call returns a *BrokenError from then
// on, until the process is started again.
type Store struct {
	db     *pebble.DB
	disk   *disk
	writer *writer
	shards [256]shard
	now    func() time.Time
	epoch  string
	opts   Options
	memory memory
	lock   *state.Lock
	// settled counts the writes that ended, before their keys leave the memory.
	settled atomic.Uint64

	// use is held shared by every call, and by Close for itself.
	use    sync.RWMutex
	closed bool
	stop   chan struct{}
	ends   sync.WaitGroup
}

var (
	_ idempotency.Store     = (*Store)(nil)
	_ idempotency.Inspector = (*Store)(nil)
	_ idempotency.Resetter  = (*Store)(nil)
	_ idempotency.Lister    = (*Store)(nil)
)

// Open opens the store in a folder, making it where there is none. Where
// another process has the folder open, the error is a *state.HeldError. What is
// found claimed was claimed by a process that is gone: claiming it again is
// GoUncertain at once. The caller closes the store.
func Open(dir string, opts Options) (*Store, error) {
	lock, err := state.LockFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	s, err := open(filepath.Join(dir, "db"), vfs.Default, opts)
	if err != nil {
		// A broken database may still write to its folder: the lock stays.
		if !errors.As(err, new(*BrokenError)) {
			err = errors.Join(err, lock.Release())
		}
		return nil, fmt.Errorf("open key store: %w", err)
	}
	s.lock = lock
	return s, nil
}

// open opens the database in a folder of fs that nobody else uses.
func open(dir string, fs vfs.FS, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	disk := newDisk(dir, fs, opts.Logger)
	db, err := disk.open()
	if err != nil {
		return nil, err
	}
	s := &Store{
		db:     db,
		opts:   opts,
		disk:   disk,
		writer: newWriter(db, disk),
		now:    func() time.Time { return opts.Now().UTC().Round(0) },
		stop:   make(chan struct{}),
	}
	for i := range s.shards {
		s.shards[i].entries = map[key]*entry{}
	}
	s.epoch, err = disk.epoch(db)
	if err == nil {
		err = s.readAccepted()
	}
	if err != nil {
		return nil, errors.Join(err, disk.close(db))
	}
	s.writer.settle = s.settle
	s.ends.Go(func() { s.writer.run() })
	s.ends.Go(func() { s.sweepNowAndThen() })
	return s, nil
}

// Close waits for the calls under way, writes what they left and gives the
// folder free. It is idempotent. A broken store keeps its folder until the
// process ends, since what is left of it may still write there.
func (s *Store) Close() error {
	s.use.Lock()
	defer s.use.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.stop)
	s.writer.finish()
	ended := make(chan struct{})
	go func() {
		s.ends.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-s.disk.broken:
	}
	if err := s.disk.check(); errors.As(err, new(*BrokenError)) {
		return err
	}
	err := s.disk.close(s.db)
	if s.lock != nil {
		err = errors.Join(err, s.lock.Release())
	}
	if err != nil {
		return fmt.Errorf("close key store: %w", err)
	}
	return nil
}

// enter lets a call begin; leave ends it.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.use.RLock()
	if s.closed {
		s.use.RUnlock()
		return ErrClosed
	}
	if err := s.disk.check(); err != nil {
		s.use.RUnlock()
		return err
	}
	return nil
}

func (s *Store) leave() { s.use.RUnlock() }
