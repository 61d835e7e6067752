package kafka

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// slowKey is a key that has a lane of its own beside k0, k1 and k2.
func slowKey(s *Subscriber) []byte {
	c := s.consumers[0]
	lane := func(key []byte) uint64 { return maphash.Bytes(c.seed, key) % uint64(c.source.Lanes) }
	for i := 0; ; i++ {
		key := fmt.Appendf(nil, "slow%d", i)
		if lane(key) != lane([]byte("k0")) && lane(key) != lane([]byte("k1")) && lane(key) != lane([]byte("k2")) {
			return key
		}
	}
}

func isSlow(batch *Batch) bool { return bytes.HasPrefix(batch.Records[0].Key, []byte("slow")) }

// slowAnd makes records of a key that a test holds back, at the given offsets,
// among n of others.
func slowAnd(s *Subscriber, n int, slow ...int) []*kgo.Record {
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: "orders", Key: fmt.Appendf(nil, "k%d", i%3), Value: fmt.Appendf(nil, "%d", i)}
	}
	for _, i := range slow {
		records[i].Key = slowKey(s)
	}
	return records
}

func TestFetchingResumesWhereverThePrefixMoves(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	source := b.source("orders")
	source.MaxPending, source.Lanes, source.FetchMax, source.CommitInterval = 1000, 64, 64<<10, time.Hour
	var finished atomic.Int64
	bound, one, rest := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := b.subscriber(source)
	b.read(s, func(m *message.Message, batch *Batch) {
		defer m.Ack()
		from := 0
		if isSlow(batch) {
			if <-bound; batch.Records[0].Offset == 200 {
				<-one
				batch.Done(0)
				from = 1
				<-rest
			}
		}
		for i := from; i < len(batch.Records); i++ {
			finished.Add(1)
			batch.Done(i)
		}
	})
	records := slowAnd(s, 3000, 0, 200, 950)
	for _, r := range records {
		r.Value = append(r.Value, bytes.Repeat([]byte(" "), 1000)...)
	}
	for i := 0; i < len(records); i += 50 {
		b.write(records[i : i+50]...)
	}
	full := func() bool {
		parts := s.consumers[0].assigned()
		if len(parts) == 0 {
			return false
		}
		parts[0].mu.Lock()
		defer parts[0].mu.Unlock()
		return parts[0].full
	}
	b.eventually("the bound", full)
	close(bound)
	close(one)
	// 950 is still unfinished: 1,000 more may be read, from there on.
	b.eventually("records beyond the old bound", func() bool { return finished.Load() > 1900 })
	close(rest)
	b.eventually("all records", func() bool { return finished.Load() == 2999 })
}

// given is the subscription's partition once it is being given up.
func given(b *bed, s *Subscriber) *partition {
	b.Helper()
	p := s.consumers[0].assigned()[0]
	b.eventually("the stop", p.ending.Load)
	return p
}

// closing begins a stop; the channel that it returns is closed at its end.
func closing(b *bed, s *Subscriber) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	return done
}

// What is finished behind something unfinished would come again: a stop delivers
// what lies before it, also where that waits for long, and nothing more.
func TestStopRepeatsNothingThatIsFinished(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	source := b.source("orders")
	source.Drain = 40 * time.Second
	source.MaxBatch = 2
	var others, slow atomic.Int32
	turn := make(chan struct{})
	s := b.subscriber(source)
	b.read(s, func(m *message.Message, batch *Batch) {
		defer m.Ack()
		for i, r := range batch.Records {
			if r.Offset > 500 && !isSlow(batch) {
				<-m.Context().Done()
				return
			}
			if isSlow(batch) {
				select {
				case <-turn:
				case <-m.Context().Done():
					return
				}
				slow.Add(1)
			} else {
				others.Add(1)
			}
			batch.Done(i)
		}
	})
	b.write(slowAnd(s, 1000, 10, 20, 30, 600, 610)...)
	b.eventually("the others", func() bool { return others.Load() == 501-3 })
	done := closing(b, s)
	given(b, s)
	time.Sleep(3 * time.Second) // it would have been given up after 2 s
	close(turn)
	<-done
	if n := slow.Load(); n != 3 {
		t.Errorf("%d records of the slow key were delivered, want the 3 that lie before what was finished", n)
	}
	if got := b.committed("g-orders", "orders", 0); got != 501 {
		t.Errorf("committed %d, want 501: what is finished comes again", got)
	}
}

// A stop does not wait for what nothing finished lies behind, nor for the sake
// of what may come again.
func TestStopWaitsForNothingElse(t *testing.T) {
	nothing := func(*Batch, int) {}
	for name, c := range map[string]struct{ slow, others func(*Batch, int) }{
		"nothing is finished": {nothing, nothing},
		"it may come again":   {nothing, (*Batch).Passed},
		"it can't be reached": {(*Batch).Stuck, (*Batch).Done},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.topic("orders", 1)
			source := b.source("orders")
			source.Drain = 10 * time.Minute
			var seen atomic.Int32
			s := b.subscriber(source)
			b.read(s, func(m *message.Message, batch *Batch) {
				defer m.Ack()
				seen.Add(int32(len(batch.Records)))
				if isSlow(batch) {
					c.slow(batch, 0)
				} else {
					for i := range batch.Records {
						c.others(batch, i)
					}
				}
				<-m.Context().Done()
			})
			b.write(slowAnd(s, 1000, 0)...)
			b.eventually("batches", func() bool { return seen.Load() > 100 })
			select {
			case <-closing(b, s):
			case <-time.After(patience):
				t.Fatal("the stop waits for what may as well come again")
			}
		})
	}
}

