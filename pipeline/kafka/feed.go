package kafka

import (
	"context"
	"fmt"
	"time"
)

// starve pauses a partition until there is memory for its next batch.
func (c *consumer) starve(p *partition, none *errNoMemory) {
	p.failed(fmt.Errorf("%w; %d of %d bytes are held by records that are not finished", none, c.deps.Held.Used(), c.deps.Held.Size()))
	p.mu.Lock()
	waits := p.hungry > 0 || p.stopping
	again := p.fed != nil
	p.hungry = max(p.hungry, none.need)
	if !p.stopping {
		p.gate()
	}
	p.mu.Unlock()
	if !waits {
		c.starved.push(p, again)
	}
}

// feedPatience is for how long memory is kept for a partition that fetches.
const feedPatience = 5 * time.Second

// feeders is how many partitions may be given memory at once.
const feeders = 4

// feedLoop gives memory to one starved partition after the other, so that the large
// batch of one gets in though others take what is free.
func (c *consumer) feedLoop(ctx context.Context) {
	for {
		p, ok := c.starved.next(ctx)
		if !ok {
			return
		}
		c.feed(ctx, p)
	}
}

func (c *consumer) feed(ctx context.Context, p *partition) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := context.AfterFunc(p.ctx, cancel)
	defer left()
	p.mu.Lock()
	need := p.hungry
	p.mu.Unlock()
	if c.share.Wait(ctx, need) != nil {
		return
	}
	defer c.intake.lend(need)()
	fed := make(chan struct{})
	p.mu.Lock()
	p.hungry, p.fed = 0, fed
	if !p.stopping {
		p.gate()
	}
	p.mu.Unlock()
	patience := time.NewTimer(feedPatience)
	defer patience.Stop()
	select {
	case <-fed:
	case <-patience.C:
	case <-ctx.Done():
	}
	p.answered()
}

// answered tells who feeds the partition that its fetch has come.
func (p *partition) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fed != nil {
		close(p.fed)
		p.fed = nil
	}
}

// fair is how many bytes of the memory one partition may hold for long.
func (c *consumer) fair() int64 { return c.share.Fair(int(c.shared.Load())) }
