package kafka

import (
	"slices"
	"sync/atomic"

	"github.com/millrace/millrace/handlers"
)

// slot is one record as it was delivered, and whether it is finished. Only done,
// kept and aside change after delivery, so that finishing a record takes no lock.
type slot struct {
	record handlers.Record
	epoch  int32
	size   int32
	done   atomic.Bool
	// kept is set where something would be repeated if the record came again: it
	// is finished, or a part of it is.
	kept atomic.Bool
	// aside is set where nothing in order behind the record waits for it any more.
	aside atomic.Bool
	// gap is set where the slot stands for records that can't be read.
	gap *gap
}

// gap is a stored batch that is passed over.
type gap struct {
	// next is the offset after it.
	next int64
	err  error
}

// next is the offset after the slot's record.
func (s *slot) next() int64 {
	if s.gap != nil {
		return s.gap.next
	}
	return s.record.Offset + 1
}

// tracker knows how far the finished prefix of one assigned partition reaches.
// The prefix runs over delivered records: offsets that compaction, aborted
// transactions and control records leave out are no gaps. A tracker lives as
// long as one assignment and is never used again. Its methods need a lock
// around them; slots may be marked done without.
type tracker struct {
	// slabs hold the unfinished span, oldest first, one slab a fetch; held is the
	// memory that each keeps.
	slabs [][]slot
	held  []int64
	// head is where the span begins in the first slab.
	head int
	// pending and bytes measure the span, finished records behind an
	// unfinished one included.
	pending int
	bytes   int64
	// next is the offset to commit, epoch the leader epoch before it.
	next  int64
	epoch int32
}

func newTracker(next int64, epoch int32) tracker { return tracker{next: next, epoch: epoch} }

// add takes records over in the order of their delivery, and returns how much memory
// they keep.
func (t *tracker) add(slots []slot) (held int64) {
	if len(slots) == 0 {
		return 0
	}
	t.slabs = append(t.slabs, slots)
	t.pending += len(slots)
	for i := range slots {
		s := &slots[i]
		t.bytes += int64(s.size)
		held += int64(s.size) + slotCost + int64(len(s.record.Headers))*headerCost/2
	}
	t.held = append(t.held, held)
	return held
}

// drop returns how much memory is kept, and forgets of that.
func (t *tracker) drop() (freed int64) {
	for i := range t.held {
		freed += t.held[i]
		t.held[i] = 0
	}
	return freed
}

// advance moves the prefix over what has been finished meanwhile, and returns how
// much memory that frees.
func (t *tracker) advance() (freed int64) {
	for len(t.slabs) > 0 {
		slab := t.slabs[0]
		for ; t.head < len(slab) && slab[t.head].done.Load(); t.head++ {
			s := &slab[t.head]
			t.pending--
			t.bytes -= int64(s.size)
			t.next, t.epoch = s.next(), s.epoch
		}
		if t.head < len(slab) {
			return freed
		}
		freed += t.held[0]
		t.slabs[0] = nil
		t.slabs, t.held, t.head = t.slabs[1:], t.held[1:], 0
	}
	return freed
}

// front is the record at which the prefix stands, nil where all are finished.
func (t *tracker) front() *slot {
	if len(t.slabs) == 0 {
		return nil
	}
	return &t.slabs[0][t.head]
}

// reach is the offset after the foremost record that must not come again, or where
// the prefix ends.
func (t *tracker) reach() int64 {
	for _, slab := range slices.Backward(t.slabs) {
		for i := len(slab) - 1; i >= 0; i-- {
			if slab[i].kept.Load() {
				return max(t.next, slab[i].next())
			}
		}
	}
	return t.next
}

// unfinished counts the records that are delivered and not finished.
func (t *tracker) unfinished() int { return t.count(func(s *slot) bool { return !s.done.Load() }) }

// beyond counts the records behind the prefix that are finished and must not come
// again.
func (t *tracker) beyond() int {
	return t.count(func(s *slot) bool { return s.done.Load() && s.kept.Load() })
}

func (t *tracker) count(which func(*slot) bool) int {
	n := 0
	for i, slab := range t.slabs {
		if i == 0 {
			slab = slab[t.head:]
		}
		for j := range slab {
			if which(&slab[j]) {
				n++
			}
		}
	}
	return n
}
