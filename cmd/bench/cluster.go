package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// largestBatch lets a record of a million bytes through, and is less than brokers take
// by default.
const largestBatch = 1_040_000

// cluster is the bench's own connection to a place's brokers.
type cluster struct {
	brokers []string
	client  *kgo.Client
	admin   *kadm.Client
	// partitions and replicas are those of each topic; -1 replicas are what the cluster
	// gives.
	partitions int
	replicas   int16
}

func connect(brokers []string, partitions int, replicas int16) (*cluster, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(largestBatch), kgo.DisableClientMetrics())
	if err != nil {
		return nil, err
	}
	return &cluster{brokers: brokers, client: client, admin: kadm.NewClient(client), partitions: partitions,
		replicas: replicas}, nil
}

func (c *cluster) close() { c.client.Close() }

// create makes topics and waits until they can be asked.
func (c *cluster) create(ctx context.Context, topics ...string) error {
	made, err := c.admin.CreateTopics(ctx, int32(c.partitions), c.replicas, nil, topics...)
	if err == nil {
		err = made.Error()
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create topics: %w", err)
	}
	return patiently(ctx, 30*time.Second, "the new topics", func() error {
		for _, topic := range topics {
			if _, err := c.count(ctx, topic); err != nil {
				return err
			}
		}
		return nil
	})
}

// drop takes topics away; a cluster that does not let it keeps them.
func (c *cluster) drop(ctx context.Context, topics ...string) {
	_, _ = c.admin.DeleteTopics(ctx, topics...)
}

// dropGroups takes away all groups that have no members.
func (c *cluster) dropGroups(ctx context.Context, groups ...string) {
	_, _ = c.admin.DeleteGroups(ctx, groups...)
}

// count is how many records a topic holds.
func (c *cluster) count(ctx context.Context, topic string) (n int64, err error) {
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err == nil && len(ends[topic]) != c.partitions {
		err = fmt.Errorf("%d of %d partitions of %s answer", len(ends[topic]), c.partitions, topic)
	}
	if err != nil {
		return 0, err
	}
	ends.Each(func(end kadm.ListedOffset) { n += end.Offset })
	return n, nil
}

// version is what the brokers seem to be, such as v4.1.
func (c *cluster) version(ctx context.Context) string {
	all, err := c.admin.ApiVersions(ctx)
	if err != nil {
		return ""
	}
	for _, one := range all {
		return one.VersionGuess()
	}
	return ""
}

// committed is what a group has committed of a topic, in all; a replay has none.
func (c *cluster) committed(ctx context.Context, group, topic string) (n int64, err error) {
	offsets, err := c.admin.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, offset := range offsets[topic] {
		n += max(offset.At, 0)
	}
	return n, nil
}

// load is what a topic holds for the jobs to read.
type load struct {
	topic         string
	records, size int
	// passes tells of each record whether it passes the filter.
	passes []bool
	passed int
}

// fill writes records of about that size, one key in 100,000 each.
func (c *cluster) fill(ctx context.Context, topic string, records, size int) (*load, error) {
	l := &load{topic: topic, records: records, size: size, passes: make([]bool, records)}
	if err := c.create(ctx, topic); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(3, 4))
	var failed error
	for i := range records {
		amount, customer := random.IntN(100), random.IntN(100_000)
		if amount >= 50 {
			l.passes[i] = true
			l.passed++
		}
		r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, "customer-", customer),
			Value: order(i, amount, customer, size)}
		c.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	if err := errors.Join(c.client.Flush(ctx), failed); err != nil {
		return nil, fmt.Errorf("fill %s: %w", topic, err)
	}
	return l, nil
}

// order is the value of a record, of about size bytes.
func order(id, amount, customer, size int) []byte {
	return fmt.Appendf(nil,
		`{"id":"order-%d","amount":%d,"country":"DE","customer":{"id":"customer-%d","tier":"gold"},"note":"%0*d"}`,
		id, amount, customer, max(1, size-120), id)
}
