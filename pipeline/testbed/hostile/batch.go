package hostile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Where things are in a batch, and what its attributes say.
const (
	batchHead      = 12
	batchLength    = 61
	atChecksum     = 17
	atAttribute    = 21
	transactionBit = 0x10
	controlBit     = 0x20
)

// Batch is a batch of records, as clients make them, to be put wrong.
type Batch struct {
	Records       []byte
	Count, Last   int32
	Codec         byte
	Attributes    int16
	Producer      int64
	Epoch         int16
	Sequence      int32
	Transactional bool
	// Raw replaces the compressed records.
	Raw []byte
}

// BatchOf is a sound batch of n records.
func BatchOf(n int, codec byte) Batch {
	b := Batch{Count: int32(n), Last: int32(n) - 1, Codec: codec, Producer: -1, Epoch: -1, Sequence: -1}
	for i := range n {
		b.Records = append(b.Records, RecordOf(int64(i), "value")...)
	}
	return b
}

// RecordOf is a record with a header.
func RecordOf(delta int64, value string) []byte {
	return KeyedRecord(delta, "k", value, "h")
}

// KeyedRecord is a record with headers of those names, and no values.
func KeyedRecord(delta int64, key, value string, headers ...string) []byte {
	body := []byte{0}
	body = binary.AppendVarint(body, 0)
	body = binary.AppendVarint(body, delta)
	body = append(binary.AppendVarint(body, int64(len(key))), key...)
	body = append(binary.AppendVarint(body, int64(len(value))), value...)
	body = binary.AppendVarint(body, int64(len(headers)))
	for _, name := range headers {
		body = append(binary.AppendVarint(body, int64(len(name))), name...)
		body = binary.AppendVarint(body, -1)
	}
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

// Encode is the batch as it is sent and stored.
func (b Batch) Encode() []byte {
	records := b.Raw
	if records == nil {
		records = compressed(b.Records, b.Codec)
	}
	batch := kmsg.RecordBatch{
		Length: int32(len(records) + batchLength - batchHead), PartitionLeaderEpoch: -1, Magic: 2,
		Attributes: int16(b.Codec) | b.Attributes, LastOffsetDelta: b.Last, FirstTimestamp: 1000, MaxTimestamp: 1000,
		ProducerID: b.Producer, ProducerEpoch: b.Epoch, FirstSequence: b.Sequence, NumRecords: b.Count,
		Records: records,
	}
	if b.Transactional {
		batch.Attributes |= transactionBit
	}
	raw := batch.AppendTo(nil)
	Seal(raw)
	return raw
}

// Seal sets the checksum right.
func Seal(raw []byte) {
	if len(raw) >= batchLength {
		binary.BigEndian.PutUint32(raw[atChecksum:], crc32.Checksum(raw[atAttribute:],
			crc32.MakeTable(crc32.Castagnoli)))
	}
}

func compressed(records []byte, codec byte) []byte {
	if codec == 0 {
		return records
	}
	codecs := []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(),
		kgo.ZstdCompression()}
	compressor, err := kgo.DefaultCompressor(codecs[codec-1])
	if err != nil {
		panic(err)
	}
	raw, _ := compressor.Compress(new(bytes.Buffer), records)
	return slices.Clone(raw)
}

// Refused is a batch, and the error that it is refused with.
type Refused struct {
	Raw []byte
	Err error
}

// Malformed are batches that Apache Kafka refuses, with its error.
func Malformed() map[string]Refused {
	with := func(change func(b *Batch)) []byte {
		b := BatchOf(3, 0)
		change(&b)
		return b.Encode()
	}
	edited := func(sealed bool, change func(raw []byte)) []byte {
		raw := BatchOf(3, 0).Encode()
		change(raw)
		if sealed {
			Seal(raw)
		}
		return raw
	}
	all := map[string]Refused{
		"a wrong checksum":          {edited(false, func(raw []byte) { raw[len(raw)-1] ^= 1 }), kerr.CorruptMessage},
		"a length too long":         {edited(false, func(raw []byte) { raw[11]++ }), kerr.InvalidRecord},
		"a control batch":           {with(func(b *Batch) { b.Attributes = controlBit }), kerr.InvalidRecord},
		"a first offset":            {edited(false, func(raw []byte) { raw[7] = 5 }), kerr.InvalidRecord},
		"no records":                {BatchOf(0, 0).Encode(), kerr.InvalidRecord},
		"more records than it has":  {with(func(b *Batch) { b.Count, b.Last = 4, 3 }), kerr.InvalidRecord},
		"fewer":                     {with(func(b *Batch) { b.Count, b.Last = 2, 1 }), kerr.InvalidRecord},
		"more offsets than records": {with(func(b *Batch) { b.Last = 9 }), kerr.InvalidRecord},
		"a value that is too long": {with(func(b *Batch) {
			b.Records = slices.Concat(RecordOf(0, "a"), Lying(1), RecordOf(2, "c"))
		}), kerr.InvalidRecord},
	}
	all["a large record with a byte too many"] = Refused{with(func(b *Batch) {
		b.Count, b.Last = 1, 0
		b.Records = RecordOf(0, strings.Repeat("x", 100<<10))
		length, n := binary.Varint(b.Records)
		b.Records = append(slices.Concat(binary.AppendVarint(nil, length+1), b.Records[n:]), 0)
	}), kerr.InvalidRecord}
	for codec, name := range map[byte]string{1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"} {
		all[name+" that is none"] = Refused{with(func(b *Batch) {
			b.Codec, b.Raw = codec,
				[]byte("this is not compressed at all")
		}), ErrNotDecompressed}
		all[name+" with more records than it has"] = Refused{with(func(b *Batch) {
			b.Codec, b.Count, b.Last = codec, 4,
				3
		}), kerr.InvalidRecord}
		all[name+" with a value that is too long"] = Refused{with(func(b *Batch) {
			b.Codec, b.Records = codec, slices.Concat(RecordOf(0, "a"), Lying(1), RecordOf(2, "c"))
		}), kerr.InvalidRecord}
	}
	return all
}

// ErrNotDecompressed stands for Apache Kafka's error for what it can't decompress,
// UNKNOWN_SERVER_ERROR, and for ours.
var ErrNotDecompressed = errors.New("not decompressed")

// Lying is a record that says that its value has 500 bytes.
func Lying(delta int64) []byte {
	body := binary.AppendVarint([]byte{0, 0}, delta)
	body = binary.AppendVarint(body, -1)
	body = append(binary.AppendVarint(body, 500), "value\x00"...)
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

// ProduceRequest asks to write a batch to the first partition of a topic.
func ProduceRequest(topic string, raw []byte) *kmsg.ProduceRequest {
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
