package kafka

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
)

// counted is memory of size bytes that tells how many are taken.
type counted struct{ size, used, most int64 }

func (c *counted) take(n int64) bool {
	if c.used+n > c.size {
		return false
	}
	c.used += n
	c.most = max(c.most, c.used)
	return true
}

func (c *counted) give(n int64) { c.used -= n }

var codecs = map[kgo.CompressionCodecType]kgo.CompressionCodec{
	kgo.CodecGzip: kgo.GzipCompression(), kgo.CodecSnappy: kgo.SnappyCompression(),
	kgo.CodecLz4: kgo.Lz4Compression(), kgo.CodecZstd: kgo.ZstdCompression(),
}

func TestUnpackGivesBackWhatWasPacked(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	// zstd as the Java clients write it, without the size that it has.
	var streamed bytes.Buffer
	w, _ := zstd.NewWriter(&streamed)
	w.Write(make([]byte, 5<<20))
	w.Close()
	for codec, by := range codecs {
		for name, raw := range map[string][]byte{
			"nothing": {}, "a byte": {7}, "noise": noise, "zeros": make([]byte, 5<<20), "both": append(make([]byte, 100_000), noise...),
		} {
			mem := &counted{size: 1 << 40}
			u := newUnpacker(8<<20, mem.take, mem.give)
			packed := compress(t, by, raw)
			if codec == kgo.CodecZstd && name == "zeros" {
				packed = streamed.Bytes()
			}
			got, taken, err := u.unpack(packed, codec)
			if err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%v, %s: %d bytes, %v", codec, name, len(got), err)
			}
			if taken != mem.used || taken < int64(len(raw)) || mem.most > 10<<20 {
				t.Errorf("%v, %s: %d taken, %d used, %d at most, for %d", codec, name, taken, mem.used, mem.most, len(raw))
			}
		}
	}
}

func TestUnpackTakesMemoryFirst(t *testing.T) {
	raw := make([]byte, 20<<20)
	for codec, by := range codecs {
		packed := compress(t, by, raw)
		mem := &counted{size: 10 << 20}
		u := newUnpacker(32<<20, mem.take, mem.give)
		_, _, err := u.unpack(packed, codec)
		none, ok := errors.AsType[*errNoMemory](err)
		if !ok || none.need <= mem.size || mem.used != 0 {
			t.Errorf("%v: err %v, %d used", codec, err, mem.used)
		}
		// What is larger than the limit is told from what there is no room for.
		mem = &counted{size: 1 << 40}
		u = newUnpacker(10<<20, mem.take, mem.give)
		if _, _, err := u.unpack(packed, codec); !errors.As(err, new(*errTooLarge)) || mem.used != 0 || mem.most > 11<<20 {
			t.Errorf("%v: err %v, %d used, %d at most", codec, err, mem.used, mem.most)
		}
		packed[len(packed)/2] ^= 0x55
		u = newUnpacker(32<<20, mem.take, mem.give)
		if got, _, err := u.unpack(packed[:len(packed)-1], codec); err == nil && bytes.Equal(got, raw) || mem.used != 0 && err != nil {
			t.Errorf("%v: what is damaged is %d bytes, %v, %d used", codec, len(got), err, mem.used)
		}
	}
}

func TestRecordsAreCountedBeforeTheyAreMade(t *testing.T) {
	raw := rawRecords(rawRecord(0, []byte("k"), []byte("v"), 0, nil), rawRecord(1, nil, nil, 3, make([]byte, 6)), rawRecord(2, nil, make([]byte, 5000), 0, nil))
	if records, headers := weigh(raw); records != 3 || headers != 3 {
		t.Errorf("%d records, %d headers", records, headers)
	}
	if records, _ := weigh(append(raw, 200)); records != 3 {
		t.Errorf("%d records before what can't be read", records)
	}
	// One record of a megabyte may have half a million headers, and a batch of a
	// few kilobytes a million records.
	for name, raw := range map[string][]byte{
		"headers": rawRecords(rawRecord(0, nil, []byte("v"), 8<<20, make([]byte, 16<<20))),
		"records": bytes.Repeat(rawRecords(rawRecord(0, nil, nil, 0, nil)), 1<<20),
	} {
		in := newIntake(nil, 32<<20)
		if _, err := in.Decompress(compress(t, kgo.ZstdCompression(), raw), kgo.CodecZstd); !errors.As(err, new(*errTooLarge)) {
			t.Errorf("%s: err %v", name, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	for codec := range codecs {
		f.Add([]byte("some bytes"), int8(codec))
	}
	f.Fuzz(func(t *testing.T, src []byte, codec int8) {
		mem := &counted{size: 8 << 20}
		u := newUnpacker(4<<20, mem.take, mem.give)
		raw, taken, err := u.unpack(src, kgo.CompressionCodecType(codec))
		if mem.used != taken || err != nil && taken != 0 {
			t.Fatalf("%d taken, %d used, %v", taken, mem.used, err)
		}
		if len(raw) > 4<<20 && err == nil {
			t.Fatalf("%d bytes", len(raw))
		}
		weigh(raw)
	})
}
