package embedded

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/state"
)

// Reader looks at keys in a folder that no process has open, and changes nothing in
// it: nothing is swept, and what a crash left in the log stays there. It has the
// folder until it is closed. Rows that have expired are left out. A claimed row's
// lease is over: whoever made the claim is gone. It is used by one goroutine at a
// time.
type Reader struct {
	dir  string
	disk *disk
	// db is nil where there is no store yet, and so no key.
	db   *pebble.DB
	lock *state.Lock
}

// OpenReader opens the store in a folder, without making one. Where a process has
// the folder, the error is a *state.HeldError. The caller closes the reader.
func OpenReader(dir string, logger *slog.Logger) (*Reader, error) {
	path := filepath.Join(dir, "db")
	r := &Reader{dir: dir}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	var err error
	if r.lock, err = state.LockFolder(dir); err != nil {
		return nil, fmt.Errorf("look at keys: %w", err)
	}
	r.disk = newDisk(path, vfs.Default, logger)
	r.disk.readOnly = true
	if r.db, err = r.disk.open(); err == nil {
		err = knownLayout(r.db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look at keys in %q: %w", dir, err), r.Close())
	}
	return r, nil
}

// Close gives the folder free. Calls after the first do nothing.
func (r *Reader) Close() (err error) {
	if r.db != nil {
		err = r.disk.close(r.db)
	}
	if r.lock != nil {
		err = errors.Join(err, r.lock.Release())
	}
	r.db, r.lock = nil, nil
	return err
}

func knownLayout(db *pebble.DB) error {
	found, err := get(db, []byte("m/layout"))
	if err == nil && found != nil && string(found) != layout {
		err = fmt.Errorf("the store has layout %s, this program knows %s: a newer one made it", found, layout)
	}
	return err
}

// Peek looks keys up in a folder as a Reader does, and has it only until it returns.
func Peek(ctx context.Context, dir string, logger *slog.Logger, ids []idempotency.ID) (rows []*idempotency.Row,
	err error) {
	r, err := OpenReader(dir, logger)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return r.Get(ctx, ids)
}

// Get returns the row of each key, nil where there is none.
func (r *Reader) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error) {
	rows := make([]*idempotency.Row, len(ids))
	for i, id := range ids {
		var err error
		if rows[i], err = r.row(ctx, keyOf(id)); err != nil {
			return nil, fmt.Errorf("look up keys in %q: %w", r.dir, err)
		}
	}
	return rows, nil
}

// List returns the keys that follow from, in their order.
func (r *Reader) List(ctx context.Context, from string, most int) (idempotency.Listing, error) {
	var found idempotency.Listing
	after, err := hex.DecodeString(from)
	if err != nil || r.db == nil {
		return found, err
	}
	rows, err := storedAfter(r.db, after, most)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return found, fmt.Errorf("list keys in %q: %w", r.dir, err)
	}
	for _, row := range rows {
		ofTheGone(row)
	}
	step(&found, rows, most, time.Now(), r.db)
	return found, nil
}

func (r *Reader) row(ctx context.Context, k key) (*idempotency.Row, error) {
	if err := ctx.Err(); err != nil || r.db == nil {
		return nil, err
	}
	text, err := get(r.db, k.row())
	if err != nil || text == nil {
		return nil, err
	}
	row, err := idempotency.Decode(text)
	if err != nil {
		return nil, err
	}
	ofTheGone(row)
	return idempotency.Alive(row, time.Now()), nil
}

// ofTheGone ends the lease of a claim, whose process is gone.
func ofTheGone(row *idempotency.Row) {
	if row.State == idempotency.Claimed {
		row.Deadline = time.Time{}
	}
}
