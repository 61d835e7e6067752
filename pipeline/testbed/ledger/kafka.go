//go:build unix

package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// partitions is how many the source has, and every other topic.
const partitions = 6

// cluster is the ledger's own view of Kafka.
type cluster struct {
	run    *run
	writer *kgo.Client
	reader *kgo.Client
	admin  *kadm.Client
	work   sync.WaitGroup

	mu   sync.Mutex
	read map[string]map[int32]int64 // the next offset of what is watched
}

func connect(r *run) (*cluster, error) {
	writer, err := kgo.NewClient(kgo.SeedBrokers(r.Brokers...), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.UnknownTopicRetries(-1)) // a topic that was made is not there at once
	if err != nil {
		return nil, fmt.Errorf("connect the ledger: %w", err)
	}
	return &cluster{run: r, writer: writer, admin: kadm.NewClient(writer), read: map[string]map[int32]int64{}}, nil
}

func (c *cluster) close() {
	c.writer.Close()
	if c.reader != nil {
		c.reader.Close()
	}
	c.work.Wait()
}

// prepare makes all topics but the late one, and waits until they are there.
func (c *cluster) prepare(ctx context.Context) error {
	topics := []string{c.run.Prefix + "events"}
	for _, topic := range c.watched() {
		if topic != c.run.Prefix+"copies_"+late {
			topics = append(topics, topic)
		}
	}
	for _, topic := range topics {
		if err := c.create(ctx, topic); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		ends, err := c.admin.ListEndOffsets(ctx, topics...)
		if err == nil && ends.Error() == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return ctx.Err()
}

func (c *cluster) create(ctx context.Context, topic string) error {
	_, err := c.admin.CreateTopic(ctx, partitions, -1, nil, topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create %s: %w", topic, err)
	}
	return nil
}

// watched are the topics that pipelines write to.
func (c *cluster) watched() []string {
	p := c.run.Prefix
	topics := []string{p + "copies_info", p + "copies_warn", p + "copies_" + late, p + plain}
	for name := range sinks {
		topics = append(topics, p+name+".dead-letter")
	}
	return topics
}

// send sends the records of the seed at the run's rate.
func (r *run) send(ctx context.Context, m *maker) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for sent := 0; time.Since(r.began) < r.Time; <-tick.C {
		n := int(time.Since(began).Seconds()*float64(r.Rate)) - sent
		if err := r.kafka.produce(ctx, m, n); err != nil {
			return err
		}
		sent += n
	}
	return nil
}

// produce sends the next n records, and books them once they are acknowledged.
func (c *cluster) produce(ctx context.Context, m *maker, n int) error {
	batch, made := make([]*kgo.Record, n), make([]record, n)
	for i := range batch {
		made[i] = m.next()
		value, err := json.Marshal(made[i])
		if err != nil {
			return err
		}
		batch[i] = &kgo.Record{Topic: c.run.Prefix + "events", Key: []byte(made[i].Key), Value: value}
	}
	if err := c.writer.ProduceSync(ctx, batch...).FirstErr(); err != nil {
		return fmt.Errorf("send records: %w", err)
	}
	for i, rec := range made {
		c.run.books.sent(rec, place{batch[i].Partition, batch[i].Offset, time.Now()})
	}
	return nil
}

// watch notes what is written and committed, until ctx ends.
func (c *cluster) watch(ctx context.Context) {
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.run.Brokers...), kgo.ConsumeTopics(c.watched()...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond),
		kgo.MetadataMaxAge(500*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		c.run.books.fail("watch the topics: %v", err)
		return
	}
	c.reader = reader
	c.work.Go(func() {
		for ctx.Err() == nil {
			fetches := reader.PollFetches(ctx)
			fetches.EachRecord(c.note)
		}
	})
	c.work.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
			if at, err := c.committed(ctx); err == nil {
				c.run.books.sample(sample{time.Now(), at})
			}
			for _, p := range c.run.replicas {
				p.readLines()
			}
		}
	})
}

// note books what was written to a topic.
func (c *cluster) note(r *kgo.Record) {
	now := time.Now()
	var rec record
	if err := json.Unmarshal(r.Value, &rec); err != nil {
		c.run.books.fail("%s/%d/%d is no record: %v", r.Topic, r.Partition, r.Offset, err)
	}
	topic := strings.TrimPrefix(r.Topic, c.run.Prefix)
	if pipeline, ok := strings.CutSuffix(topic, ".dead-letter"); ok {
		l := letter{id: rec.ID, at: now}
		for _, h := range r.Headers {
			switch h.Key {
			case "millrace-reason":
				l.reason = string(h.Value)
			case "millrace-last-error":
				l.text = string(h.Value)
			}
		}
		c.run.books.letter(pipeline, l)
	} else {
		sink, _, _ := strings.Cut(topic, "_")
		c.run.books.effect(sink, effect{id: rec.ID, key: rec.Key, seq: rec.Seq, at: now, done: now, place: topic})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read[r.Topic] == nil {
		c.read[r.Topic] = map[int32]int64{}
	}
	c.read[r.Topic][r.Partition] = r.Offset + 1
}

// committed asks how far the groups have committed.
func (c *cluster) committed(ctx context.Context) (committed, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	all := committed{}
	for name := range sinks {
		offsets, err := c.admin.FetchOffsets(ctx, c.run.Prefix+name)
		if err != nil {
			return nil, err
		}
		all[name] = map[int32]int64{}
		offsets.Each(func(o kadm.OffsetResponse) { all[name][o.Partition] = max(o.At, 0) })
	}
	return all, nil
}

// left is how many records of the source are not committed, over all groups.
func (c *cluster) left(ctx context.Context) (left int64) {
	at, err := c.committed(ctx)
	if err != nil {
		return 1
	}
	b := c.run.books
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range sinks {
		for partition, ids := range b.log {
			left += int64(len(ids)) - at[name][partition]
		}
	}
	return left
}

// caughtUp tells whether the books hold all that is in the watched topics.
func (c *cluster) caughtUp(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ends, err := c.admin.ListEndOffsets(ctx, c.watched()...)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	behind := false
	ends.Each(func(o kadm.ListedOffset) {
		behind = behind || o.Err == nil && c.read[o.Topic][o.Partition] < o.Offset
	})
	return !behind
}
