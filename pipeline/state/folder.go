// Package state is the folder that Millrace keeps beside its configuration: the
// data of the embedded broker and of the embedded key store, the locks that let
// one process at a time use them, and the files by which processes find each
// other.
//
//	.millrace/
//	  broker/       the embedded broker's log, guarded by broker.lock
//	  keys/         the embedded key store, guarded by keys.lock
//	  run/<pid>.json  one file a running process, guarded by <pid>.lock
//	  paused/<pipeline>.json  who paused a pipeline for longer than a process lives
//	  skipped/<pipeline>.json  which records a person let a pipeline go past
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Part is an embedded part that at most one process may run on a folder.
type Part string

// The embedded parts.
const (
	Broker Part = "broker"
	Keys   Part = "keys"
)

// Folder is an open state folder. Its methods are safe for concurrent use.
type Folder struct {
	dir string
	was os.FileInfo
}

// UnwritableError says that the state folder can't be made or written. Where
// nothing embedded runs, a caller may warn and go on without the folder.
type UnwritableError struct {
	Dir string
	Err error
}

// Error names the folder and the reason.
func (e *UnwritableError) Error() string {
	return fmt.Sprintf("write the state folder %s: %v", e.Dir, e.Err)
}

// Unwrap returns the reason.
func (e *UnwritableError) Unwrap() error { return e.Err }

// Open makes the state folder dir where it is missing, readable by its owner
// only, and checks that it can be written. Its error is an *UnwritableError.
// It takes no lock: several processes may have one folder open.
func Open(dir string) (*Folder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, &UnwritableError{Dir: dir, Err: err}
	}
	f := &Folder{dir: abs}
	if err := f.prepare(); err != nil {
		return nil, &UnwritableError{Dir: abs, Err: err}
	}
	if f.was, err = os.Stat(abs); err != nil {
		return nil, &UnwritableError{Dir: abs, Err: err}
	}
	return f, nil
}

// Gone tells whether the folder, or that of one of the parts, was removed or
// replaced since it was opened: what a process has open there nobody finds again.
func (f *Folder) Gone(parts []Part) bool {
	now, err := os.Stat(f.dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(f.was, now) {
		return true
	}
	for _, part := range parts {
		if _, err := os.Stat(f.Path(part)); errors.Is(err, os.ErrNotExist) {
			return true
		}
	}
	return false
}

// Check tells whether Open could succeed, without making or writing anything. Its
// error is an *UnwritableError.
func Check(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return &UnwritableError{Dir: dir, Err: err}
	}
	for at := abs; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return &UnwritableError{Dir: abs, Err: fmt.Errorf("%s is no folder", at)}
		case err == nil:
			if err = mayWrite(at); err == nil && at == abs {
				err = foreign(at, info)
			}
		case errors.Is(err, os.ErrNotExist) && at != filepath.Dir(at):
			continue
		}
		if err != nil {
			return &UnwritableError{Dir: abs, Err: err}
		}
		return nil
	}
}

func (f *Folder) prepare() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(f.dir)
	if err == nil {
		err = private(f.dir, info)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.runDir(), 0o700); err != nil {
		return err
	}
	probe, err := os.CreateTemp(f.runDir(), ".probe-*")
	if err != nil {
		return err
	}
	if err := probe.Close(); err != nil {
		return err
	}
	if err := os.Remove(probe.Name()); err != nil {
		return err
	}
	return ignoreInGit(f.dir)
}

// ignoreInGit keeps records and keys out of the repository that often holds the
// configuration beside the folder.
func ignoreInGit(dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, ".gitignore"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString("*\n")
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Dir is the folder's absolute path.
func (f *Folder) Dir() string { return f.dir }

// Path is where part keeps its data, whether or not it exists.
func (f *Folder) Path(part Part) string { return filepath.Join(f.dir, string(part)) }

// Lock takes part for this process and makes its folder. It does not wait: where
// another process has the part, the error is a *HeldError that names it.
func (f *Folder) Lock(part Part) (*Lock, error) { return LockFolder(f.Path(part)) }

func (f *Folder) runDir() string { return runDir(f.dir) }

func runDir(dir string) string { return filepath.Join(dir, "run") }
