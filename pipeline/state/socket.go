package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	socketPrefix = "millrace-"
	socketName   = "control.sock"
	// maxSocketPath is what the strictest system takes (104 with a final zero).
	maxSocketPath = 103
)

// SocketFolder is a private folder with a path short enough for a unix socket.
type SocketFolder struct {
	dir string
}

// NewSocketFolder makes a folder of mode 0700 in the first of parents, then in
// the system's temporary folder, where that works and leaves the socket's path
// short enough. Empty parents are passed over.
func NewSocketFolder(parents ...string) (*SocketFolder, error) {
	var failures error
	for _, parent := range append(parents, os.TempDir(), "/tmp") {
		if parent == "" {
			continue
		}
		dir, err := os.MkdirTemp(parent, socketPrefix)
		if err != nil {
			failures = errors.Join(failures, err)
			continue
		}
		s := &SocketFolder{dir: dir}
		if len(s.Path()) <= maxSocketPath {
			return s, nil
		}
		failures = errors.Join(failures, fmt.Errorf("%s is too long for a socket's path", dir), os.Remove(dir))
	}
	return nil, fmt.Errorf("make a folder for the control socket: %w", failures)
}

// Path is where the socket belongs; NewSocketFolder does not make it.
func (s *SocketFolder) Path() string { return filepath.Join(s.dir, socketName) }

// Close removes the folder and what is in it. Calling it again does nothing.
func (s *SocketFolder) Close() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove the control socket's folder: %w", err)
	}
	return nil
}
