package kafka

import (
	"context"
	"sync"
)

// polls lets a callback of the client wait until the poll loop has dispatched
// what an earlier poll returned. Without that, records of an old assignment
// could be delivered into a new one of the same partition, and the records
// before them would be taken for delivered.
type polls struct {
	mu     *sync.Mutex
	moved  *sync.Cond
	round  uint64
	cancel context.CancelFunc
	ended  bool
}

func newPolls() polls {
	mu := &sync.Mutex{}
	return polls{mu: mu, moved: sync.NewCond(mu)}
}

// begin starts a poll; the one before it has been dispatched.
func (p *polls) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.round++
	p.cancel = cancel
	p.moved.Broadcast()
	return ctx, cancel
}

// end tells that there will be no further poll.
func (p *polls) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.moved.Broadcast()
}

// barrier cuts the current poll short and waits until it has been dispatched.
func (p *polls) barrier() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.round == 0 {
		return
	}
	round := p.round
	p.cancel()
	for p.round == round && !p.ended {
		p.moved.Wait()
	}
}
