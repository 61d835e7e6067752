package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/memory"
)

// consumer is one subscription: one client, one member of the group. Four
// goroutines serve it: run, which polls and dispatches; the client's own, which
// call the functions of assign.go; the committer; and the one that asks the
// broker how far the logs reach.
type consumer struct {
	cluster cluster
	source  Source
	deps    Deps
	logger  *slog.Logger
	out     chan *message.Message
	seed    maphash.Seed
	// base carries the values of the context that the subscription was made
	// with; it never ends.
	base   context.Context
	client *kgo.Client
	// abandon ends whatever the client still asks of the cluster.
	abandon context.CancelFunc
	starts  startOffsets

	joined  atomic.Bool
	stopped chan struct{}
	stopNow chan struct{}
	stopOne sync.Once
	// side is what has to end before the client is closed.
	side sync.WaitGroup

	polls polls
	// share is this subscription's part of the memory, intake what takes of it
	// ahead of the partitions; shared is how many partitions there are.
	share  *memory.Share
	intake *intake
	shared atomic.Int32
	// starved are the partitions that wait for memory, suspects those of which
	// something may not be readable.
	starved  *backlog[*partition]
	suspects *backlog[suspect]

	mu       sync.Mutex
	held     bool
	parts    map[topicPartition]*partition
	fetched  *kmsg.OffsetFetchResponse
	renewing map[string]bool
	said     map[string]bool
}

type topicPartition struct {
	topic     string
	partition int32
}

func newConsumer(ctx context.Context, c cluster, source Source, deps Deps, held bool) *consumer {
	return &consumer{
		cluster: c, source: source, deps: deps, held: held,
		logger:   deps.Logger.With("group", source.Group),
		out:      make(chan *message.Message),
		seed:     maphash.MakeSeed(),
		base:     context.WithoutCancel(ctx),
		stopped:  make(chan struct{}),
		stopNow:  make(chan struct{}),
		polls:    newPolls(),
		share:    deps.Held.Share(),
		starved:  newBacklog[*partition](),
		suspects: newBacklog[suspect](),
		parts:    map[topicPartition]*partition{},
		renewing: map[string]bool{},
		said:     map[string]bool{},
	}
}

// stop makes run end; stopped is closed when it has.
func (c *consumer) stop() { c.stopOne.Do(func() { close(c.stopNow) }) }

// run reads until ctx ends or stop is called, and then closes the channel.
func (c *consumer) run(ctx context.Context) {
	defer close(c.stopped)
	defer close(c.out)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := context.AfterFunc(ctx, c.stop)
	defer watch()
	c.side.Go(func() {
		<-c.stopNow
		cancel()
	})
	defer c.side.Wait()
	defer c.stop()
	if err := c.open(ctx); err != nil {
		if ctx.Err() == nil {
			c.fail(fmt.Errorf("open the source: %w", err))
		}
		return
	}
	// A commit that is cut off may reach the broker after a later one: those under
	// way go on until the last has been made.
	lasting, enough := context.WithCancel(c.base)
	c.side.Go(func() { c.commitLoop(ctx, lasting) })
	c.side.Go(func() { c.measureLoop(ctx) })
	for range feeders {
		c.side.Go(func() { c.feedLoop(ctx) })
	}
	c.side.Go(func() { c.examineLoop(ctx) })
	c.poll(ctx)
	c.shutdown(enough)
}

// poll fetches and dispatches until ctx ends. It never waits for a handler.
func (c *consumer) poll(ctx context.Context) {
	defer c.polls.end()
	for ctx.Err() == nil {
		pollCtx, cancel := c.polls.begin(ctx)
		fetches := c.client.PollFetches(pollCtx)
		cancel()
		if fetches.IsClientClosed() {
			return
		}
		for i := range fetches {
			for t := range fetches[i].Topics {
				c.dispatch(&fetches[i].Topics[t])
			}
		}
	}
}

func (c *consumer) dispatch(t *kgo.FetchTopic) {
	for i := range t.Partitions {
		fetched := &t.Partitions[i]
		p := c.partition(t.Topic, fetched.Partition)
		taken, short := c.intake.arrived(topicPartition{t.Topic, fetched.Partition})
		if p != nil {
			c.deliver(p, fetched.Records, short)
		}
		c.share.Give(taken)
		if err := fetched.Err; err != nil && !errors.Is(err, context.Canceled) &&
			!errors.Is(err, context.DeadlineExceeded) {
			c.fetchFailed(p, t.Topic, err)
		}
	}
}

// partition is the assignment's partition, nil where it is not ours.
func (c *consumer) partition(topic string, number int32) *partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts[topicPartition{topic, number}]
}

func (c *consumer) assigned() []*partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	parts := make([]*partition, 0, len(c.parts))
	for _, p := range c.parts {
		parts = append(parts, p)
	}
	return parts
}

func (c *consumer) hold(held bool) {
	c.mu.Lock()
	c.held = held
	c.mu.Unlock()
	for _, p := range c.assigned() {
		p.hold(held)
	}
}

// joinPatience is how long a stop waits for a join that is under way.
const joinPatience = 300 * time.Millisecond
