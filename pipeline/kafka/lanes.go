package kafka

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/millrace/millrace/handlers"
)

// lane is one path through a partition: one batch is in flight on it at a time,
// made of what queued up while the last one was away.
type lane struct {
	index int
	// queue is the lane's own, or where no order is kept the one that all lanes
	// of the partition take from.
	queue *queue
	// rest is what the last batch gave back; it goes before the queue.
	rest    []*slot
	running bool
	// batch is what is in flight, from the first unfinished record on as far as
	// that is known; cancel ends its context and is nil where nothing is.
	batch  []*slot
	cancel context.CancelCauseFunc
}

// wanted tells whether an unfinished record in flight lies before reach.
func (l *lane) wanted(reach int64) bool {
	for len(l.batch) > 0 && l.batch[0].done.Load() {
		l.batch = l.batch[1:]
	}
	return len(l.batch) > 0 && l.batch[0].record.Offset < reach
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
		if !l.running && (p.wants(l.queue.slots) || p.wants(l.rest)) {
			l.running = true
			p.work.Go(func() { p.run(l) })
		}
	}
}

// resting tells that no batch may be handed out. A pause does not keep the lanes
// from catching up when the partition is given up.
func (p *partition) resting() bool { return p.cutOff || p.held && !p.stopping }

// wants tells whether the first of what waits is to be handed out.
func (p *partition) wants(waiting []*slot) bool {
	return len(waiting) > 0 && (!p.stopping || waiting[0].record.Offset < p.goal())
}

// run hands out one batch after the other until the lane has nothing to do.
func (p *partition) run(l *lane) {
	for {
		batch, ctx := p.take(l)
		if batch == nil {
			return
		}
		p.hand(ctx, l, batch)
		if p.settle(l, batch) {
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
func (p *partition) take(l *lane) ([]*slot, context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var batch []*slot
	if !p.resting() {
		if batch = p.next(&l.rest, p.source.MaxBatch); batch == nil {
			limit := p.source.MaxBatch
			if p.source.Order == OrderNone {
				limit = min(limit, (len(l.queue.slots)+len(p.lanes)-1)/len(p.lanes))
			}
			batch = p.next(&l.queue.slots, limit)
		}
	}
	if batch == nil {
		l.running = false
		return nil, nil
	}
	ctx, cancel := context.WithCancelCause(p.ctx)
	l.batch, l.cancel = batch, cancel
	return batch, ctx
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
func (p *partition) hand(ctx context.Context, l *lane, slots []*slot) {
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
func (p *partition) settle(l *lane, batch []*slot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.cancel(nil)
	l.batch, l.cancel = nil, nil
	var rest []*slot
	for _, s := range batch {
		if !s.done.Load() {
			rest = append(rest, s)
		}
	}
	if len(rest) > 0 {
		l.rest = append(rest, l.rest...)
	}
	p.advance()
	if !p.stopping {
		p.gate()
	}
	return len(rest) == 0
}
