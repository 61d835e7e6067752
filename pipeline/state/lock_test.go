package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/state"
)

func TestLockRefusesASecondProcessNamingTheFirst(t *testing.T) {
	dir := t.TempDir()
	pid, kill := startChild(t, dir)
	folder := open(t, dir)

	_, err := folder.Lock(state.Broker)
	var held *state.HeldError
	if !errors.As(err, &held) || held.PID != pid {
		t.Fatalf("got %v, want a HeldError of process %d", err, pid)
	}
	if !strings.Contains(err.Error(), "process "+strconv.Itoa(pid)) {
		t.Errorf("the message does not name the process: %v", err)
	}

	keys, err := folder.Lock(state.Keys)
	if err != nil {
		t.Fatalf("the other part should be free: %v", err)
	}
	if err := keys.Release(); err != nil {
		t.Error(err)
	}

	kill()
	broker, err := folder.Lock(state.Broker)
	if err != nil {
		t.Fatalf("the folder of a killed process should be free: %v", err)
	}
	if err := broker.Release(); err != nil {
		t.Error(err)
	}
}

func TestLockWithinOneProcess(t *testing.T) {
	folder := open(t, t.TempDir())
	first, err := folder.Lock(state.Broker)
	if err != nil {
		t.Fatal(err)
	}
	var held *state.HeldError
	if _, err := folder.Lock(state.Broker); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("got %v, want a HeldError of this process", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if err := first.Release(); err != nil {
		t.Errorf("a second Release: %v", err)
	}
	second, err := folder.Lock(state.Broker)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

func TestLockMakesTheFolderPrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "broker"), 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := open(t, dir).Lock(state.Broker)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Release() }()
	info, err := os.Stat(lock.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("mode %o, want 700", got)
	}
}

func TestOpenSaysThatAFolderCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := state.Open(filepath.Join(file, ".millrace"))
	var unwritable *state.UnwritableError
	if !errors.As(err, &unwritable) || unwritable.Unwrap() == nil {
		t.Fatalf("got %v, want an UnwritableError with its cause", err)
	}
}

func TestOpenKeepsTheFolderOutOfGit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".millrace")
	open(t, dir)
	open(t, dir)
	text, err := os.ReadFile(filepath.Join(dir, ".gitignore"))
	if err != nil || string(text) != "*\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

func open(t *testing.T, dir string) *state.Folder {
	t.Helper()
	folder, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}
