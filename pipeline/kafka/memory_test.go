package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/oversize"
)

// sharing is a subscriber that takes memory from a pool.
func (b *bed) sharing(source Source, held *memory.Pool) *Subscriber {
	b.Helper()
	deps := b.deps()
	deps.Held = held
	s, err := NewSubscriber(b.settings, source, deps)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// watchHeap looks at the heap until stop, which returns its peak. Meanwhile the collector
// works towards limit, as in a process with a GOMEMLIMIT: without one a peak is what it
// left lying about, up to twice of what lives.
func watchHeap(t *testing.T, limit int64) (stop func() uint64) {
	before := debug.SetMemoryLimit(limit)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	runtime.GC()
	end, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var m runtime.MemStats
		most := uint64(0)
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-end:
				peak <- most
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(end); return <-peak }
}

func TestManyBombsTakeTheirTimeAndNotTheProcess(t *testing.T) {
	testManyBombsTakeTheirTimeAndNotTheProcess(t, fakeBed)
}

// Each batch is a few kilobytes, and 30 MiB once it is decompressed: all at once they
// are 720.
func testManyBombsTakeTheirTimeAndNotTheProcess(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	const partitions, each, size = 3, 8, 30 << 20
	b.topic("orders", partitions)
	batch := bomb(t, 1, size)
	for p := range int32(partitions) {
		for i := range each {
			b.write(numbered("orders", p, i, 1)...)
			b.produceRaw("orders", p, batch)
		}
		b.write(numbered("orders", p, each, 1)...)
	}
	source := b.source("orders")
	source.MaxRecordBytes = 1 << 20
	held := memory.NewPool(100<<20, 1)
	var mu sync.Mutex
	large := 0
	r := &reading{suffix: b.suffix}
	most := int64(0)
	peak := watchHeap(t, 256<<20)
	reader := b.read(b.sharing(source, held), func(m *message.Message, batch *Batch) {
		mu.Lock()
		most = max(most, held.Used())
		for i, err := range batch.Unreadable {
			rec := batch.Records[i]
			e, ok := errors.AsType[*oversize.Error](err)
			if !ok || e.Value == nil || e.Value.Bytes != size || rec.Value != nil || rec.Time.IsZero() {
				t.Errorf("offset %d: %v, %d bytes", rec.Offset, err, len(rec.Value))
				continue
			}
			large++
		}
		mu.Unlock()
		r.finish(batch)
		m.Ack()
	})
	b.eventually("all records", func() bool { return r.count() == partitions*(2*each+1) })
	b.eventually("all of the memory back", func() bool { return held.Used() == 0 })
	for p := range int32(partitions) {
		b.eventually("the commit at the end", func() bool { return b.committed("g-orders", "orders", p) == 2*each+1 })
	}
	reader.close(t)
	if large != partitions*each {
		t.Errorf("%d records were handed out without their value, want %d", large, partitions*each)
	}
	if most > held.Size() {
		t.Errorf("%d bytes were taken of %d", most, held.Size())
	}
	if got := peak(); got > 350<<20 {
		t.Errorf("a heap of %d MiB", got>>20)
	} else {
		t.Logf("a heap of %d MiB", got>>20)
	}
}

// Many batches that are too large, on several partitions at once: the client throws
// the error of one away when another one's is dealt with.
func TestManyBatchesThatDecompressTooFar(t *testing.T) {
	b := newBed(t)
	const partitions, each = 6, 4
	b.topic("orders", partitions)
	batch := batchOf(kgo.CodecZstd, 1, compress(t, kgo.ZstdCompression(), rawRecords(rawRecord(0, nil, []byte("v"), 4<<20, make([]byte, 8<<20)))))
	for p := range int32(partitions) {
		for i := range each {
			b.produceRaw("orders", p, batch)
			b.write(numbered("orders", p, i, 1)...)
		}
	}
	source := b.source("orders")
	source.MaxRecordBytes = 1 << 20
	r := b.read(b.sharing(source, memory.NewPool(64<<20, 1)), nil)
	b.eventually("all records, and one for each batch", func() bool { return r.count() == 2*partitions*each })
	r.close(t)
}

