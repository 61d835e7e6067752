package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/handlers"
)

// commitTimeout bounds one commit: it blocks while the group joins, and that
// can last.
const commitTimeout = 10 * time.Second

// commitAgain is how long after a refused one the last commit is tried again.
const commitAgain = 100 * time.Millisecond

// errNotOurs refuses a commit of what another member may own by now.
var errNotOurs = errors.New("a partition is no longer assigned to this member")

// commitLoop commits finished prefixes at most once per interval, until ctx ends.
func (c *consumer) commitLoop(ctx, lasting context.Context) {
	ticker := time.NewTicker(c.source.CommitInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.commit(lasting, c.assigned())
		}
	}
}

// commit commits how far parts are and waits for the answer.
func (c *consumer) commit(ctx context.Context, parts []*partition) {
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for _, p := range parts {
		at, ok := p.progress()
		if !ok {
			continue
		}
		if offsets[p.topic] == nil {
			offsets[p.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[p.topic][p.number] = at
	}
	if len(offsets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, c.guard)
	c.client.CommitOffsetsSync(ctx, offsets,
		func(_ *kgo.Client, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			c.committed(req, resp, err)
		})
}

// guard looks at a commit the moment before it is sent. The broker checks the
// member and its generation, never who owns a partition, and the client stamps
// whatever generation is current then: a commit that was prepared before this
// member was thrown out would pass, and move the new owner's offset back.
func (c *consumer) guard(req *kmsg.OffsetCommitRequest) error {
	epoch := ""
	if c.deps.Epoch != nil {
		epoch = c.deps.Epoch()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			asked := &t.Partitions[j]
			p := c.parts[topicPartition{t.Topic, asked.Partition}]
			if p == nil || p.member != req.MemberID {
				return errNotOurs
			}
			// The offset may have moved since, and an older one must never
			// overtake a newer.
			at, _ := p.progress()
			n := note{topicID: p.topicID, epoch: epoch}
			if c.source.Note != nil {
				n.text = c.source.Note(p.topic, p.number, at.Offset)
			}
			text := n.String()
			asked.Offset, asked.LeaderEpoch, asked.Metadata = at.Offset, at.Epoch, &text
		}
	}
	return nil
}

// committed looks at every partition in the answer.
func (c *consumer) committed(req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
	if err != nil {
		if !errors.Is(err, errNotOurs) && !errors.Is(err, context.Canceled) {
			c.once(c.logger, "offsets could not be committed and will be again", err)
		}
		return
	}
	names := map[[16]byte]string{}
	sent := map[topicPartition]int64{}
	for _, t := range req.Topics {
		names[t.TopicID] = t.Topic
		for _, p := range t.Partitions {
			sent[topicPartition{t.Topic, p.Partition}] = p.Offset
		}
	}
	for _, t := range resp.Topics {
		topic := t.Topic
		if topic == "" {
			topic = names[t.TopicID]
		}
		for _, answer := range t.Partitions {
			p := c.partition(topic, answer.Partition)
			if p == nil {
				continue
			}
			if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
				c.once(logged(c.logger, topic, answer.Partition), "an offset could not be committed",
					fmt.Errorf("commit: %w", err))
				continue
			}
			p.mu.Lock()
			p.committed, p.unpinned = sent[topicPartition{topic, answer.Partition}], false
			p.mu.Unlock()
		}
	}
}

// slot is one record as it was delivered, and whether it is finished. Only done,
// kept and aside change after delivery, so that finishing a record takes no lock.
type slot struct {
	record handlers.Record
	epoch  int32
	size   int32
	done   atomic.Bool
	// kept is set where something would be repeated if the record came again: it
	// is finished, or a part of it is.
	kept atomic.Bool
	// aside is set where nothing in order behind the record waits for it any more.
	aside atomic.Bool
	// gap is set where the slot stands for records that can't be read.
	gap *gap
}

// gap is a stored batch that is passed over.
type gap struct {
	// next is the offset after it.
	next int64
	err  error
}

// next is the offset after the slot's record.
func (s *slot) next() int64 {
	if s.gap != nil {
		return s.gap.next
	}
	return s.record.Offset + 1
}

// tracker knows how far the finished prefix of one assigned partition reaches.
// The prefix runs over delivered records: offsets that compaction, aborted
// transactions and control records leave out are no gaps. A tracker lives as
// long as one assignment and is never used again. Its methods need a lock
// around them; slots may be marked done without.
type tracker struct {
	// slabs hold the unfinished span, oldest first, one slab a fetch; held is the
	// memory that each keeps.
	slabs [][]slot
	held  []int64
	// head is where the span begins in the first slab.
	head int
	// pending and bytes measure the span, finished records behind an
	// unfinished one included.
	pending int
	bytes   int64
	// next is the offset to commit, epoch the leader epoch before it.
	next  int64
	epoch int32
}

func newTracker(next int64, epoch int32) tracker { return tracker{next: next, epoch: epoch} }

// add takes records over in the order of their delivery, and returns how much memory
// they keep.
func (t *tracker) add(slots []slot) (held int64) {
	if len(slots) == 0 {
		return 0
	}
	t.slabs = append(t.slabs, slots)
	t.pending += len(slots)
	for i := range slots {
		s := &slots[i]
		t.bytes += int64(s.size)
		held += int64(s.size) + slotCost + int64(len(s.record.Headers))*headerCost/2
	}
	t.held = append(t.held, held)
	return held
}

// drop returns how much memory is kept, and forgets of that.
func (t *tracker) drop() (freed int64) {
	for i := range t.held {
		freed += t.held[i]
		t.held[i] = 0
	}
	return freed
}

// advance moves the prefix over what has been finished meanwhile, and returns how
// much memory that frees.
func (t *tracker) advance() (freed int64) {
	for len(t.slabs) > 0 {
		slab := t.slabs[0]
		for ; t.head < len(slab) && slab[t.head].done.Load(); t.head++ {
			s := &slab[t.head]
			t.pending--
			t.bytes -= int64(s.size)
			t.next, t.epoch = s.next(), s.epoch
		}
		if t.head < len(slab) {
			return freed
		}
		freed += t.held[0]
		t.slabs[0] = nil
		t.slabs, t.held, t.head = t.slabs[1:], t.held[1:], 0
	}
	return freed
}

// front is the record at which the prefix stands, nil where all are finished.
func (t *tracker) front() *slot {
	if len(t.slabs) == 0 {
		return nil
	}
	return &t.slabs[0][t.head]
}

// reach is the offset after the foremost record that must not come again, or where
// the prefix ends.
func (t *tracker) reach() int64 {
	for _, slab := range slices.Backward(t.slabs) {
		for i := len(slab) - 1; i >= 0; i-- {
			if slab[i].kept.Load() {
				return max(t.next, slab[i].next())
			}
		}
	}
	return t.next
}
