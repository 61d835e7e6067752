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
	return batchOf(kgo.CodecZstd, n, compress(t, kgo.ZstdCompression(), raw))
}

func compress(t *testing.T, codec kgo.CompressionCodec, raw []byte) []byte {
	t.Helper()
	c, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	packed, _ := c.Compress(new(bytes.Buffer), raw)
	return packed
}

// batchOf is a batch as it is stored, of n records as far as its head says.
func batchOf(codec kgo.CompressionCodecType, n int, records []byte) []byte {
	now := time.Now().UnixMilli()
	body := kmsg.RecordBatch{Magic: 2, Attributes: int16(codec), LastOffsetDelta: int32(n - 1), FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(n), PartitionLeaderEpoch: -1, Records: records}
	out := body.AppendTo(nil)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-12))
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// rawRecord is a record as it is stored, without its length: its headers are given
// as bytes.
func rawRecord(offset int, key, value []byte, headers int, rest []byte) []byte {
	out := binary.AppendVarint([]byte{0, 0}, int64(offset))
	for _, part := range [][]byte{key, value} {
		if part == nil {
			out = binary.AppendVarint(out, -1)
			continue
		}
		out = append(binary.AppendVarint(out, int64(len(part))), part...)
	}
	return append(binary.AppendVarint(out, int64(headers)), rest...)
}

// rawRecords puts lengths before records.
func rawRecords(records ...[]byte) []byte {
	var out []byte
	for _, r := range records {
		out = append(binary.AppendVarint(out, int64(len(r))), r...)
	}
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
