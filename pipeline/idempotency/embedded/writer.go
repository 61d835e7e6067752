package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// write is what one call wants on the disk, and the keys that it holds for so
// long.
type write struct {
	changes []change
	size    int
	done    chan struct{}
	err     error // read once done is closed
}

// change is one key's part of a write.
type change struct {
	key key
	// row is the row's new form, nil to remove it.
	row  []byte
	hour uint32
	// brief marks a change of memory alone, listed only to be taken back.
	brief bool
	// before is the key's entry as it was, entry the one that stands for it.
	before, entry *entry
	// stays keeps the entry in memory once the row is written: it is claimed.
	stays bool
}

// newWrite makes room for n changes.
func newWrite(n int) *write { return &write{changes: make([]change, 0, n), done: make(chan struct{})} }

// put adds a row, or its removal where it is nil.
func (w *write) put(k key, row *idempotency.Row, before, e *entry) {
	c := change{key: k, before: before, entry: e}
	if row != nil {
		c.row = idempotency.Encode(row)
		c.hour = hourOf(row.Expires)
		c.stays = row.State == idempotency.Claimed
	}
	w.size += len(c.row) + 64
	w.changes = append(w.changes, c)
}

// groupSize bounds what is written at once, well below what pebble treats as a
// large batch.
const groupSize = 1 << 20

// writer is the only one that writes to the database. It gathers the writes that
// come while the disk is busy, so that they share the next sync.
type writer struct {
	db   *pebble.DB
	disk *disk
	// settle is called for every write that ended, before its call returns.
	settle func(*write)

	// count is how many groups were synced since the folder was made.
	count atomic.Uint64

	mu     sync.Mutex
	come   sync.Cond
	queue  []*write
	sweeps []*sweep
	ending bool
}

func newWriter(db *pebble.DB, disk *disk) *writer {
	w := &writer{db: db, disk: disk}
	w.come.L = &w.mu
	return w
}

// add queues a write. Writes are done in the order in which they are added.
func (w *writer) add(one *write) {
	w.mu.Lock()
	w.queue = append(w.queue, one)
	w.mu.Unlock()
	w.come.Signal()
}

// addSweep queues a sweep, which runs between two writes.
func (w *writer) addSweep(s *sweep) {
	w.mu.Lock()
	w.sweeps = append(w.sweeps, s)
	w.mu.Unlock()
	w.come.Signal()
}

// finish lets run end once the queue is empty.
func (w *writer) finish() {
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	w.come.Signal()
}

// run writes until finish. After a failure that the database does not survive
// it may never return.
func (w *writer) run() {
	for {
		group, sweeps, more := w.take()
		if len(group) > 0 {
			err := w.commit(group)
			for _, one := range group {
				one.err = err
				w.settle(one)
				close(one.done)
			}
		}
		for _, s := range sweeps {
			s.removed, s.err = w.sweep(s)
			close(s.done)
		}
		if !more {
			return
		}
	}
}

// take waits for work. It is over when there is no more.
func (w *writer) take() (group []*write, sweeps []*sweep, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && len(w.sweeps) == 0 {
		if w.ending {
			return nil, nil, false
		}
		w.come.Wait()
	}
	n, size := 0, 0
	for n < len(w.queue) && size < groupSize {
		size += w.queue[n].size
		n++
	}
	group = append(group, w.queue[:n]...)
	w.queue = slices.Delete(w.queue, 0, n)
	sweeps, w.sweeps = w.sweeps, nil
	return group, sweeps, true
}

// commit puts a group on the disk. It returns nil only once all of it is synced.
func (w *writer) commit(group []*write) error {
	if err := w.disk.room(); err != nil {
		return err
	}
	next := w.count.Load() + 1
	err := w.apply(pebble.Sync, func(batch *pebble.Batch) error {
		expiring := map[uint32][]byte{} // hashes, by hour
		for _, one := range group {
			for i := range one.changes {
				c := &one.changes[i]
				if err := c.addTo(batch); err != nil {
					return err
				}
				if c.row != nil {
					expiring[c.hour] = append(expiring[c.hour], c.key[:]...)
				}
			}
		}
		return errors.Join(index(batch, expiring, next), batch.Set([]byte(countKey), appendCount(nil, next), nil))
	})
	if err == nil {
		w.count.Add(1)
	}
	return err
}

func (c *change) addTo(batch *pebble.Batch) error {
	switch {
	case c.brief:
		return nil
	case c.row == nil:
		return batch.Delete(c.key.row(), nil)
	}
	return batch.Set(c.key.row(), c.row, nil)
}

// index lists the hashes of a group's rows in the hours when they may expire. One
// entry for each row would cost the database as much as the rows do.
func index(batch *pebble.Batch, expiring map[uint32][]byte, group uint64) error {
	for hour, hashes := range expiring {
		part := 0
		for some := range slices.Chunk(hashes, sweepSize/2*len(key{})) {
			if err := batch.Set(expiryKey(hour, group, part), some, nil); err != nil {
				return err
			}
			part++
		}
	}
	return nil
}

// apply fills a batch and commits it.
func (w *writer) apply(how *pebble.WriteOptions, fill func(*pebble.Batch) error) (err error) {
	if err := w.disk.check(); err != nil {
		return err
	}
	// Pebble panics when its log fails while it moves on to the next file.
	defer func() {
		if r := recover(); r != nil {
			w.disk.fail(fmt.Errorf("write keys: %v", r))
			err = w.disk.check()
		}
	}()
	batch := w.db.NewBatch()
	if err := fill(batch); err != nil {
		return err
	}
	if err := w.db.Apply(batch, how); err != nil {
		return err
	}
	// A commit that failed for good returns nil.
	select {
	case <-w.disk.broken:
		return w.disk.check()
	default:
		return batch.Close()
	}
}

// await waits until a write ended. An error of the context does not take it
// back: it ends all the same, and its keys are held until then.
func (s *Store) await(ctx context.Context, w *write) error {
	select {
	case <-w.done:
		return w.err
	case <-s.disk.broken:
		return s.disk.check()
	case <-ctx.Done():
		return ctx.Err()
	}
}
