package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Discover lists the processes that run on the state folder dir, the oldest
// first; none where there is no such folder. What processes left behind that
// ended without tidying up is removed, as far as this process may: whether one
// still runs is told by the lock on its file, so a process id in use again
// deceives nobody.
func Discover(dir string) ([]Run, error) { return discover(dir, true) }

// Find is Discover without tidying up: it changes nothing.
func Find(dir string) ([]Run, error) { return discover(dir, false) }

func discover(dir string, tidy bool) ([]Run, error) {
	entries, err := os.ReadDir(runDir(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for running processes: %w", err)
	}
	var runs []Run
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".json")
		if !ok {
			continue
		}
		run, alive := inspect(filepath.Join(runDir(dir), name), tidy)
		if alive {
			runs = append(runs, run)
		}
	}
	sort.SliceStable(runs, func(i, j int) bool { return runs[i].Started.Before(runs[j].Started) })
	return runs, nil
}

// inspect reads the run file path.json and tells whether its process runs.
func inspect(path string, tidy bool) (Run, bool) {
	var run Run
	text, err := readOwn(path+".json", maxRunFile)
	if err != nil || json.Unmarshal(text, &run) != nil {
		// It ended this moment, or it is somebody else's: not to be used.
		return Run{}, false
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDONLY|noFollow, 0)
	if errors.Is(err, os.ErrNotExist) {
		if tidy {
			sweep(path, run)
		}
		return Run{}, false
	}
	if err != nil {
		return Run{}, false
	}
	defer func() { _ = lock.Close() }()
	if err := tryLock(lock); err != nil {
		return run, errors.Is(err, errLocked)
	}
	// The process is gone. Holding its lock keeps a new one of the same id from
	// taking the files over while they are removed; it takes the next name.
	if tidy && leadsTo(path+".lock", lock) {
		sweep(path, run)
		_ = os.Remove(path + ".lock")
	}
	return Run{}, false
}

// maxRunFile is more than any run file holds.
const maxRunFile = 1 << 20

// readOwn reads a file that a process like this one wrote, and no link.
func readOwn(path string, most int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, most))
}

// sweep removes what a dead process left. It is best effort: a folder that this
// process may only read keeps its remains.
func sweep(path string, run Run) {
	_ = os.Remove(path + ".json")
	_ = os.Remove(path + ".tmp")
	dir := filepath.Dir(run.Socket)
	if filepath.Base(run.Socket) != socketName || !strings.HasPrefix(filepath.Base(dir), socketPrefix) {
		return
	}
	removeSocket(dir)
}
