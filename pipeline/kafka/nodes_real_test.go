//go:build real

package kafka

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

// TestRealNodesComeAndGo copies a topic on three nodes while one of them is
// killed, comes back, and takes its leaderships back: nothing is lost, nothing
// comes twice, the order of keys holds, and flow resumes by itself.
func TestRealNodesComeAndGo(t *testing.T) {
	k := kafkacluster.Need(t, kafkacluster.Options{Nodes: 3})
	b := bedOn(t, Settings{Brokers: k.Brokers()})
	b.replicas = 3
	b.topic("in", 6)
	b.topic("out", 6)
	b.topicWith("strict", 1, configs("min.insync.replicas", "3"))
	c := startCopy(b)
	c.flows("at first", 2000)

	c.leadersMove(t)

	var logged log
	p, err := NewPublisher(b.settings, logged.deps())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Produce(within(t, patience), numberedRecords("strict", 3)); err != nil {
		t.Fatal(err)
	}
	coordinators := b.admin.FindGroupCoordinators(t.Context(), "g-in")
	node := k.Node(int(coordinators["g-in"].NodeID))
	if err := node.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	strict := make(chan error, 1)
	go func() { strict <- insist(t, p, numberedRecords("strict", 3)) }()
	c.flows("without the node", 5000)
	b.eventually("commits without the node", func() bool { n := c.lag(); return n != LagUnknown && n < 5000 })
	t.Logf("a node was killed: the longest pause of the flow was %v", c.pause(killed))

	if !logged.says("min.insync.replicas") {
		t.Error("nothing was said of writes that wait for replicas")
	}
	select {
	case err := <-strict:
		t.Errorf("a write with too few replicas ended with %v", err)
	default:
	}

	back := time.Now()
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.eventuallyWithin(time.Minute, "all replicas in sync", func() bool { return b.outOfSync() == 0 })
	if _, err := b.admin.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, nil); err != nil {
		t.Fatal(err)
	}
	c.flows("with the node", 5000)
	t.Logf("the node came back and leads again: the longest pause of the flow was %v", c.pause(back))
	if err := <-strict; err != nil {
		t.Errorf("with enough replicas again: %v", err)
	}
	if n := len(b.drain(b.reader("strict"))); n != 6 {
		t.Errorf("%d records in the strict topic, want 6", n)
	}
	c.finish(t)
}

// leadersMove hands every leadership to the next replica, while all brokers live.
func (c *copying) leadersMove(t *testing.T) {
	t.Helper()
	topics, err := c.admin.ListTopics(t.Context(), "in", "out")
	if err != nil {
		t.Fatal(err)
	}
	var moves kadm.AlterPartitionAssignmentsReq
	preferred := map[string]map[int32]int32{"in": {}, "out": {}}
	topics.EachPartition(func(p kadm.PartitionDetail) {
		next := append(append([]int32(nil), p.Replicas[1:]...), p.Replicas[0])
		moves.Assign(p.Topic, p.Partition, next)
		preferred[p.Topic][p.Partition] = next[0]
	})
	moved := time.Now()
	if _, err := c.admin.AlterPartitionAssignments(t.Context(), moves); err != nil {
		t.Fatal(err)
	}
	c.eventually("new leaders", func() bool {
		if _, err := c.admin.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, nil); err != nil {
			t.Fatal(err)
		}
		topics, err := c.admin.ListTopics(t.Context(), "in", "out")
		if err != nil {
			return false
		}
		all := true
		topics.EachPartition(func(p kadm.PartitionDetail) { all = all && p.Leader == preferred[p.Topic][p.Partition] })
		return all
	})
	c.flows("with new leaders", 2000)
	t.Logf("every leader moved: the longest pause of the flow was %v", c.pause(moved))
}

// insist writes as a pipeline does, which tries again what is the cluster's
// fault.
func insist(t *testing.T, p *Publisher, records []*handlers.Record) error {
	for {
		err := p.Produce(within(t, 2*time.Minute), records)
		if f := handlers.FailureOf(err, 0); f == nil || f.Class != handlers.Infrastructure {
			return err
		}
	}
}

func (b *bed) eventuallyWithin(d time.Duration, what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(d); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%s did not come about", what)
		}
	}
}

