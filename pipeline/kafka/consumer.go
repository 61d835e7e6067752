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

// open resolves where to start and makes the client, which then joins.
func (c *consumer) open(ctx context.Context) error {
	starts, err := c.resolveStarts(ctx)
	if err != nil {
		return err
	}
	c.starts = starts
	c.intake = newIntake(c.share, c.source.decompressLimit())
	c.intake.short, c.intake.most = c.suspectPartition, c.share.Large()
	// The callbacks use c.client: it must be set before the client joins,
	// which it does on its own as soon as it exists.
	c.mu.Lock()
	defer c.mu.Unlock()
	asking, abandon := context.WithCancel(c.base)
	c.abandon = abandon
	if c.client, err = kgo.NewClient(append(c.options(), kgo.WithContext(asking))...); err != nil {
		abandon()
	}
	return err
}

func (c *consumer) options() []kgo.Opt {
	s := c.source
	heartbeat := min(3*time.Second, s.SessionTimeout/3)
	opts := append(append(c.cluster.kgoOptions(c.logger), c.cluster.patientOptions()...),
		kgo.ConsumerGroup(s.Group),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(s.SessionTimeout),
		kgo.HeartbeatInterval(heartbeat),
		// A member that drains longer than this is thrown out, and its
		// partitions are read twice.
		kgo.RebalanceTimeout(max(time.Minute, s.Drain+heartbeat+10*time.Second)),
		kgo.MetadataMaxAge(10*time.Second),
		kgo.FetchMinBytes(s.FetchMin),
		kgo.FetchMaxWait(s.FetchWait),
		// Nothing is ever reset silently: where a partition begins is decided
		// in place, and a log that lost the offset is an alarm.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.OnPartitionsAssigned(c.onAssigned),
		kgo.OnPartitionsRevoked(c.onRevoked),
		kgo.OnPartitionsLost(c.onLost),
		kgo.OnOffsetsFetched(c.onFetched),
		kgo.AdjustFetchOffsetsFn(c.onPlace),
	)
	opts = append(opts, fetching(c.intake, c.deps.Held, s.FetchMax)...)
	if s.Instance != "" {
		opts = append(opts, kgo.InstanceID(s.Instance))
	}
	if s.Pattern != nil {
		return append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics(s.Pattern.String()))
	}
	return append(opts, kgo.ConsumeTopics(s.Topics...))
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
		if err := fetched.Err; err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
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

// shutdown gives everything up while the member is still in the group, and only
// then leaves it. enough ends commits that were under way before.
func (c *consumer) shutdown(enough context.CancelFunc) {
	defer c.abandon()
	defer c.intake.close()
	by := time.Now().Add(c.source.Drain + leaveWithin)
	c.giveUp(c.assigned(), true)
	c.stop()
	enough()
	c.side.Wait()
	// A member that lost its session has nothing to leave.
	most := leaveTimeout
	if c.joined.Load() {
		most = max(most, time.Until(by))
	}
	impatient := time.AfterFunc(most, c.abandon)
	defer impatient.Stop()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.client.Close()
	}()
	select {
	case <-closed:
	case <-time.After(joinPatience):
		c.leaveAtOnce(closed)
	}
	// The client may have assigned partitions while it was leaving.
	c.giveUp(c.assigned(), false)
}

// joinPatience is how long a stop waits for a join that is under way.
const joinPatience = 300 * time.Millisecond

// leaveAtOnce takes the member out of the group while the client waits for a join
// that is under way, however long that lasts: cut off without that, it would stay in
// the group as one who is counted on and never comes. It returns when the client is
// closed. A static member stays, for the one who comes after it.
func (c *consumer) leaveAtOnce(closed <-chan struct{}) {
	member, _ := c.client.GroupMetadata()
	if c.source.Instance == "" && member != "" {
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group, req.MemberID = c.source.Group, member
		leaves := kmsg.NewLeaveGroupRequestMember()
		leaves.MemberID, leaves.Reason = member, kmsg.StringPtr("the pipeline stops")
		req.Members = append(req.Members, leaves)
		if _, err := req.RequestWith(c.base, c.client); err == nil {
			// Not every broker answers the join of a member that left.
			left := time.AfterFunc(joinPatience, c.abandon)
			defer left.Stop()
		}
	}
	<-closed
}

// ask is the context of a question to the cluster that a stop does not wait for.
func (c *consumer) ask() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(c.base, requestTimeout)
	c.side.Go(func() {
		select {
		case <-c.stopNow:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// once logs a warning that repeats, the first time only.
func (c *consumer) once(logger *slog.Logger, msg string, err error) {
	c.mu.Lock()
	key := msg + err.Error()
	said := c.said[key]
	if len(c.said) >= 1000 {
		clear(c.said)
	}
	c.said[key] = true
	c.mu.Unlock()
	if !said {
		logger.Warn(msg, "err", err)
	}
}

// polls lets a callback of the client wait until the poll loop has dispatched
// what an earlier poll returned. Without that, records of an old assignment
// could be delivered into a new one of the same partition, and the records
// before them would be taken for delivered.
type polls struct {
	mu     *sync.Mutex
	moved  *sync.Cond
	round  uint64
	cancel context.CancelFunc
	ended  bool
}

func newPolls() polls {
	mu := &sync.Mutex{}
	return polls{mu: mu, moved: sync.NewCond(mu)}
}

// begin starts a poll; the one before it has been dispatched.
func (p *polls) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.round++
	p.cancel = cancel
	p.moved.Broadcast()
	return ctx, cancel
}

// end tells that there will be no further poll.
func (p *polls) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.moved.Broadcast()
}

// barrier cuts the current poll short and waits until it has been dispatched.
func (p *polls) barrier() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.round == 0 {
		return
	}
	round := p.round
	p.cancel()
	for p.round == round && !p.ended {
		p.moved.Wait()
	}
}
