package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startOffset is where one partition begins because its topic had no commit.
type startOffset struct {
	set bool
	// floating tells that no offset was named: where retention takes the first
	// record away before it is read, the next one is the start.
	floating bool
	offset   int64
	topicID  [16]byte
}

type startOffsets map[topicPartition]startOffset

// resolveStarts turns `start` into offsets, for the topics that the group has no
// commit of, and commits them before this member joins: resolved later, or
// again after a crash, `latest` would skip what came meanwhile. It tries until
// ctx ends.
func (c *consumer) resolveStarts(ctx context.Context) (startOffsets, error) {
	client, err := kgo.NewClient(c.cluster.kgoOptions(c.logger)...)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	defer client.Close()
	for {
		starts, err := c.resolveOnce(ctx, client)
		if err == nil {
			return starts, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.once(c.logger, "where to start cannot be resolved yet", c.cluster.explain(err))
		if err := rest(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

func (c *consumer) resolveOnce(ctx context.Context, client *kgo.Client) (startOffsets, error) {
	admin := kadm.NewClient(client)
	topics, err := c.matching(ctx, admin)
	if err != nil || len(topics) == 0 {
		return nil, err
	}
	fetched, err := fetchOffsets(ctx, admin, c.source.Group)
	if err != nil {
		return nil, err
	}
	var fresh []string
	for _, topic := range topics {
		if !hasCommit(fetched[topic]) {
			fresh = append(fresh, topic)
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	listed, err := c.listStarts(ctx, admin, fresh)
	if err != nil {
		return nil, err
	}
	ids, err := topicIDs(ctx, client, fresh)
	if err != nil {
		return nil, err
	}
	starts, floating := startOffsets{}, c.source.Start.Kind != StartOffsets
	for _, topic := range fresh {
		for number, o := range listed[topic] {
			if o.Err != nil {
				return nil, fmt.Errorf("list offsets of %s/%d: %w", topic, number, o.Err)
			}
			starts[topicPartition{topic, number}] = startOffset{set: true, floating: floating, offset: o.Offset,
				topicID: ids[topic]}
		}
	}
	c.pin(ctx, admin, starts)
	return starts, nil
}

// fetchOffsets returns a group's commits; a group that does not exist has none.
func fetchOffsets(ctx context.Context, admin *kadm.Client, group string) (kadm.OffsetResponses, error) {
	fetched, err := admin.FetchOffsets(ctx, group)
	if err == nil {
		err = fetched.Error()
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("fetch offsets of group %q: %w", group, err)
	}
	return fetched, nil
}

func hasCommit(partitions map[int32]kadm.OffsetResponse) bool {
	for _, o := range partitions {
		if o.Err == nil && o.At >= 0 {
			return true
		}
	}
	return false
}

// matching lists the source's topics that exist.
func (c *consumer) matching(ctx context.Context, admin *kadm.Client) ([]string, error) {
	details, err := admin.ListTopics(ctx, c.source.Topics...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var topics []string
	for _, t := range details.Sorted() {
		if t.Err == nil && (c.source.Pattern == nil || c.source.Pattern.MatchString(t.Topic)) {
			topics = append(topics, t.Topic)
		}
	}
	return topics, nil
}

func (c *consumer) listStarts(ctx context.Context, admin *kadm.Client, topics []string) (listed kadm.ListedOffsets,
	err error) {
	start := c.source.Start
	switch start.Kind {
	case StartLatest:
		// What a transaction wrote that is still open is not yet read.
		listed, err = admin.ListCommittedOffsets(ctx, topics...)
	case StartTime:
		listed, err = admin.ListOffsetsAfterMilli(ctx, start.Time.UnixMilli(), topics...)
	default:
		listed, err = admin.ListStartOffsets(ctx, topics...)
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	if start.Kind == StartOffsets {
		for topic, partitions := range listed {
			c.warnUnknown(topic, len(partitions))
			for number, o := range partitions {
				if at, ok := start.Offsets[number]; ok {
					o.Offset = at
					partitions[number] = o
				}
			}
		}
	}
	return listed, nil
}

// warnUnknown tells of partitions that the start names and the topic lacks.
func (c *consumer) warnUnknown(topic string, partitions int) {
	var unknown []int32
	for number := range c.source.Start.Offsets {
		if int(number) >= partitions {
			unknown = append(unknown, number)
		}
	}
	if len(unknown) == 0 {
		return
	}
	slices.Sort(unknown)
	c.logger.Warn("source.start names partitions that the topic does not have", "topic", topic, "unknown", unknown,
		"partitions", partitions)
}

// startAlarm says of a partition that stands beyond its log because the start
// names such an offset, that it is so: nothing was lost.
func (s Source) startAlarm(a Alarm, at, end int64) Alarm {
	named, ok := s.Start.Offsets[a.Partition]
	if a.Kind != "data_loss" || s.Start.Kind != StartOffsets || !ok || named != at {
		return a
	}
	a.Kind = "out_of_range"
	a.Message = fmt.Sprintf("source.start names offset %d, and the log ends at %d: nothing was lost, name an offset "+
		"that there is", at, end)
	return a
}

// pinTries is how often the starts are committed at most until they stand.
const pinTries = 3

// pin commits the starts. Of several first members that resolve `latest` at the
// same time the earliest counts, else what came between would be skipped: a commit
// that is lower than ours stays, a higher one can only be another's start. A group
// with live members refuses it: then this member commits what it is assigned, once
// it has joined.
func (c *consumer) pin(ctx context.Context, admin *kadm.Client, starts startOffsets) {
	for range pinTries {
		fetched, err := fetchOffsets(ctx, admin, c.source.Group)
		if err != nil {
			return
		}
		offsets := c.higher(fetched, starts)
		if len(offsets) == 0 {
			return
		}
		responses, err := admin.CommitOffsets(ctx, c.source.Group, offsets)
		if err == nil {
			err = responses.Error()
		}
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				c.logger.Debug("the start is committed once the group is joined", "err", err)
			}
			return
		}
	}
}

// higher are the starts where the group has no commit, or a later one.
func (c *consumer) higher(fetched kadm.OffsetResponses, starts startOffsets) kadm.Offsets {
	epoch := ""
	if c.deps.Epoch != nil {
		epoch = c.deps.Epoch()
	}
	offsets := kadm.Offsets{}
	for key, s := range starts {
		if o, ok := fetched.Lookup(key.topic, key.partition); ok && o.Err == nil && o.At >= 0 && o.At <= s.offset {
			continue
		}
		offsets.Add(kadm.Offset{
			Topic: key.topic, Partition: key.partition, At: s.offset, LeaderEpoch: -1,
			Metadata: note{topicID: s.topicID, epoch: epoch}.String(),
		})
	}
	return offsets
}

// notePrefix tells our commits from those that other tools make.
const notePrefix = "millrace/1 "

// note is what stands beside a committed offset: which incarnation of the topic
// it belongs to, which memory of the idempotency store, which has no spaces, and what
// else the source keeps there.
type note struct {
	topicID [16]byte
	epoch   string
	text    string
}

// String is the note as the group keeps it.
func (n note) String() string {
	all := notePrefix + hex.EncodeToString(n.topicID[:]) + " " + n.epoch
	if n.text != "" {
		all += " " + n.text
	}
	return all
}

// parseNote reads a note; ok is false for a commit that another tool made.
func parseNote(text string) (n note, ok bool) {
	rest, ok := strings.CutPrefix(text, notePrefix)
	if !ok {
		return note{}, false
	}
	id, epoch, ok := strings.Cut(rest, " ")
	if !ok || hex.DecodedLen(len(id)) != len(n.topicID) {
		return note{}, false
	}
	if _, err := hex.Decode(n.topicID[:], []byte(id)); err != nil {
		return note{}, false
	}
	n.epoch, n.text, _ = strings.Cut(epoch, " ")
	return n, true
}

// otherTopic tells whether the commit belongs to another incarnation of the
// topic than id. Brokers without topic ids tell nothing.
func (n note) otherTopic(id [16]byte) bool {
	none := [16]byte{}
	return n.topicID != none && id != none && n.topicID != id
}
