//go:build real

package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
)

func configs(pairs ...string) map[string]*string {
	all := map[string]*string{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = &pairs[i+1]
	}
	return all
}

// TestRealCompressionBothWays writes and reads with every compression, by
// both clients.
func TestRealCompressionBothWays(t *testing.T) {
	for _, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := realBed(t)
			b.topic("orders", 1)
			b.settings.Compression = name
			value := bytes.Repeat([]byte("compress me "), 1000)
			records := make([]*handlers.Record, 50)
			for i := range records {
				records[i] = &handlers.Record{Topic: b.name("orders"), Key: fmt.Appendf(nil, "%d", i), Value: value}
			}
			if err := b.publisher().Produce(within(t, patience), records); err != nil {
				t.Fatal(err)
			}
			c, err := codecOf(name)
			if err != nil {
				t.Fatal(err)
			}
			other, err := kgo.NewClient(kgo.SeedBrokers(b.settings.Brokers...), kgo.ProducerBatchCompression(c.kgo), kgo.DefaultProduceTopic(b.name("orders")))
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			for range 50 {
				other.Produce(t.Context(), &kgo.Record{Value: value}, nil)
			}
			if err := other.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := b.read(b.subscriber(b.source("orders")), nil)
			b.eventually("100 records", func() bool { return r.count() == 100 })
			r.close(t)
			for _, rec := range r.records() {
				if !bytes.Equal(rec.Value, value) {
					t.Fatal("a value differs")
				}
			}
		})
	}
}

// TestRealTransactionsOfOthers reads what a transactional producer wrote:
// aborted records never come, and neither they nor the marks that end
// transactions hold the commit back.
func TestRealTransactionsOfOthers(t *testing.T) {
	t.Parallel()
	b := realBed(t)
	b.topic("orders", 1)
	writer, err := kgo.NewClient(kgo.SeedBrokers(b.settings.Brokers...), kgo.TransactionalID(b.name("tx")), kgo.DefaultProduceTopic(b.name("orders")))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	r := b.read(b.subscriber(b.source("orders")), nil)
	const rounds, each = 20, 50
	for round := range rounds {
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		kept := round%2 == 0
		for range each {
			writer.Produce(t.Context(), &kgo.Record{Value: fmt.Appendf(nil, "%v", kept)}, nil)
		}
		if err := writer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := writer.EndTransaction(t.Context(), kgo.TransactionEndTry(kept)); err != nil {
			t.Fatal(err)
		}
	}
	b.eventually("the committed records", func() bool { return r.count() >= rounds/2*each })
	b.write(&kgo.Record{Topic: "orders", Value: []byte("true")})
	end := int64(rounds*(each+1) + 1)
	b.eventually("a commit at the end", func() bool { return b.committed("g-orders", "orders", 0) == end })
	r.close(t)
	for _, rec := range r.records() {
		if string(rec.Value) != "true" {
			t.Fatal("an aborted record was read")
		}
	}
	if got := r.count(); got != rounds/2*each+1 {
		t.Errorf("%d records, want %d", got, rounds/2*each+1)
	}
}

// TestRealCompactedTopic reads a log that has gaps in its offsets.
func TestRealCompactedTopic(t *testing.T) {
	t.Parallel()
	b := realBed(t)
	b.topicWith("orders", 1, configs("cleanup.policy", "compact", "segment.bytes", "1048576", "segment.ms", "100",
		"min.cleanable.dirty.ratio", "0.001", "min.compaction.lag.ms", "0"))
	const n = 2000
	b.write(numbered("orders", 0, 0, n)...)
	left := n
	next := n
	b.eventually("compaction", func() bool {
		// Only closed segments are compacted, and a write closes an old one.
		b.write(numbered("orders", 0, next, 1)...)
		next++
		left = len(b.drain(b.reader("orders")))
		return left < n/2
	})
	r := b.read(b.subscriber(b.source("orders")), nil)
	b.eventually("a commit at the end", func() bool { return b.committed("g-orders", "orders", 0) == int64(next) })
	r.close(t)
	newest := map[string]string{}
	for _, rec := range r.records() {
		newest[string(rec.Key)] = string(rec.Value)
	}
	if r.count() >= n || len(newest) != 10 {
		t.Errorf("%d records with %d keys", r.count(), len(newest))
	}
	if got, want := newest[fmt.Sprintf("k%d", (next-1)%10)], fmt.Sprint(next-1); got != want {
		t.Errorf("the newest value of the last key is %s, want %s", got, want)
	}
}

