package kafka

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"
)

// malformed are batches of three records that no client can read as a whole, with
// what is said of them. Apache Kafka refuses to store them.
func malformed(t *testing.T) map[string]struct {
	batch []byte
	// read is how many records can be read, says what of the others.
	read int
	says string
} {
	sound := func(i int) []byte { return rawRecord(i, nil, fmt.Appendf(nil, "bad%d", i), 0, nil) }
	long := sound(1)
	long[3], long[4] = 0xd0, 0x0f // 1,000 bytes of value
	short := rawRecords(sound(0), long, sound(2))
	three := rawRecords(sound(0), sound(1), sound(2))
	torn := compress(t, kgo.GzipCompression(), three)
	torn[len(torn)-6] ^= 1
	return map[string]struct {
		batch []byte
		read  int
		says  string
	}{
		"a record that is longer than the batch":       {batchOf(kgo.CodecNone, 3, short), 1, "holds 3 records, of which only the first 1 can be read"},
		"the same, compressed":                         {batchOf(kgo.CodecZstd, 3, compress(t, kgo.ZstdCompression(), short)), 1, "holds 3 records, of which only the first 1 can be read"},
		"the first record at once":                     {batchOf(kgo.CodecNone, 3, rawRecords(long, sound(1), sound(2))), 0, "holds 3 records, of which only the first 0 can be read"},
		"fewer records than it says":                   {batchOf(kgo.CodecNone, 5, three), 3, "holds 5 records, of which only the first 3 can be read"},
		"no records":                                   {batchOf(kgo.CodecNone, 3, nil), 0, "can't be read"},
		"a compression that it does not have":          {batchOf(kgo.CodecZstd, 3, three), 0, "can't be read"},
		"a checksum of its compression that is broken": {batchOf(kgo.CodecGzip, 3, torn), 0, "can't be read"},
	}
}

func TestWhatCantBeReadIsHandedOutByItsOffsets(t *testing.T) {
	for name, c := range malformed(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.topic("orders", 2)
			b.write(numbered("orders", 0, 0, 10)...)
			b.produceRaw("orders", 0, c.batch)
			behind := b.end("orders", 0)
			b.write(numbered("orders", 0, 10, 10)...)
			b.write(numbered("orders", 1, 0, 10)...)
			var mu sync.Mutex
			unreadable := map[int64]string{}
			r := &reading{}
			reader := b.read(b.subscriber(b.source("orders")), func(m *message.Message, batch *Batch) {
				mu.Lock()
				for i, err := range batch.Unreadable {
					unreadable[batch.Records[i].Offset] = err.Error()
				}
				mu.Unlock()
				r.finish(batch)
				m.Ack()
			})
			b.eventually("all that can be read, and one for the rest", func() bool { return r.count() == 31+c.read })
			b.eventually("the commit behind it", func() bool { return b.committed("g-orders", "orders", 0) == behind+10 })
			reader.close(t)
			mu.Lock()
			defer mu.Unlock()
			if why := unreadable[int64(10+c.read)]; len(unreadable) != 1 || !strings.Contains(why, c.says) || !strings.Contains(why, "offsets 10 to") {
				t.Errorf("unreadable: %v", unreadable)
			}
			seen := map[int64]int{}
			for _, rec := range r.records() {
				if rec.Partition == 0 {
					seen[rec.Offset]++
				}
			}
			for offset, times := range seen {
				if times != 1 {
					t.Errorf("offset %d came %d times", offset, times)
				}
			}
		})
	}
}

func TestReaderLeavesOutWhatCantBeRead(t *testing.T) {
	for name, c := range malformed(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.topic("orders", 1)
			b.write(numbered("orders", 0, 0, 10)...)
			b.produceRaw("orders", 0, c.batch)
			behind := b.end("orders", 0)
			b.write(numbered("orders", 0, 10, 10)...)
			told := map[int64]int64{}
			reader, err := NewReader(b.settings, b.deps(), b.name("orders"), ReadOptions{OnUnreadable: func(_ int32, first, next int64, err error) {
				told[first] = next
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("said: %v", err)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			records := b.drain(reader)
			if want := map[int64]int64{int64(10 + c.read): behind}; len(records) != 20+c.read || !maps.Equal(told, want) {
				t.Errorf("%d records, told of %v, want %d and %v", len(records), told, 20+c.read, want)
			}
		})
	}
}

// A batch of a few kilobytes that decompresses to hundreds of megabytes ended tail.
func TestReaderLeavesOutWhatIsTooLargeToDecompress(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 2)
	b.write(numbered("orders", 0, 0, 10)...)
	b.produceRaw("orders", 0, bomb(t, 4, 50<<20))
	for range 12 {
		b.produceRaw("orders", 1, bomb(t, 1, 15<<20))
	}
	b.write(numbered("orders", 0, 10, 10)...)
	var told []int64
	peak := watchHeap(t, 512<<20)
	reader, err := NewReader(b.settings, b.deps(), b.name("orders"), ReadOptions{OnUnreadable: func(_ int32, first, next int64, _ error) { told = append(told, first, next) }})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	n := 0
	for {
		records, err := reader.Next(within(t, patience))
		if err != nil {
			break
		}
		n += len(records)
	}
	if n != 32 || fmt.Sprint(told) != "[10 14]" {
		t.Errorf("%d records, told of %v", n, told)
	}
	if got := peak(); got > 700<<20 {
		t.Errorf("a heap of %d MiB", got>>20)
	}
}

func TestPartitionThatCantBeFetchedRaisesAnAlarm(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	s := b.subscriber(b.source("orders"))
	r := b.read(s, nil)
	b.eventually("the group", func() bool { return s.Ready() && len(s.Status()) == 1 })
	c := s.consumers[0]
	p := c.assigned()[0]
	p.failed(context.DeadlineExceeded)
	c.judgeFaults()
	if len(b.alarms) != 0 {
		t.Errorf("alarms at once: %v", b.alarms)
	}
	p.mu.Lock()
	p.fault.first = time.Now().Add(-time.Minute)
	p.mu.Unlock()
	c.judgeFaults()
	if a := b.alarmed(unfetched); !strings.Contains(a.Message, "deadline exceeded") {
		t.Errorf("alarm %+v", a)
	}
	b.write(numbered("orders", 0, 0, 1)...)
	b.eventually("the record", func() bool { return r.count() == 1 })
	c.judgeFaults()
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.alarms); n != 2 || !b.alarms[1].Cleared {
		t.Errorf("alarms: %+v", b.alarms)
	}
}

func (b *bed) end(topic string, partition int32) int64 {
	b.Helper()
	ends, err := b.admin.ListEndOffsets(b.Context(), b.name(topic))
	if err != nil {
		b.Fatal(err)
	}
	end, _ := ends.Lookup(b.name(topic), partition)
	return end.Offset
}

// The last records are kept until all are read: where there is no memory for them
// nothing would ever come.
func TestReaderSaysThatItsLastRecordsAreTooMany(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	for range 12 {
		b.produceRaw("orders", 0, bomb(t, 1, 15<<20))
	}
	for last, want := range map[int]string{2: "", 12: "ask for fewer"} {
		reader, err := NewReader(b.settings, b.deps(), b.name("orders"), ReadOptions{Last: last})
		if err != nil {
			t.Fatal(err)
		}
		records, err := reader.Next(within(t, patience))
		if want == "" && (err != nil || len(records) != last) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("the last %d: %d records, %v", last, len(records), err)
		}
		reader.Close()
	}
}
