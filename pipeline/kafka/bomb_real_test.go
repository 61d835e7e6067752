//go:build real

package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestRealDecompressionBomb reads past a batch of 1 GB that is small on the
// wire, in a process whose memory is measured.
func TestRealDecompressionBomb(t *testing.T) {
	b := realBed(t)
	b.topic("orders", 2)
	b.write(numbered("orders", 0, 0, 100)...)
	const records = 1024
	batch := bomb(t, records, 1<<20)
	if len(batch) > 1<<20 {
		t.Fatalf("the batch has %d bytes", len(batch))
	}
	b.produceRaw("orders", 0, batch)
	b.write(numbered("orders", 0, 100, 100)...)
	b.write(numbered("orders", 1, 0, 100)...)
	begun := time.Now()
	c := startReader(t, readerOrder{Brokers: b.settings.Brokers, Topic: b.name("orders"), Group: b.name("g-orders"), CommitInterval: 100 * time.Millisecond})
	b.eventually("the innocent records", func() bool { return c.count("read") == 300 })
	b.eventually("a commit at the end", func() bool { return b.committed("g-orders", "orders", 0) == 200+records })
	took := time.Since(begun)
	c.end(t)
	if got := c.numbers("unreadable", 0); len(got) != 1 || got[0] != 100 {
		t.Errorf("unreadable: %v", got)
	}
	peak := c.numbers("peak", 0)
	if len(peak) != 1 || peak[0] > 512<<10 {
		t.Errorf("a peak of %v kB, want less than 512 MiB", peak)
	}
	t.Logf("%d bytes on the wire were passed over in %v with a peak of %v kB", len(batch), took, peak)
}

// bomb makes a record batch of n records whose values are that many zeros.
func bomb(t *testing.T, n, size int) []byte {
	t.Helper()
	var head []byte
	raw := make([]byte, 0, n*(size+32))
	for i := range n {
		// attributes, timestamp delta, offset delta, null key, value, no headers
		head = append(head[:0], 0)
		head = binary.AppendVarint(head, 0)
		head = binary.AppendVarint(head, int64(i))
		head = binary.AppendVarint(head, -1)
		head = binary.AppendVarint(head, int64(size))
		raw = binary.AppendVarint(raw, int64(len(head)+size+1))
		raw = append(raw, head...)
		raw = raw[:len(raw)+size+1]
	}
	zstd, err := kgo.DefaultCompressor(kgo.ZstdCompression())
	if err != nil {
		t.Fatal(err)
	}
	packed, codec := zstd.Compress(new(bytes.Buffer), raw)
	now := time.Now().UnixMilli()
	body := kmsg.RecordBatch{Magic: 2, Attributes: int16(codec), LastOffsetDelta: int32(n - 1), FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(n), PartitionLeaderEpoch: -1, Records: packed}
	out := body.AppendTo(nil)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-12))
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// produceRaw writes a record batch as it is.
func (b *bed) produceRaw(topic string, partition int32, batch []byte) {
	b.Helper()
	details, err := b.admin.ListTopics(b.Context(), b.name(topic))
	if err != nil {
		b.Fatal(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 30_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = b.name(topic), details[b.name(topic)].ID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = partition, batch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	leader := details[b.name(topic)].Partitions[partition].Leader
	resp, err := req.RequestWith(b.Context(), b.client.Broker(int(leader)))
	if err != nil {
		b.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		b.Fatal(err)
	}
}
