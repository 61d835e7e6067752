package embedded

import (
	"context"
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

// Peek looks keys up in a folder that no process has open, and changes nothing in
// it: nothing is swept, and what a crash left in the log stays there. It has the
// folder only until it returns. Where there is no store yet, no key has a row.
// Where a process has the folder, the error is a *state.HeldError. Rows that have
// expired are left out. A claimed row's lease is over: whoever made the claim is
// gone.
func Peek(ctx context.Context, dir string, logger *slog.Logger, ids []idempotency.ID) (rows []*idempotency.Row, err error) {
	rows = make([]*idempotency.Row, len(ids))
	path := filepath.Join(dir, "db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return rows, nil
	}
	lock, err := state.LockFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("look up keys: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	disk := newDisk(path, vfs.Default, logger)
	disk.readOnly = true
	db, err := disk.open()
	if err != nil {
		return nil, fmt.Errorf("look up keys in %q: %w", dir, err)
	}
	defer func() { err = errors.Join(err, disk.close(db)) }()
	if err := peek(ctx, db, ids, rows); err != nil {
		return nil, fmt.Errorf("look up keys in %q: %w", dir, err)
	}
	return rows, nil
}

func peek(ctx context.Context, db *pebble.DB, ids []idempotency.ID, rows []*idempotency.Row) error {
	found, err := get(db, []byte("m/layout"))
	if err == nil && found != nil && string(found) != layout {
		err = fmt.Errorf("the store has layout %s, this program knows %s: a newer one made it", found, layout)
	}
	if err != nil {
		return err
	}
	now := time.Now()
	for i, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		text, err := get(db, keyOf(id).row())
		if err != nil {
			return err
		}
		if text == nil {
			continue
		}
		row, err := idempotency.Decode(text)
		if err != nil {
			return err
		}
		if row.State == idempotency.Claimed {
			row.Deadline = time.Time{}
		}
		rows[i] = idempotency.Alive(row, now)
	}
	return nil
}
