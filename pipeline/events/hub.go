package events

import (
	"sync"
	"sync/atomic"
)

// Hub passes events on to whoever follows them at the moment. It never blocks: who
// is too slow misses some, and is told how many. The zero Hub is ready for use.
type Hub struct {
	mu        sync.RWMutex
	followers map[*Subscription]struct{}
}

// Subscription is one follower of a Hub.
type Subscription struct {
	// Events has what happens from Subscribe on, and is closed by Close.
	Events <-chan Event

	hub     *Hub
	events  chan Event
	dropped atomic.Int64
}

// Subscribe follows events, of which up to size may wait to be read. Close ends it,
// and must be called.
func (h *Hub) Subscribe(size int) *Subscription {
	s := &Subscription{hub: h, events: make(chan Event, size)}
	s.Events = s.events
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.followers == nil {
		h.followers = map[*Subscription]struct{}{}
	}
	h.followers[s] = struct{}{}
	return s
}

// Observe passes e on to all who follow.
func (h *Hub) Observe(e Event) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for s := range h.followers {
		select {
		case s.events <- e:
		default:
			s.dropped.Add(1)
		}
	}
}

// Dropped is how many events were missed so far, because too many waited to be read.
func (s *Subscription) Dropped() int64 { return s.dropped.Load() }

// Close ends the subscription. Calls after the first do nothing.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if _, follows := s.hub.followers[s]; follows {
		delete(s.hub.followers, s)
		close(s.events)
	}
}
