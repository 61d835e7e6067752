package file

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
)

func config(dir string, path handlers.Template) Config {
	return Config{
		Dir: dir, Path: path, Format: "value", Fsync: "batch", FsyncInterval: time.Second,
		Batch: BatchConfig{Count: 10000, Bytes: 8 << 20}, MaxNewFiles: 10000, OpenFiles: 512,
	}
}

// fixture is an open sink on a folder of its own.
type fixture struct {
	*sink
	t   *testing.T
	dir string
	log *lockedBuffer
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func openSink(t *testing.T, c Config, d disk) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: c.Dir, log: &lockedBuffer{}}
	var err error
	if f.sink, err = open(c, slog.New(slog.NewTextHandler(f.log, nil)), d); err != nil {
		t.Fatal(err)
	}
	return f
}

// calls renders values under a key.
func (f *fixture) calls(key string, values ...string) []handlers.Call {
	f.t.Helper()
	var calls []handlers.Call
	for _, v := range values {
		r := &handlers.Record{Topic: "t", Key: []byte(key), Value: []byte(v)}
		request, err := f.Render(handlertest.View{Of: r})
		if err != nil {
			f.t.Fatal(err)
		}
		calls = append(calls, handlers.Call{Record: r, Order: r.Key, Request: request})
	}
	return calls
}

func (f *fixture) write(key string, values ...string) {
	f.t.Helper()
	if err := f.Write(f.t.Context(), f.calls(key, values...)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) read(name string) string {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

func (f *fixture) put(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o640); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) names() []string {
	f.t.Helper()
	var names []string
	err := filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(f.dir, path)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

func (f *fixture) shut() {
	f.t.Helper()
	if err := f.Close(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// hungDisk is a disk whose fsyncs wait while it hangs.
type hungDisk struct {
	gate atomic.Pointer[chan struct{}]
}

func (h *hungDisk) disk() disk {
	d := realDisk()
	d.sync = func(f *os.File) error {
		if gate := h.gate.Load(); gate != nil {
			<-*gate
		}
		return f.Sync()
	}
	return d
}

func TestConformance(t *testing.T) {
	handlertest.Run(t, Spec(), handlertest.Harness{
		Batches: true,
		Open: func(t *testing.T) handlertest.Fixture {
			var hung hungDisk
			dir := t.TempDir()
			key := handlertest.Key("")
			path := handlertest.Template("", func(r *handlers.Record) (string, error) {
				k, err := handlertest.View{Of: r}.Text(key)
				return k + ".jsonl", err
			})
			f := openSink(t, config(dir, path), hung.disk())
			return handlertest.Fixture{
				Sink: f.sink,
				Effects: func() []string {
					var all []string
					for _, name := range f.names() {
						all = append(all, strings.Split(strings.TrimSuffix(f.read(name), "\n"), "\n")...)
					}
					return all
				},
				// Something else lies where the records of that key go.
				Refuse: func(string) func() {
					blocked := filepath.Join(dir, "b.jsonl")
					if err := os.Mkdir(blocked, 0o750); err != nil {
						t.Fatal(err)
					}
					return func() {
						if err := os.Remove(blocked); err != nil {
							t.Fatal(err)
						}
					}
				},
				Hang: func() func() {
					gate := make(chan struct{})
					hung.gate.Store(&gate)
					return func() { hung.gate.Store(nil); close(gate) }
				},
				Down: func() {
					if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
						t.Fatal(err)
					}
				},
			}
		},
	})
}

var errDisk = errors.New("the disk is broken")

func classes(err error, n int) []string {
	all := make([]string, n)
	for i := range all {
		if f := handlers.FailureOf(err, i); f != nil {
			all[i] = f.Class.String()
		}
	}
	return all
}

func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"n":%d}`, i)
	}
	return all
}
