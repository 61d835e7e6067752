package main

import (
	"sync"
	"time"
)

// prefix marks a partition's records up to the first that is not finished.
type prefix[R any] struct {
	mark func(R)

	mu    sync.Mutex
	queue []*slot[R]
}

// slot is a record that was read.
type slot[R any] struct {
	of   *prefix[R]
	read R
	done bool
}

// add takes up the next record of the partition.
func (p *prefix[R]) add(r R) *slot[R] {
	s := &slot[R]{of: p, read: r}
	p.mu.Lock()
	p.queue = append(p.queue, s)
	p.mu.Unlock()
	return s
}

// finish is called once for each record, in any order.
func (s *slot[R]) finish() {
	p := s.of
	p.mu.Lock()
	defer p.mu.Unlock()
	s.done = true
	n := 0
	for n < len(p.queue) && p.queue[n].done {
		n++
	}
	if n > 0 {
		p.mark(p.queue[n-1].read)
		clear(p.queue[:n])
		p.queue = p.queue[n:]
	}
}

// drain waits until all is finished, or for that long.
func (p *prefix[R]) drain(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		left := len(p.queue)
		p.mu.Unlock()
		if left == 0 {
			return
		}
	}
}
