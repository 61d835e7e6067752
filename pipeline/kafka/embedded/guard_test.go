package embedded

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A log that reached its limit refuses producers; they hold their records and go
// on once there is room, and nothing that was acknowledged is missing.
func TestALogThatIsFull(t *testing.T) {
	told := newAlarms()
	b := start(t, Config{SizeLimit: 1 << 20, watchEvery: 20 * time.Millisecond, OnAlarm: told.add})
	create(t, b, map[string]int32{"big": 1, "orders": 1})
	c := client(t, b.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }))
	produce(t, c, "orders", "before")
	filler := client(t, b.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	block := strings.Repeat("x", 100<<10)
	for b.guard.used.Load() < 1<<20-int64(len(block)) {
		produce(t, filler, "big", block)
	}
	// The block that would pass the limit is not taken.
	filler.Produce(t.Context(), &kgo.Record{Topic: "big", Value: []byte(block)}, nil)
	if a := told.wait(t, AlarmNearlyFull, false); !strings.Contains(a.Message, "of at most 1.0 MiB") {
		t.Errorf("said %q", a.Message)
	}
	if a := told.wait(t, AlarmFull, false); !strings.Contains(a.Message, "producers are refused") {
		t.Errorf("said %q", a.Message)
	}

	answer := produceRaw(t, c, b, "orders")
	if !errors.Is(kerr.ErrorForCode(answer.ErrorCode), kerr.KafkaStorageError) || answer.ErrorMessage == nil ||
		!strings.Contains(*answer.ErrorMessage, "1.0 MiB") {
		t.Errorf("answered %+v", answer)
	}

	held := make(chan error, 1)
	c.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("held")}, func(_ *kgo.Record, err error) { held <- err })
	// Reading and committing go on meanwhile.
	commitOffset(t, c, "invoices", "orders", 1)
	if got := read(t, b.Addr(), "orders"); len(got) != 1 {
		t.Errorf("read %v", got)
	}
	if _, err := kadm.NewClient(c).DeleteTopics(t.Context(), "big"); err != nil {
		t.Fatal(err)
	}
	filler.Close()
	told.wait(t, AlarmFull, true)
	told.wait(t, AlarmNearlyFull, true)
	if err := <-held; err != nil {
		t.Errorf("the record that was held: %v", err)
	}
	if got := read(t, b.Addr(), "orders"); len(got) != 2 || got[1] != "1 held" {
		t.Errorf("read %v", got)
	}
}

// produceRaw sends one produce request and returns the partition's answer.
func produceRaw(t *testing.T, c *kgo.Client, b *Broker, topic string) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	request := kmsg.NewPtrProduceRequest()
	request.Acks, request.TimeoutMillis = -1, 1000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = topic, topicID(t, c, topic)
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = emptyBatch(0, 0)
	rt.Partitions = append(rt.Partitions, rp)
	request.Topics = append(request.Topics, rt)
	answer, err := request.RequestWith(t.Context(), c.Broker(0))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Topics[0].Partitions[0]
}

func TestADiskThatIsFull(t *testing.T) {
	var free atomic.Int64
	free.Store(200 << 20)
	told := newAlarms()
	b := start(t, Config{
		watchEvery: 10 * time.Millisecond, OnAlarm: told.add,
		disk: func(string) (int64, int64, error) { return free.Load(), 1 << 30, nil },
	})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr(), kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }))
	produce(t, c, "orders", "one")
	if got := told.list(); len(got) != 0 {
		t.Fatalf("alarms %v", got)
	}
	// A twentieth of the disk is kept free.
	free.Store(80 << 20)
	told.wait(t, AlarmNearlyFull, false)
	produce(t, c, "orders", "two")
	free.Store(50 << 20)
	told.wait(t, AlarmFull, false)

	held := make(chan error, 1)
	c.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("three")}, func(_ *kgo.Record, err error) { held <- err })
	if got := endOf(t, c, "orders"); got != 2 {
		t.Errorf("a full disk took a record: the log ends at %d", got)
	}
	free.Store(500 << 20)
	told.wait(t, AlarmFull, true)
	if err := <-held; err != nil {
		t.Errorf("the record that was held: %v", err)
	}
	if got := endOf(t, c, "orders"); got != 3 {
		t.Errorf("the log ends at %d, want 3", got)
	}
}

// A client that waits for no answer gets none, and its connection goes on.
func TestAFullLogAndAProducerWithoutAcks(t *testing.T) {
	told := newAlarms()
	var free atomic.Int64
	free.Store(500 << 20)
	b := start(t, Config{
		watchEvery: 10 * time.Millisecond, OnAlarm: told.add,
		disk: func(string) (int64, int64, error) { return free.Load(), 1 << 30, nil },
	})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr(), kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	acked := client(t, b.Addr())
	produce(t, acked, "orders", "one")
	free.Store(1 << 20)
	told.wait(t, AlarmFull, false)
	// Nobody answers those two, so the broker tells when it has come to them.
	reached := make(chan struct{}, 16)
	b.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		reached <- struct{}{}
		return nil, nil, false
	})
	for range 2 {
		produce(t, c, "orders", "gone")
		<-reached
	}
	free.Store(500 << 20)
	told.wait(t, AlarmFull, true)
	produce(t, c, "orders", "two")
	produce(t, acked, "orders", "three")
	got := read(t, b.Addr(), "orders")
	if len(got) == 0 || got[0] != "0 one" {
		t.Errorf("read %v", got)
	}
	for _, record := range got {
		if strings.HasSuffix(record, "gone") {
			t.Errorf("a full log took a record: %v", got)
		}
	}
}

func TestTheGuardCountsConcurrently(t *testing.T) {
	told := newAlarms()
	b := start(t, Config{SizeLimit: 1 << 30, watchEvery: time.Hour, OnAlarm: told.add})
	before := b.guard.used.Load()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				b.guard.produced(10)
			}
		})
	}
	group.Wait()
	if got := b.guard.used.Load() - before; got != 80000 {
		t.Errorf("counted %d, want 80000", got)
	}
}
