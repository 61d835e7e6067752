package memory

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// Pool is a number of bytes that several holders share, each of which may hold its
// bytes for as long as its records are unfinished. Half of it is cut into reserves,
// one for each holder, so that one who holds on to its bytes never takes the others'
// last; the rest is for whoever comes. It is safe for concurrent use. A nil Pool is
// without a limit.
type Pool struct {
	size, reserve int64

	mu sync.Mutex
	// used is what is taken, common what of that is beyond the reserves.
	used, common int64
	waiting      []*waiter
	// beside is free while nobody has much memory beside the pool.
	beside chan struct{}
}

// leastReserve is what a holder can always have, however many there are: what one
// fetch brings as a rule.
const leastReserve = 1 << 20

// NewPool makes a pool of size bytes for a number of holders.
func NewPool(size int64, holders int) *Pool {
	return &Pool{size: size, reserve: max(leastReserve, size/2/int64(max(1, holders))), beside: make(chan struct{}, 1)}
}

// Size is how many bytes there are, 0 where there is no limit.
func (p *Pool) Size() int64 {
	if p == nil {
		return 0
	}
	return p.size
}

// Used is how many bytes are taken. It may be more than there are: see Note.
func (p *Pool) Used() int64 {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Share makes one holder. Of a nil Pool it is nil, and without a limit.
func (p *Pool) Share() *Share {
	if p == nil {
		return nil
	}
	return &Share{pool: p}
}

// Share is one holder's part of a Pool. It is safe for concurrent use.
type Share struct {
	pool *Pool
	used int64 // guarded by the pool's mu
}

// waiter is one who found no bytes.
type waiter struct {
	share *Share
	n     int64
	since time.Time
}

// turn is for how long the one who waits longest goes before others, once in turnEvery:
// what it waits for may be held by one who waits for something else, and records under
// way end within milliseconds as a rule.
const turn, turnEvery = 250 * time.Millisecond, time.Second

func (w *waiter) hasTurn() bool { return time.Since(w.since)%turnEvery >= turnEvery-turn }

// Take takes n bytes where there are as many.
func (s *Share) Take(n int64) bool {
	if s == nil || n <= 0 {
		return true
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.take(n, nil)
}

// take takes n bytes for w, nil for one who does not wait. The caller holds mu.
func (s *Share) take(n int64, w *waiter) bool {
	p := s.pool
	beyond := max(0, s.used+n-p.reserve) - max(0, s.used-p.reserve)
	if s.yields(n, beyond, w) {
		return false
	}
	// What is larger than all that is common gets in where nobody has any of it.
	if beyond > 0 && p.common > 0 && p.common+beyond > p.size/2 {
		return false
	}
	s.add(n)
	return true
}

// yields tells whether somebody else goes before w. Nobody keeps a holder from its
// reserve but one of its own who waits, for whom it leaves room in it.
func (s *Share) yields(n, beyond int64, w *waiter) bool {
	waiting := s.pool.waiting
	if beyond > 0 && len(waiting) > 0 && waiting[0] != w && waiting[0].hasTurn() {
		return true
	}
	own := slices.IndexFunc(waiting, func(w *waiter) bool { return w.share == s })
	return own >= 0 && waiting[own] != w && waiting[own].hasTurn() && s.used+n > s.pool.reserve-waiting[own].n
}

// add moves what is taken by n, which may be negative. The caller holds mu.
func (s *Share) add(n int64) {
	p := s.pool
	p.common -= max(0, s.used-p.reserve)
	s.used += n
	p.used += n
	p.common += max(0, s.used-p.reserve)
}

// Note takes n bytes that are there already, however many are taken.
func (s *Share) Note(n int64) {
	if s == nil || n <= 0 {
		return
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.add(n)
}

// Give gives n bytes back.
func (s *Share) Give(n int64) {
	if s == nil || n <= 0 {
		return
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.add(-n)
}

// Wait takes n bytes as soon as there are as many. It returns ctx's error where that
// ends first. Those who wait get their turn one after the other.
func (s *Share) Wait(ctx context.Context, n int64) error {
	if s == nil || n <= 0 {
		return nil
	}
	p := s.pool
	w := &waiter{share: s, n: n, since: time.Now()}
	p.mu.Lock()
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	defer p.leave(w)
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		p.mu.Lock()
		taken := s.take(n, w)
		p.mu.Unlock()
		if taken {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// littleBeside is how much memory beside the pool needs no turn.
const littleBeside = 8<<20 + 1<<18

// Beside waits until n bytes may be used that are not of the pool, which are for what
// its bytes are filled from. Where they are many, only one of all holders has some.
func (s *Share) Beside(ctx context.Context, n int64) (done func(), err error) {
	if s == nil || n <= littleBeside {
		return func() {}, nil
	}
	select {
	case s.pool.beside <- struct{}{}:
		return func() { <-s.pool.beside }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lookAgain is how often one who waits looks for bytes.
const lookAgain = 10 * time.Millisecond

func (p *Pool) leave(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(other *waiter) bool { return other == w })
}

// Large is how much is better taken bit by bit than at once: as much as always comes
// free, though others hold on to what they have.
func (s *Share) Large() int64 {
	if s == nil {
		return math.MaxInt64
	}
	return s.pool.reserve / 2
}

// Fair is how many of the bytes one of n parts of the share may hold for long, so
// that together they leave half of what the share can have.
func (s *Share) Fair(n int) int64 {
	if s == nil {
		return math.MaxInt64
	}
	p := s.pool
	return max(leastReserve, (p.reserve+p.size/2)/2/int64(max(1, n)))
}
