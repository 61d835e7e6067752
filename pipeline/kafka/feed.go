package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/pipeline/memory"
)

// starve pauses a partition until its next batch was read in pieces: there is no memory
// for all of it.
func (c *consumer) starve(p *partition, none *errNoMemory) {
	p.mu.Lock()
	if p.stopping || p.examined {
		p.mu.Unlock()
		return // it comes again
	}
	waits := p.hungry > 0
	p.hungry = max(p.hungry, none.need)
	p.gate()
	p.mu.Unlock()
	if !waits {
		p.failed(c.hunger(none))
		c.starved.push(p, false)
	}
}

// hunger is none with what to do about it.
func (c *consumer) hunger(none *errNoMemory) error {
	return fmt.Errorf("%w: records that are not finished hold %d of the %d bytes that there are for them; where that "+
		"lasts, let their sinks go on, give the process more memory (GOMEMLIMIT), or lower source.max_record_bytes",
		none, c.deps.Held.Used(), c.deps.Held.Size())
}

const (
	// feeders is how many partitions may be read in pieces at once, and feedPatience
	// for how long one of them waits for memory before others have a try.
	feeders      = 2
	feedPatience = 10 * time.Second
)

// feedLoop reads in pieces what partitions have next for which there is no memory.
func (c *consumer) feedLoop(ctx context.Context) {
	for {
		p, ok := c.starved.next(ctx)
		if !ok {
			return
		}
		if !c.feed(ctx, p) && ctx.Err() == nil && p.ctx.Err() == nil {
			c.starved.push(p, false)
		}
	}
}

// feed reads one batch of a partition in pieces, and lets the client go on behind it.
// It tells whether it did.
func (c *consumer) feed(ctx context.Context, p *partition) bool {
	ctx, cancel := context.WithTimeout(ctx, feedPatience)
	defer cancel()
	left := context.AfterFunc(p.ctx, cancel)
	defer left()
	p.mu.Lock()
	none := &errNoMemory{p.hungry}
	p.mu.Unlock()
	// It is not kept: what is read is delivered bit by bit, each with its own.
	need := min(none.need, c.share.Large())
	c.intake.sweep()
	err := c.share.Wait(ctx, need)
	var at kgo.EpochOffset
	if err == nil {
		c.share.Give(need)
		// What was polled before must have been dropped before anything is fetched again.
		c.polls.barrier()
		at, err = c.pieces(ctx, p)
	}
	switch {
	case ctx.Err() != nil:
		p.failed(c.hunger(none))
		return false
	case err != nil:
		p.failed(err)
		_ = rest(ctx, examineAgain)
	}
	c.moveTo(p, at)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hungry = 0
	if p.bad != nil && p.bad.first < at.Offset {
		p.bad = nil
	}
	if !p.stopping {
		p.gate()
	}
	return true
}

// fair is how many bytes of the memory one partition may hold for long.
func (c *consumer) fair() int64 { return c.share.Fair(int(c.shared.Load())) }

// backlog is what one goroutine still has to do, in order. Who adds to it never
// waits.
type backlog[T any] struct {
	mu    sync.Mutex
	tasks []T
	more  chan struct{}
}

func newBacklog[T any]() *backlog[T] { return &backlog[T]{more: make(chan struct{}, 1)} }

// push adds a task, at the front if it is to be the next.
func (b *backlog[T]) push(task T, front bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if front {
		b.tasks = append([]T{task}, b.tasks...)
	} else {
		b.tasks = append(b.tasks, task)
	}
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// next waits for a task; ok is false where ctx ends first.
func (b *backlog[T]) next(ctx context.Context) (task T, ok bool) {
	for ctx.Err() == nil {
		b.mu.Lock()
		if len(b.tasks) > 0 {
			task, b.tasks = b.tasks[0], b.tasks[1:]
			b.mu.Unlock()
			return task, true
		}
		b.mu.Unlock()
		select {
		case <-b.more:
		case <-ctx.Done():
		}
	}
	return task, false
}

const (
	// leastFetch is how much one fetch asks for at least where memory is small, and
	// partitionFetch what it asks for of one partition.
	leastFetch, partitionFetch = 1 << 20, 1 << 20
	// fetchShare is which part of the memory one fetch may be: records that are not
	// compressed may be so small that what is made of them is 60 times as large.
	fetchShare = 32
)

// fetching are the options of every client that reads records: what it fetches at
// once, and that the intake takes the memory for it.
func fetching(in *intake, held *memory.Pool, fetchMax int32) []kgo.Opt {
	if size := held.Size(); size > 0 {
		fetchMax = int32(min(int64(fetchMax), max(leastFetch, size/fetchShare)))
	}
	return append(in.options(),
		kgo.FetchMaxBytes(fetchMax),
		kgo.FetchMaxPartitionBytes(min(fetchMax, partitionFetch)),
		kgo.BrokerMaxReadBytes(max(100<<20, min(fetchMax, 1<<29)*2)),
	)
}
