package kafka

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/handlers"
)

func TestTwoMembersShareWithoutLossRepetitionOrDisorder(t *testing.T) {
	testTwoMembersShareWithoutLossRepetitionOrDisorder(t, fakeBed)
}

func testTwoMembersShareWithoutLossRepetitionOrDisorder(t *testing.T, newBed func(*testing.T) *bed) {
	t.Parallel()
	b := newBed(t)
	b.topic("orders", 6)
	stop := make(chan struct{})
	var written atomic.Int64
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 0; ; n += 20 {
			select {
			case <-stop:
				return
			default:
			}
			for p := range int32(6) {
				b.write(numbered("orders", p, n, 20)...)
				written.Add(20)
			}
		}
	})
	var mu sync.Mutex
	var seen []*handlers.Record
	handle := func(m *message.Message, batch *Batch) {
		mu.Lock()
		seen = append(seen, batch.Records...)
		mu.Unlock()
		for i := range batch.Records {
			batch.Done(i)
		}
		m.Ack()
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
	first := b.subscriber(b.source("orders"))
	r1 := b.read(first, handle)
	b.eventually("six partitions at the first", func() bool { return len(first.Status()) == 6 })
	for range 2 {
		second := b.subscriber(b.source("orders"))
		r2 := b.read(second, handle)
		b.eventually("three partitions each", func() bool { return len(first.Status()) == 3 && len(second.Status()) == 3 })
		before := count()
		b.eventually("more records", func() bool { return count() > before+2000 })
		r2.close(t)
		b.eventually("six partitions again", func() bool { return len(first.Status()) == 6 })
	}
	close(stop)
	writing.Wait()
	b.eventually("every record", func() bool { return count() >= int(written.Load()) })
	r1.close(t)
	if count() != int(written.Load()) {
		t.Errorf("%d records handled, %d written", count(), written.Load())
	}
	checkKeyOrder(t, seen)
}

func TestCloseIsBoundedAndLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("run", func(t *testing.T) {
		b := newBed(t)
		b.topic("orders", 1)
		b.write(numbered("orders", 0, 0, 10)...)
		source := b.source("orders")
		source.Drain = 200 * time.Millisecond
		hang, ended, started := make(chan struct{}), make(chan struct{}), make(chan struct{})
		r := b.read(b.subscriber(source), func(m *message.Message, batch *Batch) {
			if batch.Records[0].Offset == 0 {
				close(started)
				<-m.Context().Done()
				close(ended)
				<-hang
			}
			m.Nack()
		})
		<-started
		begun := time.Now()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("closing took %v with a drain of 200ms", took)
		}
		<-ended
		close(hang)
		r.close(t)
		if got := b.committed("g-orders", "orders", 0); got != 0 {
			t.Errorf("committed %d, want 0: nothing was finished", got)
		}
		if _, err := r.Subscribe(t.Context(), "orders"); err == nil {
			t.Error("a closed subscriber was subscribed")
		}
	})
}

func TestCloseIsBoundedWithoutACluster(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	source := b.source("orders")
	source.CommitInterval, source.Drain = time.Hour, time.Second
	r := b.read(b.subscriber(source), nil)
	b.eventually("10 records", func() bool { return r.count() == 10 })
	b.cluster.Close()
	c := r.consumers[0]
	// A question to the cluster does not hold the stop either.
	for _, p := range c.assigned() {
		c.halt(p, Alarm{Topic: p.topic, Partition: p.number, Kind: "out_of_range"})
	}
	begun := time.Now()
	r.close(t)
	if took, most := time.Since(begun), source.Drain+leaveWithin+leaveTimeout; took > most+time.Second {
		t.Errorf("closing took %v, want at most %v", took, most)
	}
}

// A member that is about to join, be it again, leaves nothing behind: a cluster
// that does not answer holds its stop for a moment only.
func TestCloseIsBoundedDuringAJoin(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.topic("orders", 1)
	joining := make(chan struct{})
	b.cluster.ControlKey(kmsg.JoinGroup.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(joining)
		return nil, nil, true // no answer ever
	})
	source := b.source("orders")
	source.Drain = time.Minute
	r := b.read(b.subscriber(source), nil)
	<-joining
	begun := time.Now()
	r.close(t)
	if took := time.Since(begun); took > leaveTimeout+2*time.Second {
		t.Errorf("closing took %v, want about %v at most", took, leaveTimeout)
	}
}

func TestBatchIsFinishedDuringClose(t *testing.T) { testBatchIsFinishedDuringClose(t, fakeBed) }

func testBatchIsFinishedDuringClose(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	source := b.source("orders")
	source.Order = OrderPartition
	started := make(chan struct{})
	r := b.read(b.subscriber(source), func(m *message.Message, batch *Batch) {
		close(started)
		<-m.Context().Done()
		// What was begun is finished, the rest given back.
		for i := range 4 {
			batch.Done(i)
		}
		m.Ack()
	})
	<-started
	r.close(t)
	if got := b.committed("g-orders", "orders", 0); got != 4 {
		t.Errorf("committed %d, want 4", got)
	}
}

// TestGuardRefusesWhatIsNotOurs sends a commit that was prepared for another
// membership or another member's partition.
func TestGuardRefusesWhatIsNotOurs(t *testing.T) { testGuardRefusesWhatIsNotOurs(t, fakeBed) }

