package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Subscriber reads topics as a member of a consumer group and hands lane batches
// out as Watermill messages. Its methods are safe for concurrent use.
type Subscriber struct {
	cluster cluster
	source  Source
	deps    Deps

	mu        sync.Mutex
	closed    bool
	paused    bool
	consumers []*consumer
}

// NewSubscriber checks the settings and fills in defaults; it does not touch the
// network. Every Subscribe makes one client of its own.
func NewSubscriber(settings Settings, source Source, deps Deps) (*Subscriber, error) {
	c, err := newCluster(settings)
	if err != nil {
		return nil, fmt.Errorf("configure the source: %w", err)
	}
	if source.Group == "" {
		return nil, errors.New("configure the source: no consumer group is named")
	}
	if deps.Logger == nil {
		return nil, errors.New("configure the source: no logger is given")
	}
	return &Subscriber{cluster: c, source: source.withDefaults(), deps: deps}, nil
}

func (s Source) withDefaults() Source {
	s.Lanes = orDefault(s.Lanes, 8)
	s.MaxBatch = orDefault(s.MaxBatch, 1024)
	s.MaxPending = orDefault(s.MaxPending, 10_000)
	s.MaxPendingBytes = orDefault(s.MaxPendingBytes, 64<<20)
	s.FetchMin = orDefault(s.FetchMin, 1)
	s.FetchMax = orDefault(s.FetchMax, 50<<20)
	s.FetchWait = orDefault(s.FetchWait, 250*time.Millisecond)
	s.MaxRecordBytes = orDefault(s.MaxRecordBytes, 16<<20)
	s.SessionTimeout = orDefault(s.SessionTimeout, 10*time.Second)
	s.CommitInterval = orDefault(s.CommitInterval, time.Second)
	s.Drain = orDefault(s.Drain, 20*time.Second)
	if s.Order == "" {
		s.Order = OrderKey
	}
	if s.Start.Kind == "" {
		s.Start.Kind = StartEarliest
	}
	return s
}

// decompressLimit is how large a batch may be once it is decompressed.
func (s Source) decompressLimit() int { return int(max(32<<20, 4*s.MaxRecordBytes)) }

func orDefault[T int | int32 | int64 | time.Duration](value, byDefault T) T {
	if value <= 0 {
		return byDefault
	}
	return value
}

// Subscribe joins the group in the background and returns the channel of its
// messages, each of which carries a [Batch]. It does not wait for the cluster:
// Ready tells when the group was joined. Where the source names topics or a
// pattern, topic is only a label. The channel is closed, after the batches in
// flight, once ctx ends or the Subscriber is closed.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("subscribe: the subscriber is closed")
	}
	source := s.source
	if len(source.Topics) == 0 && source.Pattern == nil {
		source.Topics = []string{topic}
	}
	c := newConsumer(ctx, s.cluster, source, s.deps, s.paused)
	s.consumers = append(s.live(), c)
	go c.run(ctx)
	return c.out, nil
}

// Close stops reading: nothing new is handed out, the contexts of messages end,
// batches in flight are waited for at most as long as the source's Drain says,
// what is finished is committed, the group is left and the channels are closed.
// A static member stays in the group. Close may be called again and then waits
// for the same.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	consumers := slices.Clone(s.consumers)
	s.mu.Unlock()
	for _, c := range consumers {
		c.stop()
	}
	for _, c := range consumers {
		<-c.stopped
	}
	return nil
}

// live are the subscriptions that have not ended. The caller holds mu.
func (s *Subscriber) live() []*consumer {
	var live []*consumer
	for _, c := range s.consumers {
		select {
		case <-c.stopped:
		default:
			live = append(live, c)
		}
	}
	return live
}

// Pause stops handing out batches and fetching, for every partition that is or
// will be assigned; what is in flight goes on.
func (s *Subscriber) Pause() { s.setPaused(true) }

// Resume goes on where Pause stopped.
func (s *Subscriber) Resume() { s.setPaused(false) }

func (s *Subscriber) setPaused(paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = paused
	for _, c := range s.live() {
		c.hold(paused)
	}
}

// Ready tells whether every subscription has joined its group and been told its
// assignment, and not lost the membership since, and there is a subscription.
func (s *Subscriber) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.live()
	for _, c := range live {
		if !c.joined.Load() {
			return false
		}
	}
	return len(live) > 0
}

// Status tells how far the assigned partitions are, by topic and partition.
func (s *Subscriber) Status() []PartitionStatus {
	s.mu.Lock()
	consumers := slices.Clone(s.consumers)
	s.mu.Unlock()
	var all []PartitionStatus
	for _, c := range consumers {
		for _, p := range c.assigned() {
			all = append(all, p.status())
		}
	}
	slices.SortFunc(all, func(a, b PartitionStatus) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition) - int(b.Partition)
	})
	return all
}

// InFlight is how many records are delivered and not finished.
func (s *Subscriber) InFlight() int {
	n := 0
	for _, p := range s.Status() {
		n += p.Pending
	}
	return n
}

// logged is a logger with the partition as attributes.
func logged(logger *slog.Logger, topic string, partition int32) *slog.Logger {
	return logger.With("topic", topic, "partition", partition)
}

// A member outlives the death of its coordinator: the next one, some 10 s later,
// loads the group as it was and gives every member a whole session from then on.
// All that the member must do is to go on asking, for up to requestTimeout, which
// the client by itself does not always: a session that ends on its side gives
// partitions up without a commit, gets them back a moment later and delivers
// again what it had finished.
const (
	// answerTimeout is how long an answer may take. A broker that went silent
	// without its connections being closed is found out by it alone, and the next
	// coordinator's session may be over by then where session_timeout is short.
	answerTimeout = 10 * time.Second
	// longestBackoff is how long the member rests between two tries.
	longestBackoff = time.Second
)

// patientOptions make the client of a group's member keep its session while
// brokers come and go.
func (c cluster) patientOptions() []kgo.Opt {
	dial := (&net.Dialer{Timeout: dialTimeout}).DialContext
	if c.dialer != nil {
		dial = c.dialer.DialContext
	}
	return []kgo.Opt{
		kgo.Dialer(patient(dial)),
		kgo.RequestTimeoutOverhead(answerTimeout),
		kgo.RequestRetries(int(requestTimeout / longestBackoff * 2)),
		kgo.RetryBackoffFn(backoff),
	}
}

func backoff(tries int) time.Duration {
	d := min(100*time.Millisecond<<min(max(tries-1, 0), 10), longestBackoff)
	return d*3/4 + rand.N(d/2)
}

// patient makes a broker that can't be reached one that may be asked again. The
// client gives a request up whose search for the coordinator twice in a row
// meets a broker that refuses connections, as one of three does that has died.
func patient(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" && ctx.Err() == nil {
			away := *op
			away.Err = awayError{op.Err}
			return nil, &away
		}
		return conn, err
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// awayError says of a failed dial what makes the client try again.
type awayError struct{ error }

func (e awayError) Unwrap() error { return e.error }

func (awayError) Timeout() bool { return true }

func (awayError) Temporary() bool { return true }

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
