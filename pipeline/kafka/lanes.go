package kafka

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
)

// lane is one path through a partition: one batch is in flight on it at a time,
// made of what queued up while the last one was away; and beside it those of which
// all that is left waits for something that may take long. What is in order behind
// an unfinished record stays in the queue.
type lane struct {
	index int
	// queue is the lane's own, or where no order is kept the one that all lanes
	// of the partition take from.
	queue *queue
	// rest is what the last batch gave back; it goes before the queue.
	rest []*slot
	// aside is what waits for a part of a sink's system and was handed back; asideAt is
	// when it may be handed out again.
	aside   []*slot
	asideAt time.Time
	// flights are the batches in flight, runners the goroutines that hand out the
	// lane's batches: one, and one for each that waits.
	flights []*flight
	runners int
}

// flight is a batch on its way.
type flight struct {
	// slots are its records, from the first unfinished one on as far as that is
	// known; cancel ends its context.
	slots  []*slot
	cancel context.CancelCauseFunc
	// waits tells that it keeps up only what is in order behind it, again that its
	// records were set aside: it keeps up nothing.
	waits, again bool
}

// maxWaiting is how many batches of one lane may wait beside the one in flight.
const maxWaiting = 16

// wanted tells whether an unfinished record in flight lies before reach.
func (f *flight) wanted(reach int64) bool {
	for len(f.slots) > 0 && f.slots[0].done.Load() {
		f.slots = f.slots[1:]
	}
	return len(f.slots) > 0 && f.slots[0].record.Offset < reach
}

// busy tells whether the lane may hand out no further batch now.
func (l *lane) busy() bool {
	waiting := 0
	for _, f := range l.flights {
		switch {
		case f.again:
		case !f.waits:
			return true
		default:
			waiting++
		}
	}
	return waiting > maxWaiting
}

type queue struct{ slots []*slot }

func newLanes(source Source) []*lane {
	n := source.Lanes
	if source.Order == OrderPartition {
		n = 1
	}
	shared := &queue{}
	lanes := make([]*lane, n)
	for i := range lanes {
		lanes[i] = &lane{index: i, queue: shared}
		if source.Order != OrderNone {
			lanes[i].queue = &queue{}
		}
	}
	return lanes
}

// spread queues records on their lanes. Records without a key keep to the first
// one, and so keep their order.
func (p *partition) spread(slots []slot) {
	if len(p.lanes) == 1 || p.source.Order == OrderNone {
		q := p.lanes[0].queue
		for i := range slots {
			q.slots = append(q.slots, &slots[i])
		}
		return
	}
	n := uint64(len(p.lanes))
	for i := range slots {
		s := &slots[i]
		var to uint64
		if s.record.Key != nil {
			to = maphash.Bytes(p.seed, s.record.Key) % n
		}
		q := p.lanes[to].queue
		q.slots = append(q.slots, s)
	}
}

// start sets idle lanes going that have something to do. The caller holds mu.
func (p *partition) start() {
	if p.resting() {
		return
	}
	for _, l := range p.lanes {
		if l.runners <= len(l.flights) && (!l.busy() && (p.wants(l.queue.slots) || p.wants(l.rest)) || p.asideDue(l)) {
			l.runners++
			p.work.Go(func() { p.run(l) })
		}
	}
}

// resting tells that no batch may be handed out. A pause does not keep the lanes
// from catching up when the partition is given up.
func (p *partition) resting() bool { return p.cutOff || p.held && !p.stopping }

// handedOut counts the records of batches in flight that are not finished.
func (p *partition) handedOut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.lanes {
		for _, f := range l.flights {
			for _, s := range f.slots {
				if !s.done.Load() {
					n++
				}
			}
		}
	}
	return n
}

// wants tells whether the first of what waits is to be handed out.
func (p *partition) wants(waiting []*slot) bool {
	return len(waiting) > 0 && (!p.stopping || waiting[0].record.Offset < p.goal())
}

// run hands out one batch after the other until the lane has nothing to do, or
// another one does.
func (p *partition) run(l *lane) {
	for {
		f, slots, ctx := p.take(l)
		if f == nil {
			return
		}
		p.hand(ctx, l, f, slots)
		if p.settle(l, f) {
			continue
		}
		pause := time.NewTimer(redeliverAfter)
		select {
		case <-pause.C:
		case <-p.ctx.Done():
			pause.Stop()
		}
	}
}

