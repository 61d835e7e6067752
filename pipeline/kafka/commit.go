package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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
	c.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		c.committed(req, resp, err)
	})
}

// commitLast commits how far parts came before they are given up, until every one
// of them is committed, trying again can't help, or ctx ends: a group that is just
// sharing its partitions out anew refuses commits for a moment.
func (c *consumer) commitLast(ctx context.Context, parts []*partition) {
	for {
		c.commit(ctx, parts)
		member, _ := c.client.GroupMetadata()
		parts = slices.DeleteFunc(slices.Clone(parts), func(p *partition) bool {
			_, left := p.progress()
			return !left || p.member != member
		})
		if len(parts) == 0 || rest(ctx, commitAgain) != nil {
			return
		}
	}
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
			text := note{topicID: p.topicID, epoch: epoch}.String()
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
				c.once(logged(c.logger, topic, answer.Partition), "an offset could not be committed", fmt.Errorf("commit: %w", err))
				continue
			}
			p.mu.Lock()
			p.committed, p.unpinned = sent[topicPartition{topic, answer.Partition}], false
			p.mu.Unlock()
		}
	}
}
