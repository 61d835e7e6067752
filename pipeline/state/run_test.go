package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/state"
)

func TestAnnounceAndDiscover(t *testing.T) {
	dir := t.TempDir()
	folder := open(t, dir)
	run := state.Run{
		Version: "1.2.3", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Files: []string{"/a/pipelines.yaml"}, Pipelines: []string{"orders"},
		Parts: []state.Part{state.Broker}, Broker: "127.0.0.1:9092", Socket: "/tmp/x/control.sock",
	}
	a, err := folder.Announce(run)
	if err != nil {
		t.Fatal(err)
	}
	run.PID = os.Getpid()
	if diff := cmp.Diff([]state.Run{run}, discover(t, dir)); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}
	info, err := os.Stat(filepath.Join(dir, "run", pidName()+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}

	run.Pipelines = []string{"orders", "invoices"}
	if err := a.Update(run); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]state.Run{run}, discover(t, dir)); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}

	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Update(run); err != nil {
		t.Errorf("Update after Close: %v", err)
	}
	if got := discover(t, dir); len(got) != 0 {
		t.Errorf("after Close: %v", got)
	}
	if left := names(t, filepath.Join(dir, "run")); len(left) != 0 {
		t.Errorf("Close left %v", left)
	}
}

// Containers that share a folder often share the process id 1.
func TestAnnounceTwiceWithOneProcessID(t *testing.T) {
	dir := t.TempDir()
	folder := open(t, dir)
	for i := range 2 {
		a, err := folder.Announce(state.Run{Started: time.Unix(int64(2-i), 0)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Close() }()
	}
	got := discover(t, dir)
	if len(got) != 2 || !got[0].Started.Before(got[1].Started) {
		t.Errorf("got %v, want two, the oldest first", got)
	}
}

func TestDiscoverTidiesUpAfterAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	pid, kill := startChild(t, dir)
	runs := discover(t, dir)
	if len(runs) != 1 || runs[0].PID != pid || !runs[0].Has(state.Broker) || runs[0].Has(state.Keys) {
		t.Fatalf("got %v, want the child", runs)
	}
	kill()
	if got := discover(t, dir); len(got) != 0 {
		t.Errorf("a killed process is still listed: %v", got)
	}
	if left := names(t, filepath.Join(dir, "run")); len(left) != 0 {
		t.Errorf("left in run: %v", left)
	}
	if left := names(t, filepath.Join(dir, "s")); len(left) != 0 {
		t.Errorf("the socket's folder was left: %v", left)
	}
}

// A file whose process id is in use again, by this very test, is stale all the
// same: nobody holds its lock.
func TestDiscoverIsNotDeceivedByAReusedProcessID(t *testing.T) {
	dir := t.TempDir()
	folder := open(t, dir)
	stale := filepath.Join(dir, "run", pidName())
	victim := filepath.Join(dir, "victim.txt")
	write(t, stale+".json", `{"pid": `+pidName()+`, "socket": "`+victim+`"}`)
	write(t, stale+".lock", "")
	write(t, victim, "keep")

	if got := discover(t, dir); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if _, err := os.Stat(victim); err != nil {
		t.Errorf("tidying up removed a file that is no socket of ours: %v", err)
	}
	a, err := folder.Announce(state.Run{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if got := discover(t, dir); len(got) != 1 {
		t.Errorf("got %v, want this process", got)
	}
}

func TestDiscoverWithoutAFolder(t *testing.T) {
	if got := discover(t, filepath.Join(t.TempDir(), "none")); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestSocketFolder(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 90))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := state.NewSocketFolder("", long, filepath.Join(long, "missing"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(s.Path(), long) || len(s.Path()) > 103 {
		t.Errorf("%s is too long for a socket", s.Path())
	}
	if left := names(t, long); len(left) != 0 {
		t.Errorf("the folder that was too long was left: %v", left)
	}
	info, err := os.Stat(filepath.Dir(s.Path()))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %o, want 700", info.Mode().Perm())
	}
	write(t, s.Path(), "")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Dir(s.Path())); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// A process that was killed, and whose state folder is gone, leaves its socket's
// folder for the next one to remove; what lives, and what is not ours, stays.
func TestSocketFolderTidiesUp(t *testing.T) {
	dir := t.TempDir()
	parent := filepath.Join(dir, "s")
	_, kill := startChild(t, dir)
	living := names(t, parent)
	if err := os.MkdirAll(filepath.Join(parent, "millrace-notes"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(parent, "millrace-notes", "keep.txt"), "keep")
	own := func() *state.SocketFolder {
		s, err := state.NewSocketFolder(parent)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := own()
	if got := names(t, parent); len(got) != 3 || !slices.Contains(got, living[0]) {
		t.Fatalf("got %v, want the living %v, this one and the notes", got, living)
	}
	kill()
	second := own()
	if got := names(t, parent); len(got) != 3 || slices.Contains(got, living[0]) {
		t.Errorf("got %v, want two of this process and the notes", got)
	}
	if err := errors.Join(s.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"millrace-notes"}, names(t, parent)); diff != "" {
		t.Error(diff)
	}
}

func discover(t *testing.T, dir string) []state.Run {
	t.Helper()
	runs, err := state.Discover(dir)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Find tells the same as Discover and removes nothing; Check tells whether a
// folder could be opened and makes nothing.
func TestFindAndCheckChangeNothing(t *testing.T) {
	dir := t.TempDir()
	_, kill := startChild(t, dir)
	if runs, err := state.Find(dir); err != nil || len(runs) != 1 {
		t.Errorf("got %v, %v, want the child", runs, err)
	}
	kill()
	before := names(t, filepath.Join(dir, "run"))
	if runs, err := state.Find(dir); err != nil || len(runs) != 0 {
		t.Errorf("got %v, %v, want none", runs, err)
	}
	if diff := cmp.Diff(before, names(t, filepath.Join(dir, "run"))); diff != "" || len(before) != 2 {
		t.Errorf("Find removed something:\n%s", diff)
	}
	file := filepath.Join(dir, "file")
	write(t, file, "")
	missing := filepath.Join(dir, "a", "b")
	if err := state.Check(missing); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(missing)); !os.IsNotExist(err) {
		t.Errorf("Check made the folder: %v", err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		if err := state.Check(bad); !errors.As(err, new(*state.UnwritableError)) {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}
