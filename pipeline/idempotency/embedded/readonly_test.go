package embedded

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/state"
)

// contents are the digests of all files below dir but the lock, which says who
// has the folder.
func contents(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	files := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".lock" {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = sha256.Sum256(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPeek(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	log := slog.New(slog.DiscardHandler)
	run := idempotency.NewRun()
	done, brief, durable, short := numbered(run, 0, 1), numbered(run, 0, 3), numbered(run, 0, 2), numbered(run, 0, 5)
	short.TTL = time.Nanosecond
	ids := []idempotency.ID{done.ID, brief.ID, durable.ID, short.ID, {1}}

	if rows, err := Peek(t.Context(), dir, log, ids); err != nil || rows[0] != nil {
		t.Fatal(rows, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("looking made the folder: %v", err)
	}
	store, err := Open(dir, Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	durable.Durable, brief.Durable = true, false
	done.Answer = "200"
	if _, err := store.Claim(t.Context(), []idempotency.Claim{done, brief, durable, short}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Confirm(t.Context(), []idempotency.Claim{done, short}); err != nil {
		t.Fatal(err)
	}
	var held *state.HeldError
	if _, err := Peek(t.Context(), dir, log, ids); !errors.As(err, &held) {
		t.Errorf("a folder that is held: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	before := contents(t, dir)
	rows, err := Peek(t.Context(), dir, log, ids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" || len(before) < 3 {
		t.Errorf("looking changed files: %s", diff)
	}
	var got []string
	for _, r := range rows {
		if r == nil {
			got = append(got, "none")
			continue
		}
		got = append(got, r.State.String()+" "+r.Answer)
		if r.State == idempotency.Claimed && !r.Deadline.IsZero() {
			t.Error("a claim of a process that is gone has a lease")
		}
	}
	if diff := cmp.Diff([]string{"confirmed 200", "none", "claimed ", "none", "none"}, got); diff != "" {
		t.Error(diff)
	}
	again, err := Open(dir, Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := again.Get(t.Context(), ids[:1]); err != nil || rows[0] == nil {
		t.Errorf("after looking the store has %v, %v", rows, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
