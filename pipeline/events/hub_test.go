package events

import (
	"sync"
	"testing"
)

// A follower who reads nothing costs the others nothing: it misses what does not fit,
// and knows how much.
func TestHubDropsAndCounts(t *testing.T) {
	var hub Hub
	hub.Observe(Event{Offset: -1}) // nobody follows
	slow, quick := hub.Subscribe(2), hub.Subscribe(10)
	defer quick.Close()
	for i := range int64(5) {
		hub.Observe(Event{Offset: i})
	}
	slow.Close()
	slow.Close()
	hub.Observe(Event{Offset: 5})
	if got := offsets(slow.Events); len(got) != 2 || got[0] != 0 || got[1] != 1 || slow.Dropped() != 3 {
		t.Errorf("the slow one has %v and missed %d", got, slow.Dropped())
	}
	quick.Close()
	if got := offsets(quick.Events); len(got) != 6 || got[5] != 5 || quick.Dropped() != 0 {
		t.Errorf("the quick one has %v and missed %d", got, quick.Dropped())
	}
}

// Followers come and go while events happen: each sees a row without gaps but for
// those that it is told of.
func TestHubIsSafeForConcurrentUse(t *testing.T) {
	var hub Hub
	var following, telling sync.WaitGroup
	const events, tellers = 1000, 4
	for range tellers {
		telling.Go(func() {
			for range events {
				hub.Observe(Event{})
			}
		})
	}
	for range 3 {
		following.Go(func() {
			for range 50 {
				s := hub.Subscribe(1)
				s.Close()
				for range s.Events {
				}
			}
		})
	}
	all := hub.Subscribe(events)
	read := make(chan int)
	go func() {
		n := 0
		for range all.Events {
			n++
		}
		read <- n
	}()
	telling.Wait()
	following.Wait()
	all.Close()
	if n := <-read; int64(n)+all.Dropped() > events*tellers {
		t.Errorf("%d read and %d missed of %d", n, all.Dropped(), events*tellers)
	}
}

func offsets(events <-chan Event) []int64 {
	var all []int64
	for e := range events {
		all = append(all, e.Offset)
	}
	return all
}
