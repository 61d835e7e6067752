package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// LockedError says that another process has the folder open.
type LockedError struct {
	Dir string
	// PID is that process, 0 where it did not say.
	PID int
}

// Error names the folder and the process.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("the folder %q is in use by another process", e.Dir)
	}
	return fmt.Sprintf("the folder %q is in use by process %d", e.Dir, e.PID)
}

// folderLock keeps other processes out of a folder while it is held. The
// system drops it when the process ends, however that happens.
type folderLock struct{ file *os.File }

func lockFolder(dir string) (*folderLock, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := lockFile(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock folder %q: %w", dir, err)
	}
	if !taken {
		defer file.Close()
		return nil, &LockedError{Dir: dir, PID: holder(file)}
	}
	// The pid only serves the message of whoever comes second: a disk that is
	// too full for it must not stop the first.
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	return &folderLock{file}, nil
}

func holder(file *os.File) int {
	text := make([]byte, 20)
	n, _ := file.ReadAt(text, 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	return pid
}

func (l *folderLock) release() { l.file.Close() }
