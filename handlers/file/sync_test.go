package file

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
)

// countedDisk counts the fsyncs of files, not those of folders.
func countedDisk(n *atomic.Int64) disk {
	d := realDisk()
	d.sync = func(f *os.File) error {
		if strings.HasSuffix(f.Name(), ".jsonl") {
			n.Add(1)
		}
		return f.Sync()
	}
	return d
}

func TestBatchSharesOneFsync(t *testing.T) {
	var syncs atomic.Int64
	f := openSink(t, config(t.TempDir(), handlertest.Constant("c.jsonl")), countedDisk(&syncs))
	f.write("k", numbers(1000)...)
	if n := syncs.Load(); n != 1 {
		t.Errorf("%d fsyncs for one batch", n)
	}
	f.shut()
	if got := strings.Count(f.read("c.jsonl"), "\n"); got != 1000 {
		t.Errorf("%d lines", got)
	}
}

// Lanes share the fsync of a full batch.
func TestBatchWaits(t *testing.T) {
	var syncs atomic.Int64
	c := config(t.TempDir(), handlertest.Constant("c.jsonl"))
	c.Batch = BatchConfig{Count: 40, Bytes: 1 << 20, Wait: time.Minute}
	f := openSink(t, c, countedDisk(&syncs))
	var lanes sync.WaitGroup
	for range 4 {
		lanes.Go(func() { f.write("k", numbers(10)...) })
	}
	lanes.Wait()
	if n := syncs.Load(); n != 1 {
		t.Errorf("%d fsyncs, want one for a full batch", n)
	}
	f.shut()
}

func TestFsyncPolicies(t *testing.T) {
	for policy, want := range map[string]int64{"batch": 3, "none": 0} {
		var syncs atomic.Int64
		c := config(t.TempDir(), handlertest.Constant("c.jsonl"))
		c.Fsync = policy
		f := openSink(t, c, countedDisk(&syncs))
		for range 3 {
			f.write("k", `{}`)
		}
		f.shut()
		if n := syncs.Load(); n != want {
			t.Errorf("%s: %d fsyncs, want %d", policy, n, want)
		}
	}
	var syncs atomic.Int64
	c := config(t.TempDir(), handlertest.Constant("c.jsonl"))
	c.Fsync, c.FsyncInterval = "interval", 10*time.Millisecond
	f := openSink(t, c, countedDisk(&syncs))
	f.write("k", numbers(10)...)
	for deadline := time.Now().Add(10 * time.Second); syncs.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was brought to the disk")
		}
	}
	f.shut()
	c.FsyncInterval = time.Hour
	syncs.Store(0)
	f = openSink(t, c, countedDisk(&syncs))
	f.write("k", `{}`)
	if f.shut(); syncs.Load() != 1 {
		t.Errorf("%d fsyncs after closing", syncs.Load())
	}
}

// A full disk takes a part of the bytes: nothing of the batch stays, and all of
// it can be written once there is room.
func TestFullDisk(t *testing.T) {
	var full atomic.Bool
	d := realDisk()
	d.write = func(f *os.File, data []byte) (int, error) {
		if full.Load() {
			n, _ := f.Write(data[:len(data)/2])
			return n, errDisk
		}
		return f.Write(data)
	}
	f := openSink(t, config(t.TempDir(), handlertest.Constant("c.jsonl")), d)
	f.write("k", `{"n":0}`)
	full.Store(true)
	calls := f.calls("k", `{"n":1}`, `{"n":2}`)
	err := f.Write(t.Context(), calls)
	if diff := cmp.Diff([]string{"infrastructure", "infrastructure"}, classes(err, 2)); diff != "" {
		t.Error(diff)
	}
	if got := f.read("c.jsonl"); got != "{\"n\":0}\n" {
		t.Errorf("a part of the batch stays: %q", got)
	}
	full.Store(false)
	if err := f.Write(t.Context(), calls); err != nil {
		t.Fatal(err)
	}
	f.shut()
	if got := f.read("c.jsonl"); got != "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n" {
		t.Errorf("%q", got)
	}
}

// After a failed fsync nothing more is believed of that handle: the lines are
// written and synced anew.
func TestFailedFsync(t *testing.T) {
	var fail atomic.Bool
	d := realDisk()
	d.sync = func(f *os.File) error {
		if fail.Load() {
			return errDisk
		}
		return f.Sync()
	}
	f := openSink(t, config(t.TempDir(), handlertest.Constant("c.jsonl")), d)
	f.write("k", `{"n":0}`)
	fail.Store(true)
	calls := f.calls("k", `{"n":1}`)
	if got := classes(f.Write(t.Context(), calls), 1); got[0] != "infrastructure" {
		t.Error(got)
	}
	fail.Store(false)
	if err := f.Write(t.Context(), calls); err != nil {
		t.Fatal(err)
	}
	f.shut()
	if got := f.read("c.jsonl"); !strings.HasSuffix(got, "{\"n\":1}\n") || !strings.Contains(f.log.String(), "after a failed fsync") {
		t.Errorf("%q\n%s", got, f.log)
	}
}

// A later call of a key that goes to another file is not attempted behind one
// that failed.
func TestOrderOverFiles(t *testing.T) {
	f := openSink(t, config(t.TempDir(), byValue()), realDisk())
	if err := os.Mkdir(filepath.Join(f.dir, "b"), 0o750); err != nil {
		t.Fatal(err)
	}
	batch := append(f.calls("k", "a", "b", "a"), f.calls("other", "a")...)
	err := f.Write(t.Context(), batch)
	if diff := cmp.Diff([]string{"", "not_applied", "not_attempted", ""}, classes(err, 4)); diff != "" {
		t.Error(diff)
	}
	if got := f.read("a"); got != "a\na\n" {
		t.Errorf("%q", got)
	}
	if diff := cmp.Diff([]string{"a@0", "", "", "a@2"}, []string{batch[0].Answer, batch[1].Answer, batch[2].Answer, batch[3].Answer}); diff != "" {
		t.Error(diff)
	}
	f.shut()
}

// A disk that hangs does not hold Write longer than its context, nor Close
// longer than its own.
func TestHungDisk(t *testing.T) {
	var hung hungDisk
	gate := make(chan struct{})
	hung.gate.Store(&gate)
	f := openSink(t, config(t.TempDir(), handlertest.Constant("c.jsonl")), hung.disk())
	calls := f.calls("k", `{}`)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.Write(short, calls); handlers.FailureOf(err, 0) == nil || handlers.FailureOf(err, 0).Class != handlers.Unknown {
		t.Errorf("write: %v", err)
	}
	if err := f.Close(short); err == nil {
		t.Error("closed a disk that hangs")
	}
	close(gate)
	if err := f.batches.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
