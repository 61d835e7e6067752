//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Running tells whether a component lives in a folder: the folder of a node
// ("node1" in the cluster's) or of a Redis.
func Running(dir string) (bool, error) {
	path := filepath.Join(dir, lockName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	lock, err := lockNow(path)
	if errors.Is(err, errLocked) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, lock.Close()
}

// End asks the component that lives in a folder to end, and waits until it is
// gone; at ctx's end it is killed. It tells whether there was one. No other
// process is ever ended: the component holds a lock in its folder while it
// lives, and only then is the id that stands there its own.
func End(ctx context.Context, dir string) (bool, error) {
	running, err := Running(dir)
	if err != nil || !running {
		return false, err
	}
	text, err := os.ReadFile(filepath.Join(dir, pidName))
	if err != nil {
		return true, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return true, fmt.Errorf("%s: not a process's id: %q", filepath.Join(dir, pidName), text)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return true, fmt.Errorf("end process %d: %w", pid, err)
	}
	if err := awaitEnd(ctx, dir); err == nil {
		return true, nil
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return true, fmt.Errorf("kill process %d: %w", pid, err)
	}
	killed, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return true, awaitEnd(killed, dir)
}

// awaitEnd waits until nobody holds the folder's lock.
func awaitEnd(ctx context.Context, dir string) error {
	lock, err := lockWhenFree(ctx, filepath.Join(dir, lockName))
	if err != nil {
		return err
	}
	return lock.Close()
}