// outOfSync counts the replicas that lag behind.
func (b *bed) outOfSync() int {
	b.Helper()
	topics, err := b.admin.ListTopics(b.Context())
	if err != nil {
		return -1
	}
	n := 0
	topics.EachPartition(func(p kadm.PartitionDetail) { n += len(p.Replicas) - len(p.ISR) })
	return n
}

// copying is a flow from topic in to topic out, as the product makes it.
type copying struct {
	*bed
	source *reading
	stop   context.CancelFunc
	writer sync.WaitGroup

	mu      sync.Mutex
	written int
	times   []time.Time
	n       int
}

func startCopy(b *bed) *copying {
	b.Helper()
	c := &copying{bed: b}
	p := b.publisher()
	c.source = b.read(b.subscriber(b.source("in")), func(m *message.Message, batch *Batch) {
		out := make([]*handlers.Record, len(batch.Records))
		for i, r := range batch.Records {
			out[i] = &handlers.Record{Topic: "out", Key: r.Key, Value: r.Value}
		}
		err := p.Produce(context.WithoutCancel(m.Context()), out)
		written := 0
		for i := range out {
			if f := handlers.FailureOf(err, i); f == nil {
				batch.Done(i)
				written++
			}
		}
		if err != nil {
			b.Logf("a write failed: %v", err)
		}
		c.progress(written)
		m.Ack()
	})
	ctx, cancel := context.WithCancel(b.Context())
	c.stop = cancel
	c.writer.Go(func() { c.write(ctx) })
	b.Cleanup(func() { cancel(); c.writer.Wait() })
	return c
}

// write makes about 2,000 records a second, each acknowledged.
func (c *copying) write(ctx context.Context) {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.settings.Brokers...), kgo.DefaultProduceTopic("in"))
	if err != nil {
		c.Error(err)
		return
	}
	defer client.Close()
	for n := 0; ctx.Err() == nil; n += 50 {
		records := make([]*kgo.Record, 50)
		for i := range records {
			records[i] = &kgo.Record{Key: fmt.Appendf(nil, "k%d", (n+i)%97), Value: fmt.Appendf(nil, "%d", n+i)}
		}
		// What was begun is finished, so that what was written is known.
		if err := client.ProduceSync(context.WithoutCancel(ctx), records...).FirstErr(); err != nil {
			c.Error(err)
			return
		}
		c.mu.Lock()
		c.written += len(records)
		c.mu.Unlock()
		rest(ctx, 25*time.Millisecond)
	}
}

func (c *copying) progress(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.n += n
		c.times = append(c.times, time.Now())
	}
}

func (c *copying) copied() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// flows waits until that many more are copied.
func (c *copying) flows(when string, n int) {
	c.Helper()
	before, deadline := c.copied(), time.Now().Add(2*time.Minute)
	for c.copied() < before+n {
		if time.Now().After(deadline) {
			c.Fatalf("%s: %d of %d records were copied in 2 minutes; status %+v", when, c.copied()-before, n, c.source.Status())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *copying) lag() Lag { return SumLag(c.source.Status()) }

// pause is the longest time since then in which nothing was copied.
func (c *copying) pause(since time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	longest, last := time.Duration(0), since
	for _, at := range c.times {
		if at.After(since) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	return longest.Round(10 * time.Millisecond)
}

// finish stops writing, waits for the rest, and checks what was copied.
func (c *copying) finish(t *testing.T) {
	t.Helper()
	c.stop()
	c.writer.Wait()
	c.eventually("the rest", func() bool { return c.copied() >= c.written })
	c.source.close(t)
	copies := c.drain(c.reader("out"))
	if len(copies) != c.written {
		t.Errorf("%d records were copied, %d written", len(copies), c.written)
	}
	c.bed.mu.Lock()
	if len(c.alarms) > 0 {
		t.Errorf("alarms: %+v", c.alarms)
	}
	c.bed.mu.Unlock()
	next := map[string]int{}
	for _, r := range copies {
		key := string(r.Key)
		want, begun := next[key]
		if !begun {
			fmt.Sscanf(key, "k%d", &want)
		}
		if d := cmp.Diff(want, value(r)); d != "" {
			t.Fatalf("key %s is out of order (-want +got):\n%s", key, d)
		}
		next[key] = want + 97
	}
}
