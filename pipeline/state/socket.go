package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	socketPrefix = "millrace-"
	socketName   = "control.sock"
	// socketLock is held for as long as the folder's process lives: by it others
	// know what a killed process left behind.
	socketLock = "control.lock"
	// maxSocketPath is what the strictest system takes (104 with a final zero).
	maxSocketPath = 103
)

// SocketFolder is a private folder with a path short enough for a unix socket.
type SocketFolder struct {
	dir  string
	lock *os.File
	once sync.Once
	err  error
}

// NewSocketFolder makes a folder of mode 0700 in the first of parents, then in
// the system's temporary folder, where that works and leaves the socket's path
// short enough. Empty parents are passed over. What processes left there that
// were killed is removed.
func NewSocketFolder(parents ...string) (*SocketFolder, error) {
	var failures error
	for _, parent := range append(parents, os.TempDir(), "/tmp") {
		if parent == "" {
			continue
		}
		tidySockets(parent)
		s, err := newSocketFolder(parent)
		if err == nil {
			return s, nil
		}
		failures = errors.Join(failures, err)
	}
	return nil, fmt.Errorf("make a folder for the control socket: %w", failures)
}

func newSocketFolder(parent string) (*SocketFolder, error) {
	dir, err := os.MkdirTemp(parent, socketPrefix)
	if err != nil {
		return nil, err
	}
	s := &SocketFolder{dir: dir}
	if len(s.Path()) > maxSocketPath {
		return nil, errors.Join(fmt.Errorf("%s is too long for a socket's path", dir), os.Remove(dir))
	}
	// Whoever tidies up at this moment may take the folder away between two
	// steps; then there is another parent.
	if s.lock, err = takeRunLock(filepath.Join(dir, socketLock)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// Path is where the socket belongs; NewSocketFolder does not make it.
func (s *SocketFolder) Path() string { return filepath.Join(s.dir, socketName) }

// Close removes the folder and what is in it. Calling it again does nothing.
func (s *SocketFolder) Close() error {
	s.once.Do(func() {
		if err := errors.Join(os.RemoveAll(s.dir), s.lock.Close()); err != nil {
			s.err = fmt.Errorf("remove the control socket's folder: %w", err)
		}
	})
	return s.err
}

// tidySockets removes the folders of processes that were killed, and that no
// state folder leads to any more. Their locks tell: a process id may mean
// another process, in another container that shares the folder as well. It is
// best effort, and leaves alone what is another user's or holds anything else.
func tidySockets(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), socketPrefix) {
			tidySocket(filepath.Join(parent, e.Name()))
		}
	}
}

func tidySocket(dir string) {
	// The temporary folder is everybody's: what another user made there is not even
	// opened.
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || !own(info) || others(info) {
		return
	}
	path := filepath.Join(dir, socketLock)
	lock, err := openOwn(path, os.O_RDWR)
	if err != nil {
		return
	}
	defer func() { _ = lock.Close() }()
	if tryLock(lock) == nil && leadsTo(path, lock) {
		removeSocket(dir)
	}
}

// removeSocket removes a folder with what belongs there, and nothing else.
func removeSocket(dir string) {
	_ = os.Remove(filepath.Join(dir, socketName))
	_ = os.Remove(filepath.Join(dir, socketLock))
	_ = os.Remove(dir)
}
