package embedded

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

func TestMalformedBatchesAreRefused(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	all := hostile.Malformed()
	twice := hostile.BatchOf(0, 0)
	twice.Count, twice.Last, twice.Records = 2, 1, slices.Concat(hostile.RecordOf(0, "a"), hostile.RecordOf(0, "b"))
	all["an offset twice"] = hostile.Refused{Raw: twice.Encode(), Err: kerr.InvalidRecord}
	all["no bytes"] = hostile.Refused{Err: kerr.CorruptMessage}
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			answer := produceBatch(t, c, "orders", m.Raw)
			want := m.Err
			if want == hostile.ErrNotDecompressed {
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
		large := hostile.BatchOf(2, codec)
		large.Records = slices.Concat(hostile.RecordOf(0, strings.Repeat("x", 100<<10)), hostile.RecordOf(1, "y"))
		if answer := produceBatch(t, c, "orders", large.Encode()); answer.ErrorCode != 0 {
			t.Errorf("codec %d, large: %v %s", codec, kerr.ErrorForCode(answer.ErrorCode), *answer.ErrorMessage)
		}
		if answer := produceBatch(t, c, "orders", hostile.BatchOf(3, codec).Encode()); answer.ErrorCode != 0 {
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
	request := hostile.ProduceRequest("orders", lyingBatch())
	second := kmsg.NewProduceRequestTopicPartition()
	second.Partition, second.Records = 1, hostile.BatchOf(2, 4).Encode()
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
	b := hostile.BatchOf(1, 0)
	b.Records = hostile.Lying(0)
	return b.Encode()
}

func produceBatch(t *testing.T, c *kgo.Client, topic string, raw []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	answer, err := hostile.ProduceRequest(topic, raw).RequestWith(t.Context(), c.Broker(0))
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
		b := hostile.BatchOf(1, codec)
		b.Records = hostile.RecordOf(0, strings.Repeat("x", maxInflated))
		if fault := checker.check(b.Encode()); fault == nil || !strings.Contains(fault.reason, "64 MiB") {
			t.Errorf("%s: %+v", name, fault)
		}
	}
}

// What the check takes, clients can read, all of it.
func FuzzBatch(f *testing.F) {
	large := hostile.BatchOf(1, 0)
	large.Records = hostile.RecordOf(0, strings.Repeat("x", 100<<10))
	f.Add(large.Encode())
	for codec := range byte(5) {
		f.Add(hostile.BatchOf(3, codec).Encode())
	}
	for _, m := range hostile.Malformed() {
		f.Add(m.Raw)
	}
	checker := newBatchChecker()
	f.Fuzz(func(t *testing.T, raw []byte) {
		hostile.Seal(raw)
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
