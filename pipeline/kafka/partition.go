package kafka

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/pipeline/memory"
)

// partition is one partition for as long as one assignment lasts. Fetched
// records enter by deliver and leave through the lanes; the tracker says what
// may be committed.
type partition struct {
	topic  string
	number int32
	// member is the group member id that the partition was assigned to; a
	// commit under another one would be another member's.
	member string
	source Source
	out    chan<- *message.Message
	fetch  fetcher
	seed   maphash.Seed
	// share is where the memory of what is delivered is taken from, fair how many
	// bytes of it a partition may hold for long; nil for any.
	share *memory.Share
	fair  func() int64

	// ctx is what messages derive from; it ends when the partition is being
	// given up. gone is closed when in-flight batches are waited for no longer,
	// given once the partition has been given up.
	ctx    context.Context
	cancel context.CancelCauseFunc
	gone   chan struct{}
	given  chan struct{}
	work   sync.WaitGroup

	// front is the record at which the prefix stands, nil where all are finished;
	// ending is stopping. Who finishes a record reads them without the lock.
	front  atomic.Pointer[slot]
	ending atomic.Bool

	mu      sync.Mutex
	topicID [16]byte
	tracker tracker
	lanes   []*lane
	// placed tells that the position is known; before it nothing is delivered.
	placed bool
	// stopping tells that no more records are taken, cutOff that no more are
	// handed out. Between the two the lanes catch up with reach, the offset after
	// the foremost record that is finished; by is when all effects must have ended.
	stopping, cutOff bool
	reach            int64
	by               time.Time
	// lines are the records that stand in line, in order, by their place; inLine is how
	// many they are.
	lines  map[string][]*slot
	inLine atomic.Int64
	// stuck are records that will not be finished: nothing behind the first one is
	// caught up with.
	stuck []*slot
	// full, held, over, hungry, examined and alarm.Kind are the reasons why nothing is
	// fetched: the unfinished span is at its bound, somebody paused the source, the
	// source's end is reached, there is no memory for the next batch, that is looked at,
	// a person has to act.
	full, held, over, examined bool
	hungry                     int64
	alarm                      Alarm
	paused                     bool
	// bad is what can't be read, ahead of what was delivered.
	bad       *unread
	fault     fault
	committed int64
	end       int64
	// told is when the broker last told end.
	told time.Time
	// began is where the assignment began to read, moved where the client was told to
	// go on since.
	began, moved int64
	// unpinned tells that the position is not yet in the group's commits.
	unpinned bool
}

// fetcher starts and stops the fetching of partitions.
type fetcher interface {
	pause(key topicPartition, paused bool)
}

func newPartition(ctx context.Context, topic string, number int32, source Source) *partition {
	p := &partition{
		topic: topic, number: number, source: source,
		gone: make(chan struct{}), given: make(chan struct{}),
		committed: -1, end: -1,
	}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	p.lanes = newLanes(source)
	return p
}

// deliver takes one fetch's records over. It never blocks: past the bounds the
// partition pauses, and what was fetched already is kept. Where it reaches what can't
// be read, which short tells or the offsets do, it hands out a record in place of
// that and returns it: reading goes on behind it.
func (p *partition) deliver(records []*kgo.Record, short bool) (reached *unread) {
	slots := slotsOf(records, p.source.MaxRecordBytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.examined || p.hungry > 0 {
		return nil // it comes again
	}
	if len(slots) > 0 {
		p.fault = fault{told: p.fault.told}
	}
	if end := p.beforeBad(slots, short); end >= 0 {
		reached, p.bad = p.bad, nil
		p.enter(slots[:end:end])
		slots = []slot{reached.slot(p.topic, p.number)}
		p.examined = true
	}
	p.enter(slots)
	return reached
}

// accept takes over what was read of the partition beside the client.
func (p *partition) accept(slots []slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault{told: p.fault.told}
	p.enter(slots)
}

// enter queues slots on the lanes. The caller holds mu.
func (p *partition) enter(slots []slot) {
	if p.stopping || !p.placed || p.alarm.Kind != "" {
		return
	}
	slots = p.within(slots)
	p.share.Note(p.tracker.add(slots))
	p.spread(slots)
	p.start()
	p.advance()
	p.gate()
}

// finish marks a record as finished. It takes the lock only where that moves the
// prefix, and while the partition is being given up.
func (p *partition) finish(s *slot) {
	s.done.Store(true)
	if p.front.Load() != s && !p.ending.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	if p.stopping {
		p.review()
	} else {
		p.gate()
	}
}

// keep marks a record as one that must not come again.
func (p *partition) keep(s *slot) {
	s.kept.Store(true)
	if !p.ending.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reach = max(p.reach, s.next())
	p.review()
}

// advance moves the prefix. A record that is finished while front is set to it
// may not have been seen by either side, so front is looked at once more.
func (p *partition) advance() {
	for {
		p.share.Give(p.tracker.advance())
		front := p.tracker.front()
		p.front.Store(front)
		if front == nil || !front.done.Load() {
			return
		}
	}
}

// gate pauses or resumes fetching as the reasons for it come and go. The span
// resumes below half its bound, so that it does not flutter.
func (p *partition) gate() {
	count, bytes := p.source.MaxPending, p.source.MaxPendingBytes
	if p.fair != nil {
		bytes = min(bytes, p.fair())
	}
	switch {
	case p.tracker.pending >= count || p.tracker.bytes >= bytes:
		p.full = true
	case p.tracker.pending < (count+1)/2 && p.tracker.bytes < (bytes+1)/2:
		p.full = false
	}
	want := p.full || p.held || p.over || p.examined || p.hungry > 0 || p.alarm.Kind != ""
	if want == p.paused {
		return
	}
	p.paused = want
	p.fetch.pause(topicPartition{p.topic, p.number}, want)
}

// goal is how far the lanes of a partition that is being given up deliver.
func (p *partition) goal() int64 {
	for len(p.stuck) > 0 && p.stuck[0].done.Load() {
		p.stuck = p.stuck[1:] // a person let it go
	}
	if len(p.stuck) == 0 {
		return p.reach
	}
	return min(p.reach, p.stuck[0].record.Offset)
}

// redeliverAfter is how long a lane rests when a batch came back unfinished.
const redeliverAfter = 50 * time.Millisecond
