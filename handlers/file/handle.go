package file

import (
	"os"
	"sync"
)

// handle is one open file.
type handle struct {
	f    *os.File
	disk disk

	mu      sync.Mutex
	changed *sync.Cond
	// appended and synced count bytes since the file was opened.
	appended, synced int64
	syncing, closed  bool
	// err is the first failed fsync. What was not on the disk by then is in
	// doubt for good: a later fsync would succeed without having written it.
	err error
}

func newHandle(f *os.File, d disk) *handle {
	h := &handle{f: f, disk: d}
	h.changed = sync.NewCond(&h.mu)
	return h
}

// wrote counts what was appended and returns what sync must be told.
func (h *handle) wrote(bytes int) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.appended += int64(bytes)
	return h.appended
}

// sync returns once everything up to a count of bytes is on the disk. One caller
// makes the fsync, for all that was appended before it began; the others wait
// for that one, or for the next.
func (h *handle) sync(upTo int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.synced < upTo && h.err == nil {
		if h.syncing {
			h.changed.Wait()
			continue
		}
		h.syncing = true
		reached := h.appended
		h.mu.Unlock()
		err := h.disk.sync(h.f)
		h.mu.Lock()
		h.syncing = false
		if err == nil {
			h.synced = reached
		} else if h.err == nil {
			h.err = err
		}
		h.changed.Broadcast()
	}
	if h.synced >= upTo {
		return nil
	}
	return h.err
}

// all syncs what was appended until now.
func (h *handle) all() error {
	h.mu.Lock()
	upTo := h.appended
	h.mu.Unlock()
	return h.sync(upTo)
}

// broken tells whether an fsync failed, so that the file must be opened anew.
func (h *handle) broken() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// close closes the file after the fsync that is under way. Those who still wait
// for one must have been served by all before.
func (h *handle) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.syncing {
		h.changed.Wait()
	}
	if h.closed {
		return nil
	}
	h.closed = true
	return h.f.Close()
}
