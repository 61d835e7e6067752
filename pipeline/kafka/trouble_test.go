package kafka

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reset commits an offset as another tool would.
func (b *bed) reset(group, topic string, partition int32, offset int64, metadata string) {
	b.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: b.name(topic), Partition: partition, At: offset, LeaderEpoch: -1, Metadata: metadata})
	if err := b.admin.CommitAllOffsets(b.Context(), b.name(group), offsets); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) deleteBefore(topic string, partition int32, offset int64) {
	b.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(b.name(topic), partition, offset, -1)
	if _, err := b.admin.DeleteRecords(b.Context(), offsets); err != nil {
		b.Fatal(err)
	}
}

func TestLostRangeStandsStillAndOthersGoOn(t *testing.T) {
	testLostRangeStandsStillAndOthersGoOn(t, fakeBed)
}

func testLostRangeStandsStillAndOthersGoOn(t *testing.T, newBed func(*testing.T) *bed) {
	for name, c := range map[string]struct {
		committed    int64
		kind, range_ string
	}{
		"below the log": {5, "out_of_range", "offsets 5 to 29"},
		"beyond it":     {500, "data_loss", "offsets 100 to 499"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.topic("orders", 2)
			for p := range int32(2) {
				b.write(numbered("orders", p, 0, 100)...)
			}
			b.deleteBefore("orders", 0, 30)
			b.reset("g-orders", "orders", 0, c.committed, "")
			s := b.subscriber(b.source("orders"))
			r := b.read(s, nil)
			a := b.alarmed(c.kind)
			if a.Partition != 0 || !strings.Contains(a.Message, c.range_) {
				t.Errorf("alarm %+v, want %q", a, c.range_)
			}
			b.eventually("the other partition's records", func() bool { return r.count() == 100 })
			b.write(numbered("orders", 1, 100, 10)...)
			b.eventually("more of them", func() bool { return r.count() == 110 })
			if low := r.lowest("orders", 0); low != -1 {
				t.Errorf("the partition that stands still was read from %d", low)
			}
			if st := s.Status()[0]; st.Alarm == "" {
				t.Error("the status names no alarm")
			}
			r.close(t)
			if got := b.committed("g-orders", "orders", 0); got != c.committed {
				t.Errorf("committed %d, want the untouched %d", got, c.committed)
			}
		})
	}
}

func TestLostRangeIsPassedOverWhereTheSourceSaysSo(t *testing.T) {
	testLostRangeIsPassedOverWhereTheSourceSaysSo(t, fakeBed)
}

func testLostRangeIsPassedOverWhereTheSourceSaysSo(t *testing.T, newBed func(*testing.T) *bed) {
	for _, committed := range []int64{5, 500} {
		b := newBed(t)
		b.topic("orders", 1)
		b.write(numbered("orders", 0, 0, 100)...)
		b.deleteBefore("orders", 0, 30)
		b.reset("g-orders", "orders", 0, committed, "")
		source := b.source("orders")
		source.ResetOutOfRange = true
		r := b.read(b.subscriber(source), nil)
		b.eventually("70 records", func() bool { return r.count() == 70 })
		r.close(t)
		if got := b.committed("g-orders", "orders", 0); got != 100 {
			t.Errorf("committed %d, want 100", got)
		}
	}
}

// holdFetches stops the cluster from answering fetches until release is called.
// It returns once one is being held; wake must make one that waits return.
func (b *bed) holdFetches(wake func()) (release func()) {
	b.Helper()
	hold := make(chan struct{})
	var held atomic.Bool
	b.cluster.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		held.Store(true)
		b.cluster.SleepControl(func() { <-hold })
		return nil, nil, false
	})
	wake()
	b.eventually("a fetch to hold", held.Load)
	return func() { close(hold) }
}

