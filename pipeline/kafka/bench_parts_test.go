package kafka

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
)

// BenchmarkPartition is what a record costs between its fetch and its handler: it is
// put on a lane, handed out in a batch, finished, and the prefix moves. One operation is
// a record.
func BenchmarkPartition(b *testing.B) {
	for _, order := range []Order{OrderKey, OrderPartition, OrderNone} {
		for _, fetched := range []int{100, 2000} {
			b.Run(fmt.Sprintf("order=%s/fetch=%d", order, fetched), func(b *testing.B) { benchPartition(b, order, fetched) })
		}
	}
}

func benchPartition(b *testing.B, order Order, fetched int) {
	out := make(chan *message.Message)
	p := newPartition(b.Context(), "orders", 0, Source{Order: order}.withDefaults())
	p.out, p.seed, p.fetch, p.tracker, p.placed = out, maphash.MakeSeed(), unpaused{}, newTracker(0, -1), true
	value := []byte(strings.Repeat("x", 290))
	keys := make([][]byte, 1000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "customer-%d", i)
	}
	records := make([]*kgo.Record, fetched)
	for i := range records {
		records[i] = &kgo.Record{Topic: "orders", Key: keys[i%len(keys)], Value: value, Timestamp: time.Now()}
	}
	offset := int64(0)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += fetched {
		for _, r := range records {
			r.Offset = offset
			offset++
		}
		p.deliver(records, false)
		for left := fetched; left > 0; {
			m := <-out
			batch := BatchOf(m)
			for i := range batch.Records {
				batch.Done(i)
			}
			left -= len(batch.Records)
			m.Ack()
		}
	}
	b.StopTimer()
	p.work.Wait()
}

// unpaused is a client that is told nothing.
type unpaused struct{}

func (unpaused) pause(topicPartition, bool) {}

// BenchmarkMarshal is what makes the producer's form of a record: in a batch, as sinks
// write, and as a message of Watermill.
func BenchmarkMarshal(b *testing.B) {
	for _, headers := range []int{0, 3} {
		r := &handlers.Record{Topic: "orders", Partition: -1, Offset: -1, Time: time.Now(), Key: []byte("customer-4711"),
			Value: []byte(strings.Repeat("x", 290))}
		for i := range headers {
			r.Headers = append(r.Headers, handlers.Header{Key: fmt.Sprintf("header-%d", i), Value: []byte("value")})
		}
		b.Run(fmt.Sprintf("way=batch/headers=%d", headers), func(b *testing.B) {
			records := make([]*handlers.Record, 256)
			for i := range records {
				records[i] = r
			}
			b.ReportAllocs()
			for n := 0; n < b.N; n += len(records) {
				if s := newSending(nil, records); len(s.messages) != len(records) {
					b.Fatal(len(s.messages))
				}
			}
		})
		b.Run(fmt.Sprintf("way=message/headers=%d", headers), func(b *testing.B) {
			m := NewRecordMessage(b.Context(), r)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (marshaler{}).Marshal("orders", m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUnpack decompresses a batch of a thousand records of 300 bytes. One operation
// is a batch.
func BenchmarkUnpack(b *testing.B) {
	raw := []byte(strings.Repeat(`{"id":"order-4711","amount":73.5,"country":"FR","customer":{"id":"c-20391","tier":"gold"}}`, 3300))
	for codec, name := range map[kgo.CompressionCodecType]string{
		kgo.CodecGzip: "gzip", kgo.CodecSnappy: "snappy", kgo.CodecLz4: "lz4", kgo.CodecZstd: "zstd",
	} {
		b.Run("codec="+name, func(b *testing.B) {
			c, err := kgo.DefaultCompressor(codecs[codec])
			if err != nil {
				b.Fatal(err)
			}
			packed, _ := c.Compress(new(bytes.Buffer), raw)
			u := newUnpacker(8<<20, func(int64) bool { return true }, func(int64) {})
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, _, err := u.unpack(packed, codec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
