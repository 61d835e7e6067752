package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// testBatch is a batch of records, as clients make them, to be put wrong.
type testBatch struct {
	records       []byte
	count, last   int32
	codec         byte
	attributes    int16
	producer      int64
	epoch         int16
	sequence      int32
	transactional bool
	// raw replaces the compressed records.
	raw []byte
}

// batchOf is a sound batch of n records.
func batchOf(n int, codec byte) testBatch {
	b := testBatch{count: int32(n), last: int32(n) - 1, codec: codec, producer: -1, epoch: -1, sequence: -1}
	for i := range n {
		b.records = append(b.records, recordOf(int64(i), "value")...)
	}
	return b
}

// recordOf is a record with a header.
func recordOf(delta int64, value string) []byte {
	body := []byte{0}
	body = binary.AppendVarint(body, 0)
	body = binary.AppendVarint(body, delta)
	body = append(binary.AppendVarint(body, 1), 'k')
	body = append(binary.AppendVarint(body, int64(len(value))), value...)
	body = binary.AppendVarint(body, 1)
	body = append(binary.AppendVarint(body, 1), 'h')
	body = binary.AppendVarint(body, -1)
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

func (b testBatch) encode() []byte {
	records := b.raw
	if records == nil {
		records = compressed(b.records, b.codec)
	}
	batch := kmsg.RecordBatch{
		Length: int32(minBatch - batchHead + len(records)), PartitionLeaderEpoch: -1, Magic: 2,
		Attributes: int16(b.codec) | b.attributes, LastOffsetDelta: b.last, FirstTimestamp: 1000, MaxTimestamp: 1000,
		ProducerID: b.producer, ProducerEpoch: b.epoch, FirstSequence: b.sequence, NumRecords: b.count, Records: records,
	}
	if b.transactional {
		batch.Attributes |= transactionBit
	}
	raw := batch.AppendTo(nil)
	seal(raw)
	return raw
}

// seal sets the checksum right.
func seal(raw []byte) {
	if len(raw) >= minBatch {
		binary.BigEndian.PutUint32(raw[atChecksum:], crc32.Checksum(raw[atAttribute:], castagnoli))
	}
}

func compressed(records []byte, codec byte) []byte {
	if codec == 0 {
		return records
	}
	codecs := []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	compressor, err := kgo.DefaultCompressor(codecs[codec-1])
	if err != nil {
		panic(err)
	}
	raw, _ := compressor.Compress(new(bytes.Buffer), records)
	return slices.Clone(raw)
}

type refusedBatch struct {
	raw  []byte
	want error
}

// malformed are batches that Apache Kafka refuses, with its error.
func malformed() map[string]refusedBatch {
	with := func(change func(b *testBatch)) []byte {
		b := batchOf(3, 0)
		change(&b)
		return b.encode()
	}
	edited := func(sealed bool, change func(raw []byte)) []byte {
		raw := batchOf(3, 0).encode()
		change(raw)
		if sealed {
			seal(raw)
		}
		return raw
	}
	all := map[string]refusedBatch{
		"a wrong checksum":          {edited(false, func(raw []byte) { raw[len(raw)-1] ^= 1 }), kerr.CorruptMessage},
		"a length too long":         {edited(false, func(raw []byte) { raw[11]++ }), kerr.InvalidRecord},
		"a control batch":           {with(func(b *testBatch) { b.attributes = controlBit }), kerr.InvalidRecord},
		"a first offset":            {edited(false, func(raw []byte) { raw[7] = 5 }), kerr.InvalidRecord},
		"no records":                {batchOf(0, 0).encode(), kerr.InvalidRecord},
		"more records than it has":  {with(func(b *testBatch) { b.count, b.last = 4, 3 }), kerr.InvalidRecord},
		"fewer":                     {with(func(b *testBatch) { b.count, b.last = 2, 1 }), kerr.InvalidRecord},
		"more offsets than records": {with(func(b *testBatch) { b.last = 9 }), kerr.InvalidRecord},
		"a value that is too long": {with(func(b *testBatch) {
			b.records = slices.Concat(recordOf(0, "a"), lying(1), recordOf(2, "c"))
		}), kerr.InvalidRecord},
	}
	all["a large record with a byte too many"] = refusedBatch{with(func(b *testBatch) {
		b.count, b.last = 1, 0
		b.records = recordOf(0, strings.Repeat("x", 100<<10))
		length, n := binary.Varint(b.records)
		b.records = append(slices.Concat(binary.AppendVarint(nil, length+1), b.records[n:]), 0)
	}), kerr.InvalidRecord}
	for codec, name := range map[byte]string{1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"} {
		all[name+" that is none"] = refusedBatch{with(func(b *testBatch) { b.codec, b.raw = codec, []byte("this is not compressed at all") }), errNotDecompressed}
		all[name+" with more records than it has"] = refusedBatch{with(func(b *testBatch) { b.codec, b.count, b.last = codec, 4, 3 }), kerr.InvalidRecord}
		all[name+" with a value that is too long"] = refusedBatch{with(func(b *testBatch) {
			b.codec, b.records = codec, slices.Concat(recordOf(0, "a"), lying(1), recordOf(2, "c"))
		}), kerr.InvalidRecord}
	}
	return all
}

// errNotDecompressed stands for Apache Kafka's error for what it can't decompress,
// UNKNOWN_SERVER_ERROR, and for ours.
var errNotDecompressed = errors.New("not decompressed")

// lying says that its value has 500 bytes.
func lying(delta int64) []byte {
	body := binary.AppendVarint([]byte{0, 0}, delta)
	body = binary.AppendVarint(body, -1)
	body = append(binary.AppendVarint(body, 500), "value\x00"...)
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

func TestMalformedBatchesAreRefused(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	all := malformed()
	twice := batchOf(0, 0)
	twice.count, twice.last, twice.records = 2, 1, slices.Concat(recordOf(0, "a"), recordOf(0, "b"))
	all["an offset twice"] = refusedBatch{twice.encode(), kerr.InvalidRecord}
	all["no bytes"] = refusedBatch{nil, kerr.CorruptMessage}
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			answer := produceBatch(t, c, "orders", m.raw)
			want := m.want
			if want == errNotDecompressed {
				want = kerr.InvalidRecord
			}
			if err := kerr.ErrorForCode(answer.ErrorCode); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if answer.ErrorMessage == nil || strings.Contains(*answer.ErrorMessage, "ontrol batches") != (name == "a control batch") {
				t.Errorf("said %v", answer.ErrorMessage)
			}
		})
	}
	// What is sound goes in, in each compression and also where it is large, and
	// nothing else.
	for codec := range byte(5) {
		large := batchOf(2, codec)
		large.records = slices.Concat(recordOf(0, strings.Repeat("x", 100<<10)), recordOf(1, "y"))
		if answer := produceBatch(t, c, "orders", large.encode()); answer.ErrorCode != 0 {
			t.Errorf("codec %d, large: %v %s", codec, kerr.ErrorForCode(answer.ErrorCode), *answer.ErrorMessage)
		}
		if answer := produceBatch(t, c, "orders", batchOf(3, codec).encode()); answer.ErrorCode != 0 {
			t.Errorf("codec %d: %v %s", codec, kerr.ErrorForCode(answer.ErrorCode), *answer.ErrorMessage)
		}
	}
	if got := read(t, b.Addr(), "orders"); len(got) != 25 || got[24] != "24 value" {
		t.Errorf("read %d records", len(got))
	}
}

