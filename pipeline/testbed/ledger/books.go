//go:build unix

package ledger

import (
	"fmt"
	"sync"
	"time"
)

// effect is one effect of one record at one sink.
type effect struct {
	id, key string
	seq     int
	place   string // receiver, topic or file: within it there is an order
	// at is when the effect was noted; done is when the sink knew of it at the
	// latest, if it ever did: lost tells that no answer was given.
	at, done time.Time
	lost     bool
}

// letter is a dead letter.
type letter struct {
	id     string
	reason string
	at     time.Time
	text   string
}

// place is where a record of the source lies.
type place struct {
	partition int32
	offset    int64
	sent      time.Time
}

// String is the place as people read it.
func (p place) String() string {
	return fmt.Sprintf("%d/%d sent %s", p.partition, p.offset, clock(p.sent))
}

// committed is how far each group had committed at some time: pipeline, partition,
// offset.
type committed map[string]map[int32]int64

// stop is the end of a process.
type stop struct {
	at        time.Time
	killed    bool
	committed committed
}

// sample is a look at what the groups have committed, taken at a time.
type sample struct {
	at        time.Time
	committed committed
}

// books hold what happened.
type books struct {
	mu       sync.Mutex
	records  map[string]record  // by id
	places   map[string][]place // by id
	log      map[int32][]string // ids of a partition, by offset
	effects  map[string][]effect
	letters  map[string][]letter // by pipeline
	doubts   map[string]map[string]bool
	stops    []stop
	samples  []sample
	away     []window // of the key store
	wrong    []string
	kinds    map[string]int // of what is wrong
	happened map[Fault]int
	// closings counts how often a receiver began to refuse connections, by its name, and
	// processes how many may call it at the same time.
	closings  map[string]int
	processes int
	// forgets tells that claims end with their process where on_uncertain is retry: the
	// embedded store writes down those alone that are to be parked.
	forgets bool
}

func newBooks() *books {
	return &books{
		records: map[string]record{}, places: map[string][]place{}, log: map[int32][]string{},
		effects: map[string][]effect{}, letters: map[string][]letter{}, doubts: map[string]map[string]bool{},
		happened: map[Fault]int{}, kinds: map[string]int{}, closings: map[string]int{},
	}
}

// sent notes a record that the broker has acknowledged.
func (b *books) sent(rec record, at place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records[rec.ID] = rec
	b.places[rec.ID] = append(b.places[rec.ID], at)
	b.log[at.partition] = append(b.log[at.partition], rec.ID)
}

func (b *books) effect(sink string, e effect) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.effects[sink] = append(b.effects[sink], e)
}

func (b *books) letter(pipeline string, l letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters[pipeline] = append(b.letters[pipeline], l)
}

// closing notes that a receiver begins to refuse connections.
func (b *books) closing(sink string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closings[sink]++
}

// doubt notes that a caller can't know whether its call took effect.
func (b *books) doubt(sink, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doubts[sink] == nil {
		b.doubts[sink] = map[string]bool{}
	}
	b.doubts[sink][id] = true
}

func (b *books) stop(s stop) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stops = append(b.stops, s)
}

func (b *books) sample(s sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.samples = append(b.samples, s)
}

func (b *books) storeAway(w window) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = append(b.away, w)
}

func (b *books) happens(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.happened[f]++
}

// fail notes what a process must not do.
func (b *books) fail(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complain("process", format, args...)
}
