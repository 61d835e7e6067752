package kafka

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestNackedBatchComesAgainInOrder(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 1000)...)
	var nacks atomic.Int32
	var r *reading
	s := b.subscriber(b.source("orders"))
	ready := make(chan struct{})
	r = b.read(s, func(m *message.Message, batch *Batch) {
		<-ready
		// Every lane refuses twice, having finished the first half.
		if nacks.Add(1) <= 16 {
			half := NewBatch("", 0, batch.TopicID, 0, batch.Records[:len(batch.Records)/2], batch.Done)
			r.finish(half)
			m.Nack()
			return
		}
		r.finish(batch)
		m.Ack()
	})
	close(ready)
	b.eventually("1000 records", func() bool { return r.count() >= 1000 })
	r.close(t)
	if r.count() != 1000 {
		t.Fatalf("%d records finished, want each of 1000 once", r.count())
	}
	checkKeyOrder(t, r.records())
}

func TestUnfinishedSpanIsBoundedAndOthersGoOn(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 2)
	source := b.source("orders")
	source.MaxPending, source.FetchMax = 100, 4096
	release := make(chan struct{})
	r := &reading{}
	var once sync.Once
	stuck := make(chan struct{})
	reader := b.read(b.subscriber(source), func(m *message.Message, batch *Batch) {
		if batch.Partition == 0 && batch.Records[0].Offset == 0 {
			once.Do(func() { close(stuck) })
			<-release
		}
		r.finish(batch)
		m.Ack()
	})
	b.write(numbered("orders", 0, 0, 1)...)
	<-stuck
	for i := range 50 {
		b.write(numbered("orders", 0, 1+i*100, 100)...)
	}
	b.write(numbered("orders", 1, 0, 5000)...)
	b.eventually("the other partition's 5000 records", func() bool {
		n := 0
		for _, rec := range r.records() {
			if rec.Partition == 1 {
				n++
			}
		}
		return n == 5000
	})
	delivered := r.count() - 5000
	if delivered > 1000 {
		t.Errorf("%d records passed the one that is stuck; the bound is 100 and what one fetch brings", delivered)
	}
	close(release)
	b.eventually("all records", func() bool { return r.count() == 10001 })
	reader.close(t)
	checkKeyOrder(t, r.records())
	if got := b.committed("g-orders", "orders", 0); got != 5001 {
		t.Errorf("committed %d, want 5001", got)
	}
}

func TestOrders(t *testing.T) {
	for _, order := range []Order{OrderKey, OrderPartition, OrderNone} {
		t.Run(string(order), func(t *testing.T) {
			b := newBed(t)
			b.topic("orders", 1)
			records := numbered("orders", 0, 0, 2000)
			for i := range records {
				if i%2 == 0 {
					records[i].Key = nil
				}
			}
			b.write(records...)
			source := b.source("orders")
			source.Order, source.MaxBatch = order, 50
			r := &reading{}
			var now, most atomic.Int32
			gate := make(chan struct{})
			reader := b.read(b.subscriber(source), func(m *message.Message, batch *Batch) {
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				if len(batch.Records) > 50 {
					t.Errorf("a batch of %d, want 50 at most", len(batch.Records))
				}
				if order == OrderNone {
					<-gate
				}
				r.finish(batch)
				now.Add(-1)
				m.Ack()
			})
			if order == OrderNone {
				b.eventually("eight batches in flight", func() bool { return now.Load() == 8 })
				close(gate)
			}
			b.eventually("2000 records", func() bool { return r.count() == 2000 })
			reader.close(t)
			if order == OrderPartition && most.Load() != 1 {
				t.Errorf("%d batches in flight at once, want 1", most.Load())
			}
			if order == OrderNone {
				return
			}
			// Keyless records are one sequence, and so is each key.
			checkKeyOrder(t, r.records())
		})
	}
}

func TestRecordsArriveAsTheyWereWritten(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(
		&kgo.Record{Topic: "orders", Value: []byte("no key")},
		&kgo.Record{Topic: "orders", Key: []byte{}, Value: []byte{}},
		&kgo.Record{Topic: "orders", Key: []byte("tombstone")},
		&kgo.Record{Topic: "orders", Key: []byte("h"), Value: []byte("v"), Headers: []kgo.RecordHeader{
			{Key: "a", Value: []byte("1")}, {Key: "b"}, {Key: "a", Value: []byte{}}}},
	)
	r := b.read(b.subscriber(b.source("orders")), nil)
	b.eventually("4 records", func() bool { return r.count() == 4 })
	r.close(t)
	got := map[int64]string{}
	for _, rec := range r.records() {
		got[rec.Offset] = fmt.Sprintf("%#v %#v %d", rec.Key, rec.Value, len(rec.Headers))
		if rec.Offset == 3 {
			for i, want := range []string{`a []byte{0x31}`, `b []byte(nil)`, `a []byte{}`} {
				if h := fmt.Sprintf("%s %#v", rec.Headers[i].Key, rec.Headers[i].Value); h != want {
					t.Errorf("header %d: %s, want %s", i, h, want)
				}
			}
		}
	}
	for offset, want := range []string{
		`[]byte(nil) []byte{0x6e, 0x6f, 0x20, 0x6b, 0x65, 0x79} 0`,
		`[]byte{} []byte{} 0`,
		`[]byte{0x74, 0x6f, 0x6d, 0x62, 0x73, 0x74, 0x6f, 0x6e, 0x65} []byte(nil) 0`,
		`[]byte{0x68} []byte{0x76} 3`,
	} {
		if got[int64(offset)] != want {
			t.Errorf("record %d: %s, want %s", offset, got[int64(offset)], want)
		}
	}
}

func TestSlowPartitionHoldsNobody(t *testing.T) { testSlowPartitionHoldsNobody(t, fakeBed) }

func testSlowPartitionHoldsNobody(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 3)
	const n = 10_000
	for p := range int32(3) {
		records := numbered("orders", p, 0, n)
		for _, r := range records {
			r.Value = append(r.Value, make([]byte, 1000)...)
		}
		b.write(records...)
	}
	source := b.source("orders")
	source.MaxPending = 1000
	s := b.subscriber(source)
	release := make(chan struct{})
	r := &reading{suffix: b.suffix}
	reader := b.read(s, func(m *message.Message, batch *Batch) {
		if batch.Partition == 1 {
			<-release
		}
		r.finish(batch)
		m.Ack()
	})
	b.eventually("the others' records", func() bool { return r.count() == 2*n })
	for _, st := range s.Status() {
		// A few fetches may be on their way when the bound is reached.
		if st.Partition == 1 && (st.Pending < 1000 || st.Pending > n/2) {
			t.Errorf("%d records wait, want about 1000", st.Pending)
		}
	}
	close(release)
	b.eventually("all records", func() bool { return r.count() == 3*n })
	reader.close(t)
}
