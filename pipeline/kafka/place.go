package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// placeTries is how often the log's ends are asked for, a second apart, before
// partitions that do not answer begin unchecked, so that one partition without
// a leader does not hold the others.
const placeTries = 4

// logView is what the cluster says of one topic.
type logView struct {
	id           [16]byte
	starts, ends map[int32]int64
}

// onPlace decides where each assigned partition begins. It runs after
// onAssigned and onFetched and before anything is fetched; ctx ends when the
// group session does.
func (c *consumer) onPlace(ctx context.Context,
	offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	views, err := c.look(ctx, offsets)
	if err != nil {
		return nil, err
	}
	notes := c.notes(views)
	for topic, partitions := range offsets {
		for number, offset := range partitions {
			p := c.partition(topic, number)
			if p == nil {
				continue
			}
			key := topicPartition{topic, number}
			committed := offset.EpochOffset()
			n, noted := notes[key]
			if noted {
				c.tellEpoch(key, n.epoch)
			}
			d := decidePlace(key, committed, n, noted, views[topic], c.starts[key], c.source.ResetOutOfRange)
			d.alarm = c.source.startAlarm(d.alarm, committed.Offset, views[topic].ends[number])
			d.alarm.Message += c.mend(d.alarm)
			partitions[number] = c.place(p, d, views[topic])
		}
	}
	return offsets, nil
}

// placement is where a partition begins, and what is wrong with that.
type placement struct {
	at kgo.EpochOffset
	// known is false where neither a commit nor the log's ends are known: the
	// client looks for the first record by itself.
	known bool
	// pinned tells that the group has exactly this commit.
	pinned bool
	alarm  Alarm
	// passing tells that the alarm is over at once: it is told, and reading
	// goes on.
	passing bool
}

// decidePlace is the rule: a commit is resumed if it belongs to this
// incarnation of the topic and the log still has it. Without a commit the start
// that was resolved before joining holds, and for what appeared later the
// earliest record.
func decidePlace(key topicPartition, committed kgo.EpochOffset, n note, noted bool, v logView, start startOffset,
	reset bool) placement {
	first, haveFirst := v.starts[key.partition]
	end, haveEnd := v.ends[key.partition]
	earliest := placement{at: kgo.EpochOffset{Epoch: -1, Offset: first}, known: haveFirst}
	if committed.Offset < 0 {
		if start.set && !(note{topicID: start.topicID}).otherTopic(v.id) {
			return placement{at: kgo.EpochOffset{Epoch: -1, Offset: start.offset}, known: true}
		}
		return earliest
	}
	if noted && n.otherTopic(v.id) {
		earliest.passing = true
		earliest.alarm = Alarm{Topic: key.topic, Partition: key.partition, Kind: "topic_recreated",
			Message: fmt.Sprintf(
				"the topic was deleted and made again since offset %d was committed: "+
					"reading begins at its earliest record",
				committed.Offset)}
		return earliest
	}
	resumed := placement{at: committed, known: true, pinned: true}
	if start.floating && haveFirst && committed.Offset == start.offset && committed.Offset < first {
		// Retention was faster than this member, and nothing was read yet.
		return earliest
	}
	switch {
	case haveFirst && committed.Offset < first:
		resumed.alarm = Alarm{Topic: key.topic, Partition: key.partition, Kind: "out_of_range",
			Message: lostMessage(committed.Offset, first)}
	case haveEnd && committed.Offset > end:
		resumed.alarm = Alarm{Topic: key.topic, Partition: key.partition, Kind: "data_loss",
			Message: truncatedMessage(committed.Offset, end)}
	default:
		return resumed
	}
	if reset && haveFirst {
		earliest.alarm, earliest.passing = resumed.alarm, true
		return earliest
	}
	resumed.at.Epoch = -1
	return resumed
}

// mend says what a person must do about an alarm that does not pass by itself.
// Kafka lets nobody move the offsets of a group that has members.
func (c *consumer) mend(a Alarm) string {
	if a.Kind != "out_of_range" && a.Kind != "data_loss" || c.source.ResetOutOfRange {
		return ""
	}
	return fmt.Sprintf("; to go on at its earliest record, start with on_out_of_range: earliest, or stop every "+
		"process of the group %s, run `millrace seek PIPELINE --at %s/%d/earliest`, and start again",
		c.source.Group, a.Topic, a.Partition)
}

func lostMessage(from, first int64) string {
	return fmt.Sprintf("offsets %d to %d are no longer in the log, which begins at %d",
		from, first-1, first)
}

