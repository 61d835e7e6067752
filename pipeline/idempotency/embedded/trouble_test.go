package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/state"
)

func TestFolderHasOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "keys")
	first, err := Open(dir, newClock().options(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, newClock().options(t))
	var locked *state.HeldError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Dir != dir {
		t.Errorf("a second open: %v", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
	for range 2 {
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	second, err := Open(dir, newClock().options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := first.Epoch(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("a call after close: %v", err)
	}
	if _, err := second.Epoch(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "keys"), newClock().options(t)); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error is %v", err)
	}
}

// A store of a later release is refused, not misread.
func TestNewerLayoutIsRefused(t *testing.T) {
	c := newCrashing()
	store := c.open(t)
	if err := store.db.Set([]byte("m/layout"), []byte("2"), nil); err != nil {
		t.Fatal(err)
	}
	c.crash(t, 100)
	if _, err := open("db", c.fs, c.options(t)); err == nil || !strings.Contains(err.Error(), "layout 2, this program knows 1") {
		t.Errorf("error is %v", err)
	}
}

// An almost full disk refuses claims and confirms and lets them through once
// there is room; nothing that was answered is lost.
func TestDiskAlmostFull(t *testing.T) {
	c := newCrashing()
	store := c.open(t)
	run := idempotency.NewRun()
	claims := []idempotency.Claim{aClaim(run, false), aClaim(run, true)}
	if _, err := store.Claim(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	look := func(free uint64) {
		c.fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 40})
		store.disk.mu.Lock()
		store.disk.checked = time.Time{}
		store.disk.mu.Unlock()
	}
	look(reserve - 1)
	fresh := []idempotency.Claim{aClaim(run, true)}
	if _, err := store.Claim(t.Context(), fresh); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("claim: %v", err)
	}
	if _, err := store.Confirm(t.Context(), claims); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("confirm: %v", err)
	}
	if rows, err := store.Get(t.Context(), []idempotency.ID{claims[0].ID, fresh[0].ID}); err != nil ||
		rows[0] == nil || rows[0].State != idempotency.Claimed || rows[1] != nil {
		t.Errorf("rows are %v, %v", rows, err)
	}
	look(reserve)
	if states, err := store.Confirm(t.Context(), claims); err != nil || states[0] != idempotency.Held || states[1] != idempotency.Held {
		t.Errorf("confirm with room again: %v, %v", states, err)
	}
}

// A confirm whose write fails is an error, and so is every call from then on.
// The process goes on; a store opened afterwards has what was confirmed before.
func TestWriteFails(t *testing.T) {
	for name, op := range map[string]errorfs.OpKind{"write": errorfs.OpFileWrite, "sync": errorfs.OpFileSyncData} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			var failing atomic.Bool
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(o errorfs.Op) error {
				if failing.Load() && strings.HasSuffix(o.Path, ".log") && (o.Kind == op || o.Kind == errorfs.OpFileSync && op == errorfs.OpFileSyncData) {
					return syscall.EIO
				}
				return nil
			}))
			store, err := open("db", fs, newClock().options(t))
			if err != nil {
				t.Fatal(err)
			}
			run := idempotency.NewRun()
			good, bad := aClaim(run, false), aClaim(run, false)
			if _, err := store.Claim(t.Context(), []idempotency.Claim{good, bad}); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Confirm(t.Context(), []idempotency.Claim{good}); err != nil {
				t.Fatal(err)
			}
			failing.Store(true)
			var broken *BrokenError
			if _, err := store.Confirm(t.Context(), []idempotency.Claim{bad}); !errors.As(err, &broken) || broken.Dir != "db" {
				t.Errorf("confirm while writes fail: %v", err)
			}
			failing.Store(false)
			if _, err := store.Claim(t.Context(), []idempotency.Claim{aClaim(run, false)}); !errors.As(err, &broken) {
				t.Errorf("claim after a write failed: %v", err)
			}
			if err := store.Close(); !errors.As(err, &broken) {
				t.Errorf("close after a write failed: %v", err)
			}
			left := mem.CrashClone(vfs.CrashCloneCfg{})
			again, err := open("db", left, newClock().options(t))
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			rows, err := again.Get(t.Context(), []idempotency.ID{good.ID, bad.ID})
			if err != nil || rows[0] == nil || rows[1] != nil {
				t.Errorf("rows are %v, %v", rows, err)
			}
		})
	}
}

// What pebble cannot do in the background it tries again; meanwhile calls are
// refused, and afterwards they work without a restart.
func TestBackgroundFailurePasses(t *testing.T) {
	c := newCrashing()
	var failing atomic.Bool
	fs := errorfs.Wrap(c.fs, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if failing.Load() && o.Kind == errorfs.OpCreate && strings.HasSuffix(o.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	}))
	store, err := open("db", fs, c.options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	run := idempotency.NewRun()
	claim := []idempotency.Claim{aClaim(run, false)}
	if _, err := store.Claim(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Confirm(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	failing.Store(true)
	flushed, err := store.db.AsyncFlush()
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = store.Get(t.Context(), []idempotency.ID{claim[0].ID})
	}
	if !errors.Is(err, syscall.ENOSPC) || errors.As(err, new(*BrokenError)) {
		t.Errorf("while it fails: %v", err)
	}
	failing.Store(false)
	<-flushed
	for err != nil {
		time.Sleep(time.Millisecond)
		_, err = store.Get(t.Context(), []idempotency.ID{claim[0].ID})
	}
}

// A database that fails in a way that pebble takes for fatal at the start is an
// error of Open, not the end of the process.
func TestOpenFails(t *testing.T) {
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind == errorfs.OpFileSync && strings.Contains(o.Path, "MANIFEST") {
			return syscall.EIO
		}
		return nil
	}))
	if _, err := open("db", fs, newClock().options(t)); !errors.Is(err, syscall.EIO) && !strings.Contains(err.Error(), "input/output") {
		t.Errorf("error is %v", err)
	}
}