// take makes the lane's next batch and its context, nil where there is none to
// make.
func (p *partition) take(l *lane) (*flight, []*slot, context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var batch []*slot
	if !p.resting() && !l.busy() {
		batch = p.batch(l)
	}
	again := batch == nil && p.asideDue(l)
	if again {
		batch = p.again(l)
	}
	if batch == nil {
		l.runners--
		return nil, nil, nil
	}
	ctx, cancel := context.WithCancelCause(p.ctx)
	f := &flight{slots: batch, cancel: cancel, again: again}
	l.flights = append(l.flights, f)
	return f, batch, ctx
}

// batch is the lane's next: what was given back, and then what queued up, without
// what is in order behind a record in flight.
func (p *partition) batch(l *lane) []*slot {
	limit := p.source.MaxBatch
	if p.source.Order == OrderNone {
		limit = min(limit, (len(l.queue.slots)+len(p.lanes)-1)/len(p.lanes))
	}
	held, all := l.held(p.source.Order)
	if all {
		return nil
	}
	if len(held) == 0 {
		if batch := p.next(&l.rest, p.source.MaxBatch); batch != nil {
			return batch
		}
		return p.next(&l.queue.slots, limit)
	}
	var free, kept []*slot
	for _, s := range slices.Concat(l.rest, l.queue.slots) {
		if len(free) < limit && !held[string(s.record.Key)] {
			free = append(free, s)
		} else {
			kept = append(kept, s)
			held[string(s.record.Key)] = true
		}
	}
	batch := p.next(&free, limit)
	if batch == nil {
		return nil
	}
	kept = append(free, kept...)
	slices.SortFunc(kept, func(a, b *slot) int { return cmp.Compare(a.record.Offset, b.record.Offset) })
	l.rest, l.queue.slots = nil, kept
	return batch
}

// waiting notes that what is left of a batch waits, so that the lane goes on with
// what is not in order behind it.
func (p *partition) waiting(f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.waits = true
	p.start()
}

// next cuts up to limit records off the front of what waits.
func (p *partition) next(waiting *[]*slot, limit int) []*slot {
	n := min(len(*waiting), limit)
	if p.stopping {
		// Only what lies before the goal is still wanted.
		for n > 0 && (*waiting)[n-1].record.Offset >= p.goal() {
			n--
		}
	}
	if n == 0 {
		return nil
	}
	batch := (*waiting)[:n:n]
	if *waiting = (*waiting)[n:]; len(*waiting) == 0 {
		*waiting = nil
	}
	return batch
}

// hand sends the batch out and waits until it is acked or nacked, or until the
// partition waits no longer.
func (p *partition) hand(ctx context.Context, l *lane, f *flight, slots []*slot) {
	records := make([]*handlers.Record, len(slots))
	var unreadable map[int]error
	for i, s := range slots {
		records[i] = &s.record
		if s.gap != nil {
			if unreadable == nil {
				unreadable = map[int]error{}
			}
			unreadable[i] = s.gap.err
		}
	}
	batch := NewBatch(p.topic, p.number, p.topicID, l.index, records, func(index int) { p.finish(slots[index]) })
	batch.begun = func(index int) { p.keep(slots[index]) }
	batch.stuck = func(index int) { p.giveUpOn(slots[index]) }
	batch.leaving = p.ending.Load
	batch.aside = &aside{p, slots}
	batch.Again = f.again
	batch.waits = func() { p.waiting(f) }
	batch.Unreadable = unreadable
	m := NewMessage(ctx, batch)
	select {
	case p.out <- m:
	case <-ctx.Done():
		return
	}
	select {
	case <-m.Acked():
	case <-m.Nacked():
	case <-p.gone:
	}
}

// settle moves the prefix after a batch and puts back what it left unfinished;
// it tells whether nothing was.
func (p *partition) settle(l *lane, f *flight) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.cancel(nil)
	l.flights = slices.DeleteFunc(l.flights, func(other *flight) bool { return other == f })
	all := p.back(l, f)
	p.advance()
	if !p.stopping {
		p.gate()
	}
	return all
}