func TestLogThatShrinksWhileItIsRead(t *testing.T) {
	for _, reset := range []bool{false, true} {
		b := newBed(t)
		b.topic("orders", 2)
		b.write(numbered("orders", 0, 0, 10)...)
		source := b.source("orders")
		source.ResetOutOfRange = reset
		r := b.read(b.subscriber(source), nil)
		b.eventually("10 records", func() bool { return r.count() == 10 })
		release := b.holdFetches(func() { b.write(numbered("orders", 0, 10, 1)...) })
		b.write(numbered("orders", 0, 11, 89)...)
		b.deleteBefore("orders", 0, 50)
		release()
		if a := b.alarmed("out_of_range"); !strings.Contains(a.Message, "to 49 are no longer in the log") {
			t.Errorf("alarm %+v", a)
		}
		b.write(numbered("orders", 1, 0, 5)...)
		beyond := func() (n int) {
			for _, rec := range r.records() {
				if rec.Partition == 0 && rec.Offset >= 50 {
					n++
				}
			}
			return n
		}
		b.eventually("the other partition's records", func() bool { return r.lowest("orders", 1) == 0 })
		want := 0
		if reset {
			want = 50
			b.eventually("what is left of the log", func() bool { return beyond() == 50 })
		}
		r.close(t)
		if got := beyond(); got != want {
			t.Errorf("reset %v: %d records behind the lost ones, want %d", reset, got, want)
		}
	}
}

func TestTopicMadeAgainWhileStopped(t *testing.T) { testTopicMadeAgainWhileStopped(t, fakeBed) }

func testTopicMadeAgainWhileStopped(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	r := b.read(b.subscriber(b.source("orders")), nil)
	b.eventually("10 records", func() bool { return r.count() == 10 })
	r.close(t)
	fetched, err := b.admin.FetchOffsets(t.Context(), b.name("g-orders"))
	if err != nil {
		t.Fatal(err)
	}
	old, _ := fetched.Lookup(b.name("orders"), 0)
	if _, ok := parseNote(old.Metadata); !ok {
		t.Fatalf("the commit carries %q", old.Metadata)
	}
	if _, err := b.admin.DeleteTopic(t.Context(), b.name("orders")); err != nil {
		t.Fatal(err)
	}
	b.client.PurgeTopicsFromClient(b.name("orders"))
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 20)...)
	// A commit of the old incarnation that came late.
	b.reset("g-orders", "orders", 0, 10, old.Metadata)
	r = b.read(b.subscriber(b.source("orders")), nil)
	b.alarmed("topic_recreated")
	b.eventually("20 records of the new one", func() bool { return r.count() == 20 })
	r.close(t)
	if got := b.committed("g-orders", "orders", 0); got != 20 {
		t.Errorf("committed %d, want 20", got)
	}
}

func TestTopicMadeAgainWhileItIsRead(t *testing.T) { testTopicMadeAgainWhileItIsRead(t, fakeBed) }

func testTopicMadeAgainWhileItIsRead(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	b.topic("calm", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	source := b.source("orders")
	source.Topics = append(source.Topics, b.name("calm"))
	r := b.read(b.subscriber(source), nil)
	b.eventually("10 records", func() bool { return r.count() == 10 })
	if _, err := b.admin.DeleteTopic(t.Context(), b.name("orders")); err != nil {
		t.Fatal(err)
	}
	b.client.PurgeTopicsFromClient(b.name("orders"))
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 100, 20)...)
	b.write(numbered("calm", 0, 0, 5)...)
	b.alarmed("topic_recreated")
	b.eventually("the new one's and the other topic's records", func() bool { return r.count() == 35 })
	r.close(t)
	if got := b.committed("g-orders", "orders", 0); got != 20 {
		t.Errorf("committed %d, want 20", got)
	}
}

func TestBatchThatDecompressesTooFarIsHandedOutAsOneRecord(t *testing.T) {
	testBatchThatDecompressesTooFarIsHandedOutAsOneRecord(t, fakeBed)
}