// Of a record with several sinks a part may be done.
func TestStopWaitsForTheRestOfARecord(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	var seen atomic.Int32
	s := b.subscriber(b.source("orders"))
	turn := make(chan struct{})
	b.read(s, func(m *message.Message, batch *Batch) {
		defer m.Ack()
		for i := range batch.Records {
			if i == 0 {
				batch.Begun(0)
				seen.Add(1)
				<-turn
			}
			if m.Context().Err() != nil {
				return
			}
			batch.Passed(i)
		}
	})
	b.write(slowAnd(s, 100, 0)...)
	b.eventually("a record that is half done", func() bool { return seen.Load() > 0 })
	done := closing(b, s)
	given(b, s)
	close(turn)
	<-done
	if got := b.committed("g-orders", "orders", 0); got < 1 {
		t.Errorf("committed %d: the part that was done comes again", got)
	}
}

func TestEffectsAndPartitionHaveOneDeadline(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	source := b.source("orders")
	source.Drain = 4 * time.Second
	left := make(chan time.Duration, 1)
	var others atomic.Int32
	s := b.subscriber(source)
	b.read(s, func(m *message.Message, batch *Batch) {
		defer m.Ack()
		if isSlow(batch) {
			<-m.Context().Done()
			left <- EffectsLeft(m.Context(), time.Hour)
			return
		}
		for i := range batch.Records {
			others.Add(1)
			batch.Done(i)
		}
	})
	b.write(slowAnd(s, 100, 0)...)
	b.eventually("the others", func() bool { return others.Load() == 99 })
	<-closing(b, s)
	if got := <-left; got > source.Drain/4 {
		t.Errorf("effects may go on for %s after 3 of 4 seconds", got)
	}
}

// A group that is just sharing its partitions out anew refuses commits.
func TestLastCommitIsTriedAgain(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	source := b.source("orders")
	source.CommitInterval = time.Hour
	b.write(numbered("orders", 0, 0, 100)...)
	reader := b.read(b.subscriber(source), nil)
	b.eventually("100 records", func() bool { return reader.count() == 100 })
	b.cluster.ControlKey(kmsg.OffsetCommit.Int16(), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		req := kreq.(*kmsg.OffsetCommitRequest)
		resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewOffsetCommitResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.RebalanceInProgress.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	reader.close(t)
	if got := b.committed("g-orders", "orders", 0); got != 100 {
		t.Errorf("committed %d, want 100: all of them come again", got)
	}
}

// The client may take an offset that it was told to fetch from for one to commit.
func TestMovedFetchCommitsOnlyWhatIsFinished(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	source := b.source("orders")
	source.Order = OrderPartition
	source.MaxBatch = 1
	b.write(numbered("orders", 0, 0, 5)...)
	s := b.subscriber(source)
	seen := make(chan int64, 100)
	b.read(s, func(m *message.Message, batch *Batch) {
		defer m.Ack()
		seen <- batch.Records[0].Offset
		if batch.Records[0].Offset == 3 {
			<-m.Context().Done()
			return
		}
		batch.Done(0)
	})
	b.eventually("record 3", func() bool { return <-seen == 3 })
	c := s.consumers[0]
	p := c.assigned()[0]
	b.write(numbered("orders", 0, 5, 95)...)
	if !c.moveTo(p, kgo.EpochOffset{Epoch: -1, Offset: 90}) {
		t.Fatal("it was not moved")
	}
	b.eventually("record 99", func() bool { return p.lastDelivered() == 100 })
	c.commit(t.Context(), []*partition{p})
	if got := b.committed("g-orders", "orders", 0); got != 3 {
		t.Errorf("committed %d while 3 is unfinished", got)
	}
	<-closing(b, s)
	if got := b.committed("g-orders", "orders", 0); got != 3 {
		t.Errorf("committed %d after a stop, and 3 was unfinished", got)
	}
}

// So it is where nothing was read from there yet.
func TestMovedFetchBeforeAnythingIsRead(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	s := b.subscriber(b.source("orders"))
	b.read(s, nil)
	b.eventually("the start", func() bool { return b.committed("g-orders", "orders", 0) == 0 })
	c := s.consumers[0]
	for _, p := range c.assigned() {
		c.moveTo(p, kgo.EpochOffset{Epoch: -1, Offset: 50})
		c.commit(t.Context(), []*partition{p})
	}
	<-closing(b, s)
	if got := b.committed("g-orders", "orders", 0); got != 0 {
		t.Errorf("committed %d, and nothing was read", got)
	}
}

// A member that stops while it waits for its first assignment leaves the group
// nothing to wait for.
func TestStopInTheMiddleOfAJoin(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	// Somebody who was killed: in the group, and silent.
	dead := kmsg.NewPtrJoinGroupRequest()
	dead.Group, dead.ProtocolType = "g-orders", "consumer"
	dead.SessionTimeoutMillis, dead.RebalanceTimeoutMillis = 45_000, 60_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = "cooperative-sticky"
	dead.Protocols = append(dead.Protocols, protocol)
	for range 2 {
		resp, err := dead.RequestWith(t.Context(), b.client)
		if err != nil {
			t.Fatal(err)
		}
		dead.MemberID = resp.MemberID
	}
	s := b.subscriber(b.source("orders"))
	b.read(s, func(m *message.Message, _ *Batch) { m.Ack() })
	members := func() int {
		groups, err := b.admin.DescribeGroups(t.Context(), "g-orders")
		if err != nil {
			t.Fatal(err)
		}
		return len(groups["g-orders"].Members)
	}
	b.eventually("the join", func() bool { return members() == 2 })
	select {
	case <-closing(b, s):
	case <-time.After(leaveTimeout - time.Second):
		t.Error("the stop waits for the join")
	}
	if n := members(); n != 1 {
		t.Errorf("%d members are in the group, want the silent one alone", n)
	}
}