func testGuardRefusesWhatIsNotOurs(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	s := b.subscriber(b.source("orders"))
	r := b.read(s, nil)
	b.eventually("the commit", func() bool { return b.committed("g-orders", "orders", 0) == 10 })
	c := s.consumers[0]
	request := func(member, topic string) *kmsg.OffsetCommitRequest {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.MemberID = member
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = topic
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Offset = 3
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		return req
	}
	member, _ := c.client.GroupMetadata()
	ours := request(member, b.name("orders"))
	if err := c.guard(ours); err != nil {
		t.Fatal(err)
	}
	if got := ours.Topics[0].Partitions[0]; got.Offset != 10 || got.Metadata == nil {
		t.Errorf("the commit goes out as %d %v, want 10 and a note", got.Offset, got.Metadata)
	}
	if err := c.guard(request(member+"x", b.name("orders"))); err == nil {
		t.Error("a commit under another member id passed")
	}
	if err := c.guard(request(member, "other")); err == nil {
		t.Error("a commit of a partition that is not assigned passed")
	}
	// A client that was thrown out and joined again has another id, which a
	// commit through it then carries.
	p := c.partition(b.name("orders"), 0)
	c.mu.Lock()
	p.member = "an earlier self"
	c.mu.Unlock()
	b.write(numbered("orders", 0, 10, 5)...)
	b.eventually("15 records", func() bool { return r.count() == 15 })
	r.close(t)
	if got := b.committed("g-orders", "orders", 0); got != 10 {
		t.Errorf("committed %d under another member id, want 10", got)
	}
}

func TestPauseAndResume(t *testing.T) { testPauseAndResume(t, fakeBed) }

func testPauseAndResume(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 2)
	s := b.subscriber(b.source("orders"))
	s.Pause()
	r := b.read(s, nil)
	b.write(numbered("orders", 0, 0, 10)...)
	b.eventually("readiness", s.Ready)
	time.Sleep(300 * time.Millisecond)
	if n := r.count(); n != 0 {
		t.Errorf("%d records were read while paused", n)
	}
	s.Resume()
	b.eventually("10 records", func() bool { return r.count() == 10 })
	s.Pause()
	b.write(numbered("orders", 1, 0, 10)...)
	time.Sleep(300 * time.Millisecond)
	if n := r.count(); n != 10 {
		t.Errorf("%d records were read while paused again", n-10)
	}
	s.Resume()
	b.eventually("20 records", func() bool { return r.count() == 20 })
	r.close(t)
}

func TestStatusTellsLagOfTheBroker(t *testing.T) { testStatusTellsLagOfTheBroker(t, fakeBed) }

func testStatusTellsLagOfTheBroker(t *testing.T, newBed func(*testing.T) *bed) {
	t.Parallel()
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	release := make(chan struct{})
	s := b.subscriber(b.source("orders"))
	r := &reading{}
	reader := b.read(s, func(m *message.Message, batch *Batch) {
		<-release
		r.finish(batch)
		m.Ack()
	})
	b.eventually("10 pending records", func() bool { return s.InFlight() == 10 })
	s.Pause()
	b.write(numbered("orders", 0, 10, 7)...)
	b.eventually("a lag of 17", func() bool {
		st := s.Status()
		return len(st) == 1 && st[0] == PartitionStatus{Topic: b.name("orders"), Committed: 0, End: 17, Lag: 17, Pending: 10}
	})
	close(release)
	s.Resume()
	b.eventually("no lag", func() bool { st := s.Status(); return len(st) == 1 && st[0].Lag == 0 && st[0].Pending == 0 })
	reader.close(t)
	if st := s.Status(); len(st) != 0 || s.Ready() {
		t.Errorf("after closing: %v, ready %v", st, s.Ready())
	}
}

func TestStaticMemberKeepsItsPartitions(t *testing.T) { testStaticMemberKeepsItsPartitions(t, fakeBed) }

func testStaticMemberKeepsItsPartitions(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 2)
	source := b.source("orders")
	source.Instance = "pod-1"
	s := b.subscriber(source)
	r := b.read(s, nil)
	b.eventually("readiness", s.Ready)
	r.close(t)
	members := func() int {
		described, err := b.admin.DescribeGroups(t.Context(), b.name("g-orders"))
		if err != nil {
			t.Fatal(err)
		}
		return len(described[b.name("g-orders")].Members)
	}
	if n := members(); n != 1 {
		t.Errorf("%d members after closing, want the static one", n)
	}
	admin, err := NewAdmin(b.settings, b.deps())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.LeaveGroup(t.Context(), b.name("g-orders"), "pod-1"); err != nil {
		t.Fatal(err)
	}
	if n := members(); n != 0 {
		t.Errorf("%d members after leaving, want none", n)
	}
}

func TestSameInstanceTwiceStopsTheOlder(t *testing.T) { testSameInstanceTwiceStopsTheOlder(t, fakeBed) }

func testSameInstanceTwiceStopsTheOlder(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	source := b.source("orders")
	source.Instance = "pod-1"
	source.SessionTimeout = 6 * time.Second
	why := make(chan error, 1)
	deps := b.deps()
	deps.OnEnd = func(err error) { why <- err }
	old, err := NewSubscriber(b.settings, source, deps)
	if err != nil {
		t.Fatal(err)
	}
	first := b.read(old, nil)
	b.eventually("readiness", old.Ready)
	heir := b.subscriber(source)
	second := b.read(heir, nil)
	select {
	case <-first.ended:
	case <-time.After(patience):
		t.Fatal("the older one reads on")
	}
	if old.Ready() {
		t.Error("the older one is ready")
	}
	if err := <-why; !strings.Contains(err.Error(), "instance pod-1") {
		t.Errorf("it ended with %v", err)
	}
	b.write(numbered("orders", 0, 0, 10)...)
	b.eventually("10 records at the newer", func() bool { return second.count() == 10 })
	second.close(t)
	if got := b.committed("g-orders", "orders", 0); got != 10 {
		t.Errorf("committed %d, want 10", got)
	}
}