func truncatedMessage(committed, end int64) string {
	return fmt.Sprintf("the log ends at %d, before the committed offset %d: offsets %d to %d were lost and may be "+
		"written anew",
		end, committed, end, committed-1)
}

// place makes the decision the partition's, and tells the client of it.
func (c *consumer) place(p *partition, d placement, v logView) kgo.Offset {
	p.mu.Lock()
	p.topicID = v.id
	p.tracker, p.began = newTracker(d.at.Offset, d.at.Epoch), d.at.Offset
	p.unpinned = d.known && !d.pinned
	if d.pinned {
		p.committed = d.at.Offset
	}
	if p.source.Until != nil {
		p.over = d.at.Offset >= p.source.Until[p.topic][p.number]
	}
	if end, ok := v.ends[p.number]; ok {
		p.end, p.told = end, time.Now()
	}
	if !d.passing {
		p.alarm = d.alarm
	}
	// Without any position there is nothing to commit before the first record.
	if !d.known {
		p.tracker.next, p.committed = -1, -1
	}
	p.placed = true
	if !p.stopping {
		p.gate()
	}
	p.mu.Unlock()
	if d.alarm.Kind != "" {
		c.raise(d.alarm)
		if d.passing {
			d.alarm.Cleared = true
			c.tell(d.alarm)
		}
	}
	if !d.known {
		return kgo.NewOffset().AtStart()
	}
	return kgo.NewOffset().At(d.at.Offset).WithEpoch(d.at.Epoch)
}

// look asks the cluster for ids and ends of the topics, patiently: an error
// returned to the client would end the whole session.
func (c *consumer) look(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]logView, error) {
	topics := make([]string, 0, len(offsets))
	for topic := range offsets {
		topics = append(topics, topic)
	}
	if len(topics) == 0 {
		return nil, nil
	}
	for try := 1; ; try++ {
		views, err := lookAt(ctx, c.client, topics)
		missing := false
		for topic, partitions := range offsets {
			for number := range partitions {
				_, ok := views[topic].ends[number]
				missing = missing || !ok
			}
		}
		if err == nil && (!missing || try >= placeTries) {
			return views, nil
		}
		if err != nil {
			c.once(c.logger, "the ends of the logs cannot be asked for yet", err)
		}
		if err := rest(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// lookAt asks once. Partitions that have no answer are missing in the views.
func lookAt(ctx context.Context, client *kgo.Client, topics []string) (map[string]logView, error) {
	ids, err := topicIDs(ctx, client, topics)
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("list start offsets: %w", err)
	}
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	views := map[string]logView{}
	for _, topic := range topics {
		views[topic] = logView{id: ids[topic], starts: known(starts[topic]), ends: known(ends[topic])}
	}
	return views, nil
}

func known(listed map[int32]kadm.ListedOffset) map[int32]int64 {
	offsets := map[int32]int64{}
	for number, o := range listed {
		if o.Err == nil && o.Offset >= 0 {
			offsets[number] = o.Offset
		}
	}
	return offsets
}

// topicIDs asks the cluster itself: what the client keeps may be of the topic's
// last incarnation.
func topicIDs(ctx context.Context, client *kgo.Client, topics []string) (map[string][16]byte, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("ask for topic ids: %w", err)
	}
	ids := map[string][16]byte{}
	for _, t := range resp.Topics {
		if t.Topic != nil && t.ErrorCode == 0 {
			ids[*t.Topic] = t.TopicID
		}
	}
	return ids, nil
}

// notes reads what stands beside the commits that onFetched kept.
func (c *consumer) notes(views map[string]logView) map[topicPartition]note {
	names := map[[16]byte]string{}
	for topic, v := range views {
		names[v.id] = topic
	}
	c.mu.Lock()
	resp := c.fetched
	c.fetched = nil
	c.mu.Unlock()
	notes := map[topicPartition]note{}
	if resp == nil {
		return notes
	}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			topic := t.Topic
			if topic == "" {
				topic = names[t.TopicID]
			}
			for _, p := range t.Partitions {
				if p.Metadata == nil {
					continue
				}
				if n, ok := parseNote(*p.Metadata); ok {
					notes[topicPartition{topic, p.Partition}] = n
				}
			}
		}
	}
	return notes
}

func (c *consumer) tellEpoch(key topicPartition, committed string) {
	if c.deps.Epoch == nil || c.deps.OnEpoch == nil || committed == "" {
		return
	}
	if current := c.deps.Epoch(); current != committed {
		c.deps.OnEpoch(key.topic, key.partition, committed, current)
	}
}

// rest waits, or returns the context's error.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
