package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fetchFailed judges an error that a fetch ended with. It runs in the poll loop
// and must not wait.
func (c *consumer) fetchFailed(p *partition, topic string, err error) {
	switch {
	case errors.Is(err, kerr.UnknownTopicID):
		c.renew(topic)
		return
	case topic == "" && errors.Is(err, kerr.FencedInstanceID):
		// Joining again would take the partitions back, and so on for ever.
		c.fail(fmt.Errorf("another process has joined the group %q as instance %s, and this one has stopped reading: "+
			"give each process a source.instance of its own", c.source.Group, c.source.Instance))
		return
	case topic == "":
		c.once(c.logger, "the group session failed and is tried again", c.cluster.explain(err))
		return
	case p == nil:
		return
	}
	var alarm Alarm
	if loss, ok := errors.AsType[*kgo.ErrDataLoss](err); ok {
		alarm = Alarm{Kind: "data_loss", Message: truncatedMessage(loss.ConsumedTo, loss.ResetTo)}
	} else if none, ok := errors.AsType[*errNoMemory](err); ok {
		c.starve(p, none)
		return
	} else if errors.Is(err, kerr.OffsetOutOfRange) {
		at, _ := p.progress()
		alarm = Alarm{Kind: "out_of_range", Message: fmt.Sprintf(
			"the log no longer has the offset that comes after what was read; committed is %d", at.Offset)}
	} else {
		p.failed(err)
		if !errors.As(err, new(*kerr.Error)) {
			c.suspect(p) // something that is stored there can't be read
			return
		}
		c.once(logged(c.logger, p.topic, p.number), "records could not be fetched and will be again", err)
		return
	}
	alarm.Topic, alarm.Partition = p.topic, p.number
	c.halt(p, alarm)
}

// fail ends the subscription for a reason that trying again can't mend.
func (c *consumer) fail(err error) {
	if c.deps.OnEnd != nil {
		c.deps.OnEnd(err)
	} else {
		c.logger.Error("the source is read no longer", "err", err)
	}
	c.stop()
}

// halt makes a partition stand still, at once, and finds out in the background
// what exactly the log has lost.
func (c *consumer) halt(p *partition, alarm Alarm) {
	p.mu.Lock()
	first := p.alarm.Kind == "" && !p.stopping
	if first {
		p.alarm = alarm
		p.gate()
	}
	p.mu.Unlock()
	if !first {
		return
	}
	c.side.Go(func() { c.judge(p, alarm) })
}

// judge raises the alarm with the range that is lost, or where the source says
// so goes on at the earliest record.
func (c *consumer) judge(p *partition, alarm Alarm) {
	ctx, cancel := c.ask()
	defer cancel()
	views, err := lookAt(ctx, c.client, []string{p.topic})
	v := views[p.topic]
	first, ok := v.starts[p.number]
	if err == nil && ok && alarm.Kind == "out_of_range" {
		if last := p.lastDelivered(); last < first {
			alarm.Message = lostMessage(last, first)
		} else if end, ok := v.ends[p.number]; ok && last > end {
			alarm.Kind, alarm.Message = "data_loss", truncatedMessage(last, end)
		}
	}
	alarm.Message += c.mend(alarm)
	unread := ok && alarm.Kind == "out_of_range" && c.unread(p, first)
	p.mu.Lock()
	stopping := p.stopping
	p.alarm = alarm
	p.mu.Unlock()
	if stopping {
		return
	}
	if !unread {
		c.raise(alarm)
	}
	if !c.source.ResetOutOfRange && !unread || !ok {
		return
	}
	// A leader epoch would make the client look for the loss again.
	if !c.moveTo(p, kgo.EpochOffset{Epoch: -1, Offset: first}) {
		return
	}
	p.mu.Lock()
	p.alarm = Alarm{}
	if !p.stopping {
		p.gate()
	}
	p.mu.Unlock()
	if !unread {
		alarm.Cleared = true
		c.tell(alarm)
	}
}

// unread tells whether a partition lost its range to retention between the
// resolving of its start and the first record: nothing of that was to be read.
func (c *consumer) unread(p *partition, first int64) bool {
	start := c.starts[topicPartition{p.topic, p.number}]
	return start.floating && p.lastDelivered() == start.offset && start.offset < first
}

// moveTo makes the client fetch from another offset, unless the partition is
// being given up: after that the offset would be the next assignment's.
func (c *consumer) moveTo(p *partition, at kgo.EpochOffset) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return false
	}
	c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{p.topic: {p.number: at}})
	p.moved = at.Offset
	return true
}

// position is where the partition goes on: behind the last record that was delivered,
// or where it was moved to since.
func (p *partition) position() int64 {
	p.mu.Lock()
	moved := p.moved
	p.mu.Unlock()
	return max(p.lastDelivered(), moved)
}

// lastDelivered is the offset after the last record that was delivered.
func (p *partition) lastDelivered() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.tracker.slabs); n > 0 {
		slab := p.tracker.slabs[n-1]
		return slab[len(slab)-1].next()
	}
	return p.tracker.next
}

// renew begins a topic anew that was deleted, or made again, while it was read:
// the client never takes up another incarnation by itself. What was read of the
// old one is not committed, its offsets mean nothing now.
func (c *consumer) renew(topic string) {
	c.mu.Lock()
	busy := c.renewing[topic]
	c.renewing[topic] = true
	var parts []*partition
	for key, p := range c.parts {
		if key.topic == topic {
			parts = append(parts, p)
		}
	}
	c.mu.Unlock()
	if busy {
		return
	}
	c.side.Go(func() {
		for _, p := range parts {
			alarm := Alarm{Topic: topic, Partition: p.number, Kind: "topic_recreated",
				Message: "the topic was deleted or made again while it was read: reading begins at its earliest record"}
			c.raise(alarm)
			alarm.Cleared = true
			c.tell(alarm)
		}
		c.giveUp(parts, false)
		c.client.PurgeTopicsFromConsuming(topic)
		if c.source.Pattern == nil {
			c.client.AddConsumeTopics(topic)
		}
		c.mu.Lock()
		delete(c.renewing, topic)
		c.mu.Unlock()
	})
}

// raise logs what a person must see to, and tells of it.
func (c *consumer) raise(a Alarm) {
	logged(c.logger, a.Topic, a.Partition).Error("a partition needs attention", "kind", a.Kind, "reason", a.Message)
	c.tell(a)
}

func (c *consumer) tell(a Alarm) {
	if c.deps.OnAlarm != nil {
		c.deps.OnAlarm(a)
	}
}

// beforeBad is how many slots lie before what can't be read, -1 where it is not
// reached. The caller holds mu.
func (p *partition) beforeBad(slots []slot, short bool) int {
	if p.bad == nil || p.stopping {
		return -1
	}
	for i := range slots {
		if slots[i].record.Offset >= p.bad.first {
			return i
		}
	}
	if short {
		return len(slots)
	}
	return -1
}

// within are the slots before the partition's end; behind that nothing is fetched any
// more. The caller holds mu.
func (p *partition) within(slots []slot) []slot {
	if p.source.Until == nil {
		return slots
	}
	until := p.source.Until[p.topic][p.number]
	n := len(slots)
	for n > 0 && slots[n-1].record.Offset >= until {
		n--
	}
	p.over = p.over || n < len(slots)
	return slots[:n:n]
}
