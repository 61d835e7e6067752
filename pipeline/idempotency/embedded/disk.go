package embedded

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// layout is the version of what the database's keys mean.
	layout = "1"
	// reserve is the room on the disk that is left alone: the database does not
	// survive a full disk without a new start, a refused write costs nothing.
	reserve = 32 << 20
	// cacheSize is nearly all of the memory that the database takes, whatever
	// it holds: pebble counts its memtables against it, of which there are one or
	// two, and three while the disk lags.
	cacheSize = 64 << 20
	// ails is how long calls are refused after a failure in the background.
	ails = time.Second
)

// BrokenError says that the store cannot be used until the process is started
// again: the fate of a write is unknown, or the files are damaged.
type BrokenError struct {
	Dir string
	Err error
}

// Error names the folder and what happened.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("the key store in %q is out of order until a restart: %v", e.Dir, e.Err)
}

// Unwrap is what happened.
func (e *BrokenError) Unwrap() error { return e.Err }

// disk opens the database and listens to how it fares. It is the database's
// logger, since that is whom pebble tells of what it takes for fatal.
type disk struct {
	dir    string
	fs     vfs.FS
	logger *slog.Logger
	// readOnly opens the database without changing a file of it.
	readOnly bool

	// broken is closed once the database cannot be used any more.
	broken chan struct{}

	mu      sync.Mutex
	fatal   error
	ailment error
	ailed   time.Time
	checked time.Time
	full    error
}

func newDisk(dir string, fs vfs.FS, logger *slog.Logger) *disk {
	return &disk{dir: dir, fs: fs, logger: logger, broken: make(chan struct{})}
}

// open opens the database. It is done beside, because pebble does not return
// from a failure that it takes for fatal.
func (d *disk) open() (*pebble.DB, error) {
	type opened struct {
		db  *pebble.DB
		err error
	}
	result := make(chan opened, 1)
	go func() {
		db, err := pebble.Open(d.dir, d.options())
		result <- opened{db, err}
	}()
	select {
	case r := <-result:
		return r.db, r.err
	case <-d.broken:
		return nil, d.check()
	}
}

// options keep the database small and its memory flat.
func (d *disk) options() *pebble.Options {
	opts := &pebble.Options{
		FS:                          d.fs,
		Logger:                      d,
		ReadOnly:                    d.readOnly,
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		CacheSize:                   cacheSize,
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               16 << 20,
		MaxOpenFiles:                256,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		EventListener: &pebble.EventListener{
			BackgroundError: d.ail,
			DataCorruption:  func(info pebble.DataCorruptionInfo) { d.fail(errors.New(info.String())) },
		},
	}
	// Most claims are of new keys: a filter spares them the reading.
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return opts
}

// epoch reads the database's random id, writing one where it is new.
func (d *disk) epoch(db *pebble.DB) (string, error) {
	found, err := get(db, []byte("m/layout"))
	if err != nil {
		return "", fmt.Errorf("read key store in %q: %w", d.dir, err)
	}
	if found != nil && string(found) != layout {
		return "", fmt.Errorf("the key store in %q has layout %s, this program knows %s: a newer one made it", d.dir,
			found, layout)
	}
	if found == nil {
		return d.create(db)
	}
	epoch, err := get(db, []byte("m/epoch"))
	if err != nil {
		return "", fmt.Errorf("read key store in %q: %w", d.dir, err)
	}
	return string(epoch), nil
}

func (d *disk) create(db *pebble.DB) (string, error) {
	var id [16]byte
	_, _ = rand.Read(id[:])
	epoch := hex.EncodeToString(id[:])
	batch := db.NewBatch()
	defer batch.Close()
	err := errors.Join(
		batch.Set([]byte("m/layout"), []byte(layout), nil),
		batch.Set([]byte("m/epoch"), []byte(epoch), nil),
		batch.Commit(pebble.Sync),
		// A commit that failed for good returns nil.
		d.check(),
	)
	if err != nil {
		return "", fmt.Errorf("make key store in %q: %w", d.dir, err)
	}
	return epoch, nil
}

func (d *disk) close(db *pebble.DB) error { return db.Close() }

// check tells whether the database can be used now.
func (d *disk) check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.fatal != nil:
		return &BrokenError{Dir: d.dir, Err: d.fatal}
	case d.ailment != nil && time.Since(d.ailed) < ails:
		return fmt.Errorf("the key store in %q does not keep up: %w", d.dir, d.ailment)
	}
	return nil
}

// room tells whether the disk has room for more. It looks once a second.
func (d *disk) room() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.checked) < time.Second {
		return d.full
	}
	d.checked = time.Now()
	usage, err := d.fs.GetDiskUsage(d.dir)
	before := d.full
	d.full = nil
	if err == nil && usage.AvailBytes < reserve {
		d.full = fmt.Errorf("the disk of the key store in %q has %d MiB left, fewer than the %d MiB that are kept "+
			"free: %w",
			d.dir, usage.AvailBytes>>20, reserve>>20, syscall.ENOSPC)
	}
	switch {
	case before == nil && d.full != nil:
		d.logger.Error("key store: disk almost full", "dir", d.dir, "free_bytes", usage.AvailBytes)
	case before != nil && d.full == nil:
		d.logger.Info("key store: disk has room again", "dir", d.dir)
	}
	return d.full
}

// ail hears of a failure that the database repeats in the background until it
// succeeds. What was confirmed is in its log and safe.
func (d *disk) ail(err error) {
	d.mu.Lock()
	again := d.ailment != nil && d.ailment.Error() == err.Error()
	d.ailment, d.ailed = err, time.Now()
	d.mu.Unlock()
	if !again {
		d.logger.Warn("key store: background work failed", "dir", d.dir, "err", err)
	}
	// Pebble tries again at once; a full disk must not cost a processor.
	time.Sleep(ails / 10)
}

// fail ends the use of the database.
func (d *disk) fail(err error) {
	d.mu.Lock()
	first := d.fatal == nil
	if first {
		d.fatal = err
		close(d.broken)
	}
	d.mu.Unlock()
	if first {
		d.logger.Error("key store: out of order, restart needed", "dir", d.dir, "err", err)
	}
}

// Infof drops what pebble tells of its daily work.
func (d *disk) Infof(string, ...any) {}

// Errorf drops what comes as an event too.
func (d *disk) Errorf(string, ...any) {}

// Fatalf takes the store out of use where pebble would end the process. It does
// not return, save to the writer of a batch: pebble goes on as if nothing had
// happened, and may remove the log that still holds what it failed to move.
func (d *disk) Fatalf(format string, args ...any) {
	d.fail(fmt.Errorf(format, args...))
	if format != "pebble: fatal commit error: %v" {
		select {}
	}
}
