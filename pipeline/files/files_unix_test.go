//go:build unix

package files_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/files"
)

// What is no regular file is refused at once: opening a pipe would wait for its
// writer, and reading a device would not end.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	pipe, link, plain := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "plain")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{link: "plain", filepath.Join(dir, "out"): "/dev/zero"} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{pipe: "a pipe", dir: "a folder", "/dev/zero": "a device", filepath.Join(dir, "out"): "a device"} {
		if _, err := files.Read(name, files.MaxBytes); !errors.Is(err, files.ErrNotRegular) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want that it is %s", name, err, says)
		}
	}
	for _, name := range []string{plain, link} {
		if text, err := files.Read(name, 4); err != nil || string(text) != "text" {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
	}
	if _, err := files.Read(plain, 3); err == nil || !strings.Contains(err.Error(), "larger than 3 bytes") {
		t.Errorf("a byte too many: got %v", err)
	}
	if _, err := files.OpenGiven(pipe); !errors.Is(err, files.ErrNotRegular) || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("a pipe on a command line: got %v", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString("A=b"); err != nil || write.Close() != nil {
		t.Fatal(err)
	}
	if text, err := files.ReadGiven(fmt.Sprintf("/dev/fd/%d", read.Fd()), 10); err != nil || string(text) != "A=b" {
		t.Errorf("an open pipe: got %q, %v", text, err)
	}
	if _, err := files.Read(filepath.Join(dir, "none"), 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
}

// What says that it is a regular file and gives nothing is not waited for without
// end: as a pipe that is opened without blocking, whose writer stays away.
func TestReadingDoesNotWaitWithoutEnd(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(pipe, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	done := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(files.Patient(file))
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, files.ErrNotRegular) {
			t.Errorf("got %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("it still waits")
	}
}

// A line that does not end is refused before it fills the memory.
func TestLinesAreBounded(t *testing.T) {
	in := bufio.NewReader(io.MultiReader(strings.NewReader("short\n"), zeros{}))
	if line, err := files.Line(in); err != nil || string(line) != "short\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if _, err := files.Line(in); err == nil || !strings.Contains(err.Error(), "longer than 64 MiB") {
		t.Errorf("got %v", err)
	}
	if line, err := files.Line(bufio.NewReader(strings.NewReader("last"))); err != io.EOF || string(line) != "last" {
		t.Errorf("got %q, %v", line, err)
	}
}

// zeros has no end and no line.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
