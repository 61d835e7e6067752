package kafka

import (
	"cmp"
	"slices"
	"time"
)

// A record that waits for a part of a sink's system, such as a topic that does not
// exist, is set aside: what is in order behind it goes on, but for what goes to the
// same place. The places are the handler's; the partition keeps who stands in line at
// each, for as long as the assignment lasts, and hands out anew what was set aside.

// aside is what a batch says of records that wait, by their slots.
type aside struct {
	p     *partition
	slots []*slot
}

// SetsAside tells whether records can be set aside: what of a batch is handed back is
// then delivered again, in another batch.
func (b *Batch) SetsAside() bool { return b.aside != nil }

// Stand puts the record at index in line at a place, until Leave or Done.
func (b *Batch) Stand(index int, place string) {
	if b.aside != nil {
		b.aside.p.stand(b.aside.slots[index], place)
	}
}

// InLine tells whether any record of the partition stands in line. It does not block.
func (b *Batch) InLine() bool { return b.aside != nil && b.aside.p.inLine.Load() > 0 }

// Ahead tells whether an earlier record of the partition stands in line at a place.
func (b *Batch) Ahead(index int, place string) bool {
	return b.aside != nil && b.aside.p.ahead(b.aside.slots[index], place)
}

// Leave takes the record at index out of line.
func (b *Batch) Leave(index int, place string) {
	if b.aside != nil {
		b.aside.p.leave(b.aside.slots[index], place)
	}
}

// Aside says that all that is left of the record at index stands in line somewhere:
// what is in order behind it may go on, and the handler keeps the order at each place.
// Where the batch ends, the record is handed out again, beside the lane's others.
func (b *Batch) Aside(index int) {
	if b.aside != nil {
		b.aside.p.setAside(b.aside.slots[index])
	}
}

func (p *partition) stand(s *slot, place string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lines == nil {
		p.lines = map[string][]*slot{}
	}
	line := p.lines[place]
	if at, there := slices.BinarySearchFunc(line, s, byOffset); !there {
		p.lines[place] = slices.Insert(line, at, s)
		p.inLine.Add(1)
	}
}

func (p *partition) leave(s *slot, place string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.lines[place]
	if at, there := slices.BinarySearchFunc(line, s, byOffset); there {
		p.inLine.Add(-1)
		if line = slices.Delete(line, at, at+1); len(line) == 0 {
			delete(p.lines, place)
		} else {
			p.lines[place] = line
		}
	}
}

func (p *partition) ahead(s *slot, place string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.lines[place]
	for len(line) > 0 && line[0].done.Load() {
		line = line[1:]
		p.inLine.Add(-1)
	}
	if p.lines[place] = line; len(line) == 0 {
		delete(p.lines, place)
	}
	return len(line) > 0 && line[0].record.Offset < s.record.Offset
}

func (p *partition) setAside(s *slot) {
	if s.aside.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start()
}

func byOffset(a, b *slot) int { return cmp.Compare(a.record.Offset, b.record.Offset) }

// asideEvery is how long what was set aside rests between two batches.
const asideEvery = 100 * time.Millisecond

// asideDue tells whether a batch of what was set aside is to be handed out: one at a
// time.
func (p *partition) asideDue(l *lane) bool {
	if len(l.aside) == 0 || p.resting() || slices.ContainsFunc(l.flights, func(f *flight) bool { return f.again }) {
		return false
	}
	if p.stopping {
		return slices.ContainsFunc(l.aside, func(s *slot) bool { return s.record.Offset < p.goal() })
	}
	return !time.Now().Before(l.asideAt)
}

// again makes a batch of what was set aside, those that rest for longest first.
func (p *partition) again(l *lane) []*slot {
	n := min(len(l.aside), p.source.MaxBatch)
	batch := slices.Clone(l.aside[:n])
	l.aside = slices.Delete(l.aside, 0, n)
	slices.SortFunc(batch, byOffset)
	return batch
}

// back puts back what a batch left unfinished and tells whether all of it was set
// aside.
func (p *partition) back(l *lane, f *flight) bool {
	var rest []*slot
	before := len(l.aside)
	for _, s := range f.slots {
		switch {
		case s.done.Load():
		case s.aside.Load():
			l.aside = append(l.aside, s)
		default:
			rest = append(rest, s)
		}
	}
	if len(l.aside) > before {
		l.asideAt = time.Now().Add(asideEvery)
		time.AfterFunc(asideEvery, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if !p.stopping { // a stop has set going what it wants
				p.start()
			}
		})
	}
	if len(rest) > 0 {
		l.rest = append(rest, l.rest...)
	}
	return len(rest) == 0
}

// held are the keys of which a record is in flight; all tells that it holds every
// record of the lane.
func (l *lane) held(order Order) (keys map[string]bool, all bool) {
	if order == OrderNone {
		return nil, false
	}
	for _, f := range l.flights {
		for _, s := range f.slots {
			if s.done.Load() || s.aside.Load() {
				continue
			}
			if order == OrderPartition {
				return nil, true
			}
			if keys == nil {
				keys = map[string]bool{}
			}
			keys[string(s.record.Key)] = true
		}
	}
	return keys, false
}