func (b *bed) reader(topic string) *Reader {
	b.Helper()
	r, err := NewReader(b.settings, b.deps(), b.name(topic), ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(r.Close)
	return r
}

// TestRealLogAppendTime takes the broker's time where the topic says so.
func TestRealLogAppendTime(t *testing.T) {
	t.Parallel()
	b := realBed(t)
	b.topicWith("orders", 1, configs("message.timestamp.type", "LogAppendTime"))
	before := time.Now().Add(-time.Minute)
	records := numberedRecords(b.name("orders"), 10)
	for _, r := range records {
		r.Time = time.UnixMilli(1_000_000_000_000)
	}
	if err := b.publisher().Produce(within(t, patience), records); err != nil {
		t.Fatal(err)
	}
	r := b.read(b.subscriber(b.source("orders")), nil)
	b.eventually("10 records", func() bool { return r.count() == 10 })
	r.close(t)
	for _, rec := range r.records() {
		if rec.Time.Before(before) {
			t.Errorf("time %v", rec.Time)
		}
	}
}

// TestRealTooLargeRecordsFailAlone writes records near and over the topic's
// limit among innocent ones.
func TestRealTooLargeRecordsFailAlone(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{10_000, 1_048_588} {
		b := realBed(t)
		b.topicWith("orders", 1, configs("max.message.bytes", fmt.Sprint(limit)))
		sizes := []int{10, limit - 100, limit + 1, 10, limit * 2, limit - 200, 10}
		var records []*handlers.Record
		for i := range 3 {
			for _, size := range sizes {
				records = append(records, &handlers.Record{Topic: b.name("orders"), Key: fmt.Appendf(nil, "k%d", i), Value: bytes.Repeat([]byte{'x'}, size)})
			}
		}
		err := b.publisher().Produce(within(t, patience), records)
		var want int
		for i, r := range records {
			f := handlers.FailureOf(err, i)
			if len(r.Value) <= limit {
				want++
				if f != nil {
					t.Errorf("a record of %d with a limit of %d: %v", len(r.Value), limit, f)
				}
				continue
			}
			if f == nil || f.Class != handlers.NotApplied || !errors.Is(f, handlers.ErrTooLarge) {
				t.Errorf("a record of %d with a limit of %d: %v", len(r.Value), limit, f)
			}
		}
		r := b.read(b.subscriber(b.source("orders")), nil)
		b.eventually("the innocent records", func() bool { return r.count() >= want })
		r.close(t)
		if r.count() != want {
			t.Errorf("%d records, want %d", r.count(), want)
		}
	}
}

// TestRealLargeRecords takes records of 10 MB through a topic that allows them.
func TestRealLargeRecords(t *testing.T) {
	t.Parallel()
	b := realBed(t)
	b.topicWith("orders", 1, configs("max.message.bytes", "16000000"))
	records := numberedRecords(b.name("orders"), 6)
	for i := range records[:5] {
		records[i].Value = bytes.Repeat([]byte{byte('a' + i)}, 10<<20)
	}
	if err := b.publisher().Produce(within(t, patience), records); err != nil {
		t.Fatal(err)
	}
	r := b.read(b.subscriber(b.source("orders")), nil)
	b.eventually("6 records", func() bool { return r.count() == 6 })
	r.close(t)
	for _, rec := range r.records() {
		if !bytes.Equal(rec.Value, records[rec.Offset].Value) {
			t.Errorf("the value at %d differs", rec.Offset)
		}
	}
}

// TestRealMemberTellsWhoItIs shows the client id and the rack to the cluster.
func TestRealMemberTellsWhoItIs(t *testing.T) {
	t.Parallel()
	b := realBed(t)
	b.topic("orders", 1)
	b.settings.ClientID, b.settings.Rack = "shop", "eu-1a"
	s := b.subscriber(b.source("orders"))
	r := b.read(s, nil)
	b.eventually("readiness", s.Ready)
	described, err := b.admin.DescribeGroups(t.Context(), b.name("g-orders"))
	if err != nil {
		t.Fatal(err)
	}
	m := described[b.name("g-orders")].Members[0]
	join, _ := m.Join.AsConsumer()
	if m.ClientID != "shop" || join == nil || join.Rack == nil || *join.Rack != "eu-1a" {
		t.Errorf("client id %q, join %+v", m.ClientID, join)
	}
	r.close(t)
}

// TestRealSlowPartitionHoldsNobody blocks one partition for good: the others of
// the same broker and client go on, and what waits is bounded.
func TestRealSlowPartitionHoldsNobody(t *testing.T) {
	t.Parallel()
	testSlowPartitionHoldsNobody(t, realBed)
}
