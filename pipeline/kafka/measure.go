package kafka

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// measureInterval is how often the broker is asked how far its logs reach.
const measureInterval = 3 * time.Second

// staleAfter is how long what the broker told of a log's end is taken for true.
const staleAfter = 3*measureInterval + time.Second

// Lag is a number of offsets that are not committed yet. In JSON an unknown one is
// null.
type Lag int64

// LagUnknown is the lag that nobody can tell, which is not none.
const LagUnknown Lag = -1

// String is the number, or that it is not known.
func (l Lag) String() string {
	if l == LagUnknown {
		return "unknown"
	}
	return strconv.FormatInt(int64(l), 10)
}

// MarshalJSON writes an unknown lag as null.
func (l Lag) MarshalJSON() ([]byte, error) {
	if l == LagUnknown {
		return []byte("null"), nil
	}
	return []byte(l.String()), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Lag) UnmarshalJSON(text []byte) error {
	if *l = LagUnknown; string(text) == "null" {
		return nil
	}
	return json.Unmarshal(text, (*int64)(l))
}

// lagBehind is how far a commit is from a log's end.
func lagBehind(end, committed int64) Lag { return Lag(max(0, end-max(committed, 0))) }

// SumLag is the lag of several partitions, unknown where that of one is.
func SumLag(parts []PartitionStatus) Lag {
	var all Lag
	for _, p := range parts {
		if p.Lag == LagUnknown {
			return LagUnknown
		}
		all += p.Lag
	}
	return all
}

// Measured is how far the log and the group's commits are now of partitions that
// nobody here reads any more. Where the brokers do not tell, the lag is unknown.
func (a *Admin) Measured(ctx context.Context, group string, parts []PartitionStatus) []PartitionStatus {
	parts = slices.Clone(parts)
	var topics []string
	for i := range parts {
		topics = append(topics, parts[i].Topic)
	}
	slices.Sort(topics)
	ends, err := a.admin.ListCommittedOffsets(ctx, slices.Compact(topics)...)
	if err != nil {
		ends = nil
	}
	committed, err := fetchOffsets(ctx, a.admin, group)
	if err != nil {
		ends = nil
	}
	for i := range parts {
		p := &parts[i]
		p.Lag = LagUnknown
		if at, ok := committed.Lookup(p.Topic, p.Partition); ok && at.Err == nil {
			p.Committed = at.At
		}
		if end, ok := ends.Lookup(p.Topic, p.Partition); ok && end.Err == nil {
			p.End, p.Lag = end.Offset, lagBehind(end.Offset, p.Committed)
		}
	}
	return parts
}

// measureLoop keeps the partitions' ends fresh, whether records come or not.
func (c *consumer) measureLoop(ctx context.Context) {
	for rest(ctx, measureInterval) == nil {
		c.measure(ctx)
		c.intake.sweep()
		c.judgeFaults()
	}
}

// measure asks the broker once how far the logs of the assigned partitions
// reach. What does not answer stays as it was.
func (c *consumer) measure(ctx context.Context) {
	seen := map[string]bool{}
	var topics []string
	parts := c.assigned()
	for _, p := range parts {
		if !seen[p.topic] {
			seen[p.topic] = true
			topics = append(topics, p.topic)
		}
	}
	if len(topics) == 0 {
		return
	}
	ends, err := kadm.NewClient(c.client).ListCommittedOffsets(ctx, topics...)
	if err != nil && len(ends) == 0 {
		return
	}
	for _, p := range parts {
		if end, ok := ends.Lookup(p.topic, p.number); ok && end.Err == nil {
			p.mu.Lock()
			p.end, p.told = end.Offset, time.Now()
			p.mu.Unlock()
		}
	}
}

// Measure asks the broker how far the logs reach, so that Status, which is
// otherwise up to a few seconds old, tells the lag of this moment. It returns
// when ctx ends at the latest; what has not answered then stays as it was.
func (s *Subscriber) Measure(ctx context.Context) {
	s.mu.Lock()
	consumers := slices.Clone(s.consumers)
	s.mu.Unlock()
	var asked sync.WaitGroup
	for _, c := range consumers {
		asked.Go(func() { c.measure(ctx) })
	}
	asked.Wait()
}

// progress is what may be committed now; ok is false where that is committed
// already.
func (p *partition) progress() (at kgo.EpochOffset, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.placed {
		return at, false
	}
	p.advance()
	at = kgo.EpochOffset{Epoch: p.tracker.epoch, Offset: p.tracker.next}
	return at, p.unpinned || at.Offset != p.committed
}

// uncommitted is how many records were finished, must not come again and are not
// committed.
func (p *partition) uncommitted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.placed || p.tracker.next < 0 {
		return 0
	}
	p.advance()
	return p.tracker.beyond() + int(p.tracker.next-max(p.committed, p.began))
}

// status is how far the partition is.
func (p *partition) status() PartitionStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PartitionStatus{
		Topic: p.topic, Partition: p.number, Committed: p.committed, End: p.end,
		Pending: p.tracker.unfinished(), Alarm: p.alarm.Message, Lag: LagUnknown,
	}
	if time.Since(p.told) < staleAfter {
		s.Lag = lagBehind(p.end, p.committed)
	}
	return s
}

// unfinished counts the records that are delivered and not finished.
func (t *tracker) unfinished() int { return t.count(func(s *slot) bool { return !s.done.Load() }) }

// beyond counts the records behind the prefix that are finished and must not come
// again.
func (t *tracker) beyond() int {
	return t.count(func(s *slot) bool { return s.done.Load() && s.kept.Load() })
}

func (t *tracker) count(which func(*slot) bool) int {
	n := 0
	for i, slab := range t.slabs {
		if i == 0 {
			slab = slab[t.head:]
		}
		for j := range slab {
			if which(&slab[j]) {
				n++
			}
		}
	}
	return n
}
