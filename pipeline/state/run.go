package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Run is what a running process tells others of itself.
type Run struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Files are the configuration files, as absolute paths.
	Files []string `json:"files,omitempty"`
	// Pipelines are the names of those it runs.
	Pipelines []string `json:"pipelines,omitempty"`
	// Parts are the embedded parts that it holds.
	Parts []Part `json:"parts,omitempty"`
	// Broker is the address of the embedded broker where it runs one, else of
	// the cluster.
	Broker string `json:"broker,omitempty"`
	// Job is the job that it does instead of running pipelines, empty for none.
	Job string `json:"job,omitempty"`
	// Socket is the path of the control socket, empty where it has none.
	Socket string `json:"socket,omitempty"`
}

// Has tells whether the process holds part.
func (r Run) Has(part Part) bool {
	for _, p := range r.Parts {
		if p == part {
			return true
		}
	}
	return false
}

// Announcement is this process's run file. Its methods are safe for concurrent
// use.
type Announcement struct {
	mu     sync.Mutex
	path   string
	lock   *os.File
	closed bool
}

// maxNames bounds how many processes of one id may share a folder: containers
// that mount the same folder often all have the process id 1.
const maxNames = 64

// Announce writes run, with this process's id, to the folder's run folder for
// Discover to find, until it is closed or the process ends.
func (f *Folder) Announce(run Run) (*Announcement, error) {
	run.PID = os.Getpid()
	for n := range maxNames {
		name := fmt.Sprintf("%d", run.PID)
		if n > 0 {
			name = fmt.Sprintf("%d-%d", run.PID, n+1)
		}
		path := filepath.Join(f.runDir(), name)
		lock, err := takeRunLock(path + ".lock")
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("announce this process in %s: %w", f.runDir(), err)
		}
		a := &Announcement{path: path, lock: lock}
		if err := a.Update(run); err != nil {
			return nil, errors.Join(err, a.Close())
		}
		return a, nil
	}
	return nil, fmt.Errorf("announce this process in %s: %d others have its process id", f.runDir(), maxNames)
}

// takeRunLock makes and locks the file at path. Whoever tidies up may remove the
// file between the two steps, so the lock counts only while the path still
// leads to it.
func takeRunLock(path string) (*os.File, error) {
	for {
		file, err := openOwn(path, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		if err := tryLock(file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if leadsTo(path, file) {
			return file, nil
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

func leadsTo(path string, file *os.File) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	found, err := os.Lstat(path)
	return err == nil && os.SameFile(held, found)
}

// Update replaces what the run file says; readers see the old or the new text,
// never a part. After Close it does nothing.
func (a *Announcement) Update(run Run) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	run.PID = os.Getpid()
	text, err := json.MarshalIndent(run, "", "  ")
	if err != nil {
		return fmt.Errorf("write the run file: %w", err)
	}
	if err := writeOwn(a.path+".tmp", append(text, '\n')); err != nil {
		return fmt.Errorf("write the run file: %w", err)
	}
	if err := os.Rename(a.path+".tmp", a.path+".json"); err != nil {
		return fmt.Errorf("write the run file: %w", err)
	}
	return nil
}

// writeOwn makes a file anew, or empties it first.
func writeOwn(path string, text []byte) error {
	file, err := openOwn(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// Close removes the run file. Calls after the first do nothing.
func (a *Announcement) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	// The lock file goes last, and while it is still held: see Discover.
	err := errors.Join(removeIfThere(a.path+".json"), removeIfThere(a.path+".lock"), a.lock.Close())
	if err != nil {
		return fmt.Errorf("remove the run file: %w", err)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