func testBatchThatDecompressesTooFarIsHandedOutAsOneRecord(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topicWith("orders", 2, map[string]*string{"max.message.bytes": kmsg.StringPtr("200000000")})
	limit := int32(200 << 20)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.settings.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(time.Second),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(limit), kgo.BrokerMaxWriteBytes(limit))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b.write(numbered("orders", 0, 0, 10)...)
	value := make([]byte, 20<<20)
	bomb := []*kgo.Record{{Value: value}, {Value: value}, {Value: value}}
	for _, r := range bomb {
		r.Topic = b.name("orders")
	}
	if err := client.ProduceSync(t.Context(), bomb...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.write(numbered("orders", 0, 10, 10)...)
	b.write(numbered("orders", 1, 0, 10)...)
	source := b.source("orders")
	source.MaxRecordBytes = 1 << 20
	var mu sync.Mutex
	unreadable := map[int64]string{}
	r := &reading{suffix: b.suffix}
	reader := b.read(b.subscriber(source), func(m *message.Message, batch *Batch) {
		mu.Lock()
		for i, err := range batch.Unreadable {
			unreadable[batch.Records[i].Offset] = err.Error()
		}
		mu.Unlock()
		r.finish(batch)
		m.Ack()
	})
	b.eventually("the other records and one for the batch", func() bool { return r.count() == 31 })
	b.eventually("the commit behind it", func() bool { return b.committed("g-orders", "orders", 0) == 23 })
	reader.close(t)
	mu.Lock()
	defer mu.Unlock()
	if len(unreadable) != 1 || !strings.Contains(unreadable[10], "offsets 10 to 12") {
		t.Errorf("unreadable: %v", unreadable)
	}
}

func TestStoreEpochStandsBesideTheCommit(t *testing.T) {
	testStoreEpochStandsBesideTheCommit(t, fakeBed)
}

func testStoreEpochStandsBesideTheCommit(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	run := func(epoch string) (told string) {
		deps := b.deps()
		deps.Epoch = func() string { return epoch }
		deps.OnEpoch = func(topic string, partition int32, committed, current string) { told = committed + "→" + current }
		s, err := NewSubscriber(b.settings, b.source("orders"), deps)
		if err != nil {
			t.Fatal(err)
		}
		r := b.read(s, nil)
		b.eventually("a placed partition", func() bool { st := s.Status(); return len(st) == 1 && st[0].End == 10 && st[0].Committed == 10 })
		r.close(t)
		return told
	}
	if told := run("one"); told != "" {
		t.Errorf("told %q on the first run", told)
	}
	if told := run("one"); told != "" {
		t.Errorf("told %q with the same epoch", told)
	}
	if told := run("two"); told != "one→two" {
		t.Errorf("told %q, want one→two", told)
	}
}

// TestDataLossWhileItIsRead hands the reader what the client answers when a log
// was cut off behind a leader epoch, and had jumped to its end.
func TestDataLossWhileItIsRead(t *testing.T) {
	for _, reset := range []bool{false, true} {
		b := newBed(t)
		b.topic("orders", 2)
		b.write(numbered("orders", 0, 0, 10)...)
		source := b.source("orders")
		source.ResetOutOfRange = reset
		s := b.subscriber(source)
		r := b.read(s, nil)
		b.eventually("10 records", func() bool { return r.count() == 10 })
		c := s.consumers[0]
		c.fetchFailed(c.partition("orders", 0), "orders", &kgo.ErrDataLoss{Topic: "orders", ConsumedTo: 50, ResetTo: 10})
		if a := b.alarmed("data_loss"); !strings.Contains(a.Message, "offsets 10 to 49") {
			t.Errorf("alarm %+v", a)
		}
		b.write(numbered("orders", 0, 10, 5)...)
		b.write(numbered("orders", 1, 0, 5)...)
		want := 15
		if reset {
			// The first ten come again.
			want = 30
		}
		b.eventually("the records that may be read", func() bool { return r.count() == want })
		r.close(t)
	}
}
