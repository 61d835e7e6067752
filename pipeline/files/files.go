// Package files reads the files that a configuration or a flag names, whatever they
// are: nothing that a name leads to blocks or grows without end.
package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// MaxBytes is how long a file may be whose kind needs no more.
const MaxBytes = 1 << 20

// ErrNotRegular is of what is no file of bytes: a folder, a pipe, a device.
var ErrNotRegular = errors.New("it is no regular file")

// Open opens a regular file, also behind links. It never blocks; Patient reads
// without blocking.
func Open(name string) (*os.File, error) {
	// Opening is an effect on some devices, so that they are not even opened.
	info, err := os.Stat(name)
	if err != nil {
		return nil, opening(name, err)
	}
	if err := regular(name, info); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_RDONLY|noBlock, 0)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err == nil {
		err = regular(name, info)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// OpenGiven is Open for what a person names on a command line, which may also be
// what the process was started with: /dev/stdin, or the pipe of a shell's <(…).
func OpenGiven(name string) (*os.File, error) {
	clean := filepath.Clean(name)
	if clean == "/dev/stdin" || strings.HasPrefix(clean, "/dev/fd/") || strings.HasPrefix(clean, "/proc/self/fd/") {
		return os.Open(name)
	}
	file, err := Open(name)
	if errors.Is(err, ErrNotRegular) {
		err = fmt.Errorf("%w: a pipe or a device is given as standard input", err)
	}
	return file, err
}

// opening is an error of another step as one of opening.
func opening(name string, err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return &fs.PathError{Op: "open", Path: name, Err: err}
}

// Read reads a regular file of no more than limit bytes.
func Read(name string, limit int64) ([]byte, error) {
	file, err := Open(name)
	if err != nil {
		return nil, err
	}
	return all(file, name, limit)
}

// ReadGiven is Read for what OpenGiven opens.
func ReadGiven(name string, limit int64) ([]byte, error) {
	file, err := OpenGiven(name)
	if err != nil {
		return nil, err
	}
	return all(file, name, limit)
}

func all(file *os.File, name string, limit int64) ([]byte, error) {
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(Patient(file), limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > limit:
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("the file is larger than %s", size(limit))}
	}
	return text, nil
}

// patience is how long a read may wait for the next bytes of a regular file.
const patience = 5 * time.Second

// Patient reads a file that Open opened and does not wait without end: /proc/kmsg and
// the like say that they are regular files, and are none.
func Patient(file *os.File) io.Reader { return patient{file} }

type patient struct{ file *os.File }

func (p patient) Read(b []byte) (int, error) {
	// What is a regular file has no deadline, and needs none.
	_ = p.file.SetReadDeadline(time.Now().Add(patience))
	n, err := p.file.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &fs.PathError{Op: "read", Path: p.file.Name(),
			Err: fmt.Errorf("%w: reading it waited for %s", ErrNotRegular, patience)}
	}
	return n, err
}

// maxLine is how long a line may be: more than that of any record.
const maxLine = 64 << 20

// Line reads up to the end of a line, which it returns with its break, as
// bufio.Reader.ReadBytes does; one without an end is an error.
func Line(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > maxLine {
			return nil, fmt.Errorf("the line is longer than %s", size(maxLine))
		}
	}
}

func regular(name string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	what := "a device"
	switch mode := info.Mode(); {
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	}
	return &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("%w but %s", ErrNotRegular, what)}
}

func size(limit int64) string {
	if limit%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", limit>>20)
	}
	return fmt.Sprintf("%d bytes", limit)
}
