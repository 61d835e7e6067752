//go:build unix

package file

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
)

// What lies under a name that a record made is that record's fault; under a
// constant name it is the configuration's, and the pipeline waits.
func TestNothingLeadsOut(t *testing.T) {
	outside := t.TempDir()
	for name, place := range map[string]func(path string) error{
		"link to a file out":   func(path string) error { return os.Symlink(filepath.Join(outside, "f"), path) },
		"link to a folder out": func(path string) error { return os.Symlink(outside, path) },
		"relative link out":    func(path string) error { return os.Symlink("../../f", path) },
		"folder":               func(path string) error { return os.Mkdir(path, 0o750) },
		"pipe":                 func(path string) error { return syscall.Mkfifo(path, 0o640) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, constant := range []bool{false, true} {
				path, want := byValue(), handlers.NotApplied
				if constant {
					path, want = handlertest.Constant("x"), handlers.Infrastructure
				}
				f := openSink(t, config(t.TempDir(), path), realDisk())
				if err := place(filepath.Join(f.dir, "x")); err != nil {
					t.Fatal(err)
				}
				err := f.Write(t.Context(), f.calls("k", "x"))
				if failure := handlers.FailureOf(err, 0); failure == nil || failure.Class != want {
					t.Errorf("constant %v: got %v, want %s", constant, err, want)
				}
				f.shut()
			}
		})
	}
	f := openSink(t, config(t.TempDir(), byValue()), realDisk())
	if err := os.Symlink(outside, filepath.Join(f.dir, "out")); err != nil {
		t.Fatal(err)
	}
	if got := classes(f.Write(t.Context(), f.calls("k", "out/f")), 1); got[0] != "not_applied" {
		t.Errorf("through a folder that is a link: %v", got)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside: %v %v", entries, err)
	}
	f.shut()
}
