package file

import (
	"os"
	"sync"
	"time"
)

// handle is one open file. Those who appended to it share the fsyncs.
type handle struct {
	f     *os.File
	disk  disk
	batch BatchConfig
	ended <-chan struct{}

	mu      sync.Mutex
	changed *sync.Cond
	// appended and synced count bytes since the file was opened.
	appended, synced int64
	calls            int // since the last fsync began
	syncing, closed  bool
	full             chan struct{} // closed when a batch that waits is full
	// err is the first failed fsync. What was not on the disk by then is in
	// doubt for good: a later fsync would succeed without having written it.
	err error
}

func newHandle(f *os.File, d disk, batch BatchConfig, ended <-chan struct{}) *handle {
	h := &handle{f: f, disk: d, batch: batch, ended: ended}
	h.changed = sync.NewCond(&h.mu)
	return h
}

// wrote counts what was appended and returns what sync must be told.
func (h *handle) wrote(bytes, calls int) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.appended += int64(bytes)
	h.calls += calls
	if h.isFull() {
		h.hurry()
	}
	return h.appended
}

// hurry ends the wait of a batch. The caller holds mu.
func (h *handle) hurry() {
	if h.full != nil {
		close(h.full)
		h.full = nil
	}
}

// isFull tells whether a batch need not wait. The caller holds mu.
func (h *handle) isFull() bool {
	return h.calls >= h.batch.Count || h.appended-h.synced >= int64(h.batch.Bytes)
}

// sync returns once everything up to a count of bytes is on the disk. One caller
// makes the fsync, for all that was appended before it began; the others wait
// for that one, or for the next.
func (h *handle) sync(upTo int64, patient bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.synced < upTo && h.err == nil {
		if h.syncing {
			h.changed.Wait()
			continue
		}
		h.syncing = true
		if patient {
			h.gather()
		}
		reached := h.appended
		h.calls = 0
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

// gather waits for more records to share the fsync. The caller holds mu, which
// is free meanwhile.
func (h *handle) gather() {
	if h.batch.Wait <= 0 || h.isFull() {
		return
	}
	full := make(chan struct{})
	h.full = full
	h.mu.Unlock()
	timer := time.NewTimer(h.batch.Wait)
	defer timer.Stop()
	select {
	case <-full:
	case <-timer.C:
	case <-h.ended:
	}
	h.mu.Lock()
	h.full = nil
}

// all syncs what was appended until now.
func (h *handle) all() error {
	h.mu.Lock()
	upTo := h.appended
	h.hurry()
	h.mu.Unlock()
	return h.sync(upTo, false)
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
