package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
)

// patience is how long a test waits for what must come, soon how long that may
// take which waits for nothing.
const patience, soon = time.Minute, 10 * time.Second

// bed is a cluster in this process and a client beside the product.
type bed struct {
	*testing.T
	cluster  *kfake.Cluster
	settings Settings
	client   *kgo.Client
	admin    *kadm.Client
	// replicas is how many a topic gets, 1 where it is not set.
	replicas int16
	// suffix keeps the topics and groups of tests apart that share a cluster.
	suffix string

	mu     sync.Mutex
	alarms []Alarm
}

func newBed(t *testing.T, opts ...kfake.Opt) *bed {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	b := bedOn(t, Settings{Brokers: c.ListenAddrs()})
	b.cluster = c
	return b
}

// fakeBed is newBed as a test takes it that runs on other clusters too.
func fakeBed(t *testing.T) *bed {
	t.Helper()
	return newBed(t)
}

// bedOn is a client beside the product on any cluster.
func bedOn(t *testing.T, settings Settings) *bed {
	t.Helper()
	b := &bed{T: t, settings: settings}
	var err error
	b.client, err = kgo.NewClient(kgo.SeedBrokers(settings.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	b.admin = kadm.NewClient(b.client)
	return b
}

// name is what a topic or group is called on the cluster.
func (b *bed) name(short string) string { return short + b.suffix }

func (b *bed) deps() Deps {
	return Deps{Logger: slog.New(slog.NewTextHandler(testWriter{b.T}, nil)), OnAlarm: func(a Alarm) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.alarms = append(b.alarms, a)
	}}
}

// testWriter shows log lines of tests that fail.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Output().Write(p)
	return len(p), nil
}

func (b *bed) topic(name string, partitions int32) {
	b.Helper()
	b.topicWith(name, partitions, nil)
}

// topicWith makes a topic and waits until it can be used.
func (b *bed) topicWith(name string, partitions int32, configs map[string]*string) {
	b.Helper()
	b.eventually("topic "+name, func() bool {
		_, err := b.admin.CreateTopic(b.Context(), partitions, max(b.replicas, 1), configs, b.name(name))
		// One that is being deleted is still there for a while.
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			b.Fatal(err)
		}
		return err == nil
	})
	b.eventually("leaders of "+name, func() bool {
		ends, err := b.admin.ListEndOffsets(b.Context(), b.name(name))
		return err == nil && ends.Error() == nil && len(ends[b.name(name)]) == int(partitions)
	})
}

// write produces records with the reading client, to exact partitions.
func (b *bed) write(records ...*kgo.Record) {
	b.Helper()
	for _, r := range records {
		if !strings.HasSuffix(r.Topic, b.suffix) {
			r.Topic = b.name(r.Topic)
		}
	}
	if err := b.client.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
		b.Fatal(err)
	}
}

// numbered makes n records with keys k0…k9 whose value counts from first.
func numbered(topic string, partition int32, first, n int) []*kgo.Record {
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Partition: partition,
			Key: fmt.Appendf(nil, "k%d", (first+i)%10), Value: fmt.Appendf(nil, "%d", first+i)}
	}
	return records
}

func (b *bed) source(topic string) Source {
	return Source{Topics: []string{b.name(topic)}, Group: b.name("g-" + topic), CommitInterval: 20 * time.Millisecond,
		Drain: 5 * time.Second, FetchWait: 50 * time.Millisecond}
}

func (b *bed) subscriber(source Source) *Subscriber {
	b.Helper()
	s, err := NewSubscriber(b.settings, source, b.deps())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func (b *bed) committed(group, topic string, partition int32) int64 {
	b.Helper()
	fetched, err := fetchOffsets(b.Context(), b.admin, b.name(group))
	if err != nil {
		b.Fatal(err)
	}
	o, ok := fetched.Lookup(b.name(topic), partition)
	if !ok {
		return -1
	}
	return o.At
}

// alarmed waits for an alarm of a kind and returns it.
func (b *bed) alarmed(kind string) Alarm {
	b.Helper()
	var found Alarm
	b.eventually("alarm "+kind, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, a := range b.alarms {
			if a.Kind == kind && !a.Cleared {
				found = a
				return true
			}
		}
		return false
	})
	return found
}

func (b *bed) eventually(what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%s did not come about", what)
		}
	}
}

// reading is a subscription whose messages are handled by a function.
type reading struct {
	*Subscriber
	suffix string
	ended  chan struct{}

	mu   sync.Mutex
	seen []*handlers.Record
}

// read handles each batch in a goroutine of its own, as a router does; handle
// nil finishes every record.
func (b *bed) read(s *Subscriber, handle func(m *message.Message, batch *Batch)) *reading {
	b.Helper()
	messages, err := s.Subscribe(b.Context(), "label")
	if err != nil {
		b.Fatal(err)
	}
	r := &reading{Subscriber: s, suffix: b.suffix, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		var work sync.WaitGroup
		for m := range messages {
			work.Go(func() {
				batch := BatchOf(m)
				if handle != nil {
					handle(m, batch)
					return
				}
				r.finish(batch)
				m.Ack()
			})
		}
		work.Wait()
	}()
	return r
}

func (r *reading) finish(batch *Batch) {
	r.mu.Lock()
	r.seen = append(r.seen, batch.Records...)
	r.mu.Unlock()
	for i := range batch.Records {
		batch.Done(i)
	}
}

func (r *reading) records() []*handlers.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*handlers.Record(nil), r.seen...)
}

func (r *reading) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

func (r *reading) close(t testing.TB) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Fatal("the channel was not closed")
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// drain reads to the end.
func (b *bed) drain(r *Reader) []*handlers.Record {
	b.Helper()
	var all []*handlers.Record
	for {
		records, err := r.Next(within(b.T, patience))
		if err == io.EOF {
			return all
		}
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, records...)
	}
}

// murmur2Partitions asks the reading client's library where keys belong.
func murmur2Partitions(t *testing.T, records []*handlers.Record, n int) []int32 {
	t.Helper()
	topic := kgo.StickyKeyPartitioner(nil).ForTopic("out")
	partitions := make([]int32, len(records))
	for i, r := range records {
		partitions[i] = int32(topic.Partition(&kgo.Record{Key: r.Key}, n))
	}
	return partitions
}