// A request may have sound batches beside malformed ones.
func TestSoundBatchesBesideAMalformedOne(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 2})
	c := client(t, b.Addr())
	request := produceRequest("orders", lyingBatch())
	second := kmsg.NewProduceRequestTopicPartition()
	second.Partition, second.Records = 1, batchOf(2, 4).encode()
	request.Topics[0].Partitions = append(request.Topics[0].Partitions, second)
	answer, err := request.RequestWith(t.Context(), c.Broker(0))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32]error{}
	for _, p := range answer.Topics[0].Partitions {
		got[p.Partition] = kerr.ErrorForCode(p.ErrorCode)
	}
	if got[0] != kerr.InvalidRecord || got[1] != nil {
		t.Errorf("answered %v", got)
	}
}

func lyingBatch() []byte {
	b := batchOf(1, 0)
	b.records = lying(0)
	return b.encode()
}

func produceRequest(topic string, raw []byte) *kmsg.ProduceRequest {
	request := kmsg.NewPtrProduceRequest()
	request.Acks, request.TimeoutMillis = -1, 1000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = raw
	rt.Partitions = append(rt.Partitions, rp)
	request.Topics = append(request.Topics, rt)
	return request
}

func produceBatch(t *testing.T, c *kgo.Client, topic string, raw []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	answer, err := produceRequest(topic, raw).RequestWith(t.Context(), c.Broker(0))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Topics[0].Partitions[0]
}

// A batch that decompresses to more than is held costs a bounded amount of memory,
// however much it would be.
func TestBatchesAreDecompressedWithinABound(t *testing.T) {
	checker := newBatchChecker()
	for codec, name := range map[byte]string{1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"} {
		b := batchOf(1, codec)
		b.records = recordOf(0, strings.Repeat("x", maxInflated))
		if fault := checker.check(b.encode()); fault == nil || !strings.Contains(fault.reason, "64 MiB") {
			t.Errorf("%s: %+v", name, fault)
		}
	}
}

// What the check takes, clients can read, all of it.
func FuzzBatch(f *testing.F) {
	large := batchOf(1, 0)
	large.records = recordOf(0, strings.Repeat("x", 100<<10))
	f.Add(large.encode())
	for codec := range byte(5) {
		f.Add(batchOf(3, codec).encode())
	}
	for _, m := range malformed() {
		f.Add(m.raw)
	}
	checker := newBatchChecker()
	f.Fuzz(func(t *testing.T, raw []byte) {
		seal(raw)
		if checker.check(raw) != nil {
			return
		}
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(raw); err != nil {
			t.Fatal(err)
		}
		records, err := kgo.DefaultDecompressor().Decompress(batch.Records, kgo.CompressionCodecType(batch.Attributes&codecBits))
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.NumRecords {
			var r kmsg.Record
			if err := r.ReadFrom(records); err != nil || r.OffsetDelta != i {
				t.Fatalf("record %d: %v, offset %d", i, err, r.OffsetDelta)
			}
			length, n := binary.Varint(records)
			records = records[int(length)+n:]
		}
		if len(records) > 0 {
			t.Fatalf("%d bytes more", len(records))
		}
	})
}
