package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Lock is a folder held by this process. The system gives it back when the
// process ends, however it ends.
type Lock struct {
	dir  string
	file *os.File
	once sync.Once
	err  error
}

// HeldError says that another process, or another part of this one, holds a
// folder.
type HeldError struct {
	Dir string
	// PID is the holder's process id, 0 where it could not be read.
	PID int
}

// Error names the folder and its holder.
func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("the folder %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("the folder %s is in use by process %d", e.Dir, e.PID)
}

// errLocked is what tryLock returns where somebody else has the lock.
var errLocked = errors.New("locked")

// LockFolder makes dir, readable by its owner only, and takes it for this
// process by a lock on the file dir.lock beside it, which records the process
// id. It does not wait: where somebody else has the folder, the error is a
// *HeldError. The lock file stays behind when the lock is released.
func LockFolder(dir string) (*Lock, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the folder %s: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("lock the folder %s: %w", abs, err)
	}
	if err := makePrivate(abs); err != nil {
		return nil, fmt.Errorf("lock the folder %s: %w", abs, err)
	}
	file, err := openOwn(abs+".lock", os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("lock the folder %s: %w", abs, err)
	}
	if err := tryLock(file); err != nil {
		held := &HeldError{Dir: abs, PID: readPID(file)}
		_ = file.Close()
		if errors.Is(err, errLocked) {
			return nil, held
		}
		return nil, fmt.Errorf("lock the folder %s: %w", abs, err)
	}
	if err := writePID(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock the folder %s: %w", abs, err)
	}
	return &Lock{dir: abs, file: file}, nil
}

// Dir is the folder's absolute path.
func (l *Lock) Dir() string { return l.dir }

// Release gives the folder back. Calls after the first do nothing and return
// what the first did.
func (l *Lock) Release() error {
	l.once.Do(func() {
		l.err = errors.Join(l.file.Truncate(0), l.file.Close())
	})
	return l.err
}

// makePrivate narrows a folder that was made by hand; one that is private
// already may belong to a volume whose mode can't be changed.
func makePrivate(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !own(info) {
		return foreign(dir, info)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return os.Chmod(dir, 0o700)
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readPID returns 0 where the holder has not written its id yet.
func readPID(file *os.File) int {
	buf := make([]byte, 32)
	n, _ := file.ReadAt(buf, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