// What one pipeline holds and can't finish must not keep another one from going on,
// nor its own other partitions.
func TestWhatIsHeldForLongKeepsNobodyElse(t *testing.T) {
	b := newBed(t)
	b.topic("slow", 4)
	b.topic("quick", 1)
	value := bytes.Repeat([]byte("0123456789abcdef"), 1<<14) // 256 KiB
	for p := range int32(4) {
		for range 20 {
			b.write(&kgo.Record{Topic: "slow", Partition: p, Value: value})
		}
	}
	held := memory.NewPool(16<<20, 2)
	release := make(chan struct{})
	seen := [4]atomic.Int32{}
	slow := &reading{}
	slowly := b.read(b.sharing(b.source("slow"), held), func(m *message.Message, batch *Batch) {
		seen[batch.Partition].Add(1)
		<-release
		slow.finish(batch)
		m.Ack()
	})
	b.eventually("a batch of every partition", func() bool {
		for p := range seen {
			if seen[p].Load() == 0 {
				return false
			}
		}
		return true
	})
	for i := range 30 {
		b.write(&kgo.Record{Topic: "quick", Value: fmt.Appendf(value[:len(value):len(value)], "%d", i)})
	}
	quick := b.read(b.sharing(b.source("quick"), held), nil)
	b.eventually("the other pipeline's records", func() bool { return quick.count() == 30 })
	if slow.count() != 0 {
		t.Error("the slow records were finished")
	}
	close(release)
	b.eventually("the slow records", func() bool { return slow.count() == 80 })
	slowly.close(t)
	quick.close(t)
	if held.Used() != 0 {
		t.Errorf("%d bytes are taken after all", held.Used())
	}
}

func TestRecordThatIsTooLargeIsNotHeld(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	many := make([]kgo.RecordHeader, oversize.MaxHeaders+1)
	for i := range many {
		many[i].Key = fmt.Sprintf("h%d", i)
	}
	b.write(
		&kgo.Record{Topic: "orders", Key: []byte("a"), Value: make([]byte, 2000), Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("1")}}},
		&kgo.Record{Topic: "orders", Key: []byte("b"), Value: []byte("small")},
		&kgo.Record{Topic: "orders", Key: []byte("c"), Value: []byte("small"), Headers: many},
		&kgo.Record{Topic: "orders", Key: make([]byte, 600), Value: make([]byte, 600)},
	)
	source := b.source("orders")
	source.MaxRecordBytes = 1000
	var mu sync.Mutex
	why := map[int64]*oversize.Error{}
	r := &reading{}
	reader := b.read(b.subscriber(source), func(m *message.Message, batch *Batch) {
		mu.Lock()
		for i, err := range batch.Unreadable {
			why[batch.Records[i].Offset], _ = errors.AsType[*oversize.Error](err)
		}
		mu.Unlock()
		r.finish(batch)
		m.Ack()
	})
	b.eventually("the records", func() bool { return r.count() == 4 })
	reader.close(t)
	got := map[int64]*handlers.Record{}
	for _, rec := range r.records() {
		got[rec.Offset] = rec
	}
	if e := why[0]; e == nil || e.Value.Bytes != 2000 || e.Key != nil || e.Headers != nil || got[0].Value != nil || string(got[0].Key) != "a" || len(got[0].Headers) != 1 {
		t.Errorf("value: %+v, %+v", e, got[0])
	} else if *e.Value != *oversize.PartOf(make([]byte, 2000)) || !strings.Contains(e.Error(), "the record has 2007 bytes, 2000 of them its value, more than source.max_record_bytes (1000)") {
		t.Errorf("value: %+v, %v", e.Value, e)
	}
	if why[1] != nil || string(got[1].Value) != "small" {
		t.Errorf("small: %v, %+v", why[1], got[1])
	}
	if e := why[2]; e == nil || e.Headers == nil || e.Value != nil || len(got[2].Headers) != 0 || string(got[2].Value) != "small" {
		t.Errorf("headers: %+v", e)
	}
	// Neither is large by itself: both are kept.
	if e := why[3]; e == nil || len(got[3].Value) != 600 || len(got[3].Key) != 600 {
		t.Errorf("together: %+v", e)
	}
}
