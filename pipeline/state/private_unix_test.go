//go:build unix

package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/millrace/millrace/pipeline/state"
)

// A link in the place of a lock leads to somebody else's file, which stays what it
// was; a pipe there does not keep anybody waiting.
func TestLocksAreNoLinks(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := open(t, filepath.Join(dir, "state"))
	for name, plant := range map[string]func(path string) error{
		"a link":   func(path string) error { return os.Symlink(victim, path) },
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		lock := folder.Path(state.Broker) + ".lock"
		if err := plant(lock); err != nil {
			t.Fatal(err)
		}
		var foreign *state.ForeignError
		if _, err := folder.Lock(state.Broker); !errors.As(err, &foreign) || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: got %v", name, err)
		}
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the file behind the link holds %q, %v", text, err)
	}
}

// The folder of another user is refused, and one that others may write is made
// private where it is this user's own, and refused where it is not.
func TestTheFolderIsThisUsersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o022 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(dir, 12345, -1); err != nil {
		t.Skip(err)
	}
	var foreign *state.ForeignError
	if _, err := state.Open(dir); !errors.As(err, &foreign) || !strings.Contains(err.Error(), "belongs to the user 12345") {
		t.Errorf("open: got %v", err)
	}
	if err := state.Check(dir); !errors.As(err, &foreign) {
		t.Errorf("check: got %v", err)
	}
	if _, err := state.LockFolder(dir); !errors.As(err, &foreign) {
		t.Errorf("lock: got %v", err)
	}
}

// What others made in the temporary folder is not opened when it is tidied up: not a
// link in the place of a lock, and not a folder that others may write.
func TestTidyingOpensNothingOfOthers(t *testing.T) {
	parent := t.TempDir()
	victim := filepath.Join(parent, "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	linked, wide, stale := filepath.Join(parent, "millrace-a"), filepath.Join(parent, "millrace-b"), filepath.Join(parent, "millrace-c")
	for _, dir := range []string{linked, wide, stale} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(victim, filepath.Join(linked, "control.lock")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{wide, stale} {
		if err := os.WriteFile(filepath.Join(dir, "control.lock"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(wide, 0o777); err != nil {
		t.Fatal(err)
	}
	socket, err := state.NewSocketFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	for dir, stays := range map[string]bool{linked: true, wide: true, stale: false} {
		if _, err := os.Lstat(dir); (err == nil) != stays {
			t.Errorf("%s: stays %v, want %v", filepath.Base(dir), err == nil, stays)
		}
	}
}
