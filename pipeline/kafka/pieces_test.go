package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/oversize"
)

// packers are the compressions that batches may have.
func packers() map[kgo.CompressionCodecType]kgo.CompressionCodec {
	return map[kgo.CompressionCodecType]kgo.CompressionCodec{
		kgo.CodecGzip: kgo.GzipCompression(), kgo.CodecSnappy: kgo.SnappyCompression(),
		kgo.CodecLz4: kgo.Lz4Compression(), kgo.CodecZstd: kgo.ZstdCompression(),
	}
}

// delivered is a record as it was handed out, and why not all of it was.
type delivered struct {
	Record *handlers.Record
	Why    string
	Out    *oversize.Error
}

// String describes it by the digests of its parts.
func (d delivered) String() string {
	r := d.Record
	line := fmt.Sprintf("offset %d at %s, key %+v, value %+v, %d headers %+v", r.Offset, r.Time, oversize.PartOf(r.Key), oversize.PartOf(r.Value), len(r.Headers), oversize.HeadersPart(r.Headers))
	if d.Out != nil {
		line += fmt.Sprintf(", without %+v, %+v, %+v", d.Out.Key, d.Out.Value, d.Out.Headers)
	}
	return line + "; " + d.Why
}

// readAllOf reads until n records were handed out, by partition and in order.
func (b *bed) readAllOf(source Source, held *memory.Pool, n int) map[int32][]delivered {
	b.Helper()
	var mu sync.Mutex
	all, count, most := map[int32][]delivered{}, 0, int64(0)
	r := &reading{}
	reader := b.read(b.sharing(source, held), func(m *message.Message, batch *Batch) {
		mu.Lock()
		most = max(most, held.Used())
		for i, rec := range batch.Records {
			d := delivered{Record: rec}
			if err := batch.Unreadable[i]; err != nil {
				d.Why = err.Error()
				d.Out, _ = errors.AsType[*oversize.Error](err)
			}
			all[rec.Partition] = append(all[rec.Partition], d)
			count++
		}
		mu.Unlock()
		r.finish(batch)
		m.Ack()
	})
	b.eventually("all records", func() bool { mu.Lock(); defer mu.Unlock(); return count >= n })
	b.eventually("all of the memory back", func() bool { return held.Used() == 0 })
	reader.close(b.T)
	if held != nil && most > held.Size() {
		b.Errorf("%d bytes were taken of %d", most, held.Size())
	}
	return all
}

// What there is no memory for as a whole is read in pieces, and what comes of that is
// the same as if there were.
func TestPiecesAreTheSameAsTheWhole(t *testing.T) {
	b := newBed(t)
	const limit = 100_000
	many := bytes.Repeat([]byte{2, 'h', 2, 'v'}, oversize.MaxHeaders+1)
	var raw [][]byte
	add := func(key, value []byte, headers int, rest []byte) {
		raw = append(raw, rawRecord(len(raw), key, value, headers, rest))
	}
	for i := range 40 {
		text := bytes.Repeat(fmt.Appendf(nil, "%d ", i), 10_000)
		add(fmt.Appendf(nil, "k%d", i%3), text, 1, []byte{4, 'i', 'd', 1})
		add(nil, nil, 0, nil)
		switch i % 10 {
		case 3:
			add([]byte("large value"), bytes.Repeat(text, 5), 1, []byte{2, 'h', 4, 'v', 'w'})
		case 5:
			add([]byte("large key and headers"), []byte{}, 1, append([]byte{2, 'h', 0xc0, 0x9a, 0x0c}, bytes.Repeat([]byte("x"), 100_000)...))
		case 7:
			add(bytes.Repeat([]byte("y"), 150_000), []byte("v"), 0, nil)
		case 9:
			add([]byte("many headers"), []byte("v"), oversize.MaxHeaders+1, many)
		}
	}
	records := rawRecords(raw...)
	packed := packers()
	b.topic("orders", int32(len(packed))+1)
	for codec, packer := range packed {
		p := int32(codec) - 1
		b.write(numbered("orders", p, 0, 3)...)
		b.produceRaw("orders", p, batchOf(codec, len(raw), compress(t, packer, records)))
		b.write(numbered("orders", p, 3, 3)...)
	}
	n := len(packed) * (len(raw) + 6)
	source := b.source("orders")
	source.MaxRecordBytes, source.Order = limit, OrderPartition
	whole := b.readAllOf(source, nil, n)
	source.Group += "-pieces"
	pieces := b.readAllOf(source, memory.NewPool(2<<20, 1), n)
	for p := range int32(len(packed)) {
		if len(whole[p]) != len(raw)+6 || len(pieces[p]) != len(raw)+6 {
			t.Fatalf("partition %d: %d records and %d, want %d", p, len(whole[p]), len(pieces[p]), len(raw)+6)
		}
		for i := range whole[p] {
			if want, got := whole[p][i].String(), pieces[p][i].String(); got != want {
				t.Errorf("partition %d: %s\nwant %s", p, got, want)
			}
		}
	}
}

// What can't be read is passed over from there on where a batch is read in pieces.
func TestPiecesThatCantBeRead(t *testing.T) {
	fill := rawRecord(0, []byte("fill"), make([]byte, 700<<10), 0, nil)
	sound := func(i int) []byte { return rawRecord(i, nil, fmt.Appendf(nil, "bad%d", i), 0, nil) }
	long := sound(2)
	long[3], long[4] = 0xd0, 0x0f // 1,000 bytes of value
	three := rawRecords(fill, sound(1), sound(2))
	torn := compress(t, kgo.GzipCompression(), three)
	torn[len(torn)-6] ^= 1
	for name, c := range map[string]struct {
		batch []byte
		read  int
		says  string
	}{
		"a record that is longer than it says": {batchOf(kgo.CodecZstd, 3, compress(t, kgo.ZstdCompression(), rawRecords(fill, sound(1), long))), 2, "from offset 12 on: a record's lengths don't fit"},
		"fewer records than it says":           {batchOf(kgo.CodecZstd, 5, compress(t, kgo.ZstdCompression(), three)), 3, "from offset 13 on: record 4 of 5: a record's lengths don't fit"},
		"far too large":                        {batchOf(kgo.CodecGzip, 2, compress(t, kgo.GzipCompression(), rawRecords(fill, rawRecord(1, nil, make([]byte, 70<<20), 0, nil)))), 1, "from offset 11 on: record 2 of 2: it takes more than 67108864 bytes"},
		"a compression that is damaged":        {batchOf(kgo.CodecGzip, 3, torn[:len(torn)-20]), 1, "from offset 11 on: record 2 of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.topic("orders", 1)
			b.write(numbered("orders", 0, 0, 10)...)
			b.produceRaw("orders", 0, c.batch)
			behind := b.end("orders", 0)
			b.write(numbered("orders", 0, 10, 10)...)
			source := b.source("orders")
			source.Order = OrderPartition
			got := b.readAllOf(source, memory.NewPool(2<<20, 1), 21+c.read)[0]
			b.eventually("the commit behind it", func() bool { return b.committed("g-orders", "orders", 0) == behind+10 })
			var why []string
			for i, d := range got {
				if i > 0 && d.Record.Offset <= got[i-1].Record.Offset {
					t.Errorf("offset %d comes behind %d", d.Record.Offset, got[i-1].Record.Offset)
				}
				if d.Why != "" {
					why = append(why, d.Why)
				}
			}
			if len(got) != 21+c.read || len(why) != 1 || !strings.Contains(why[0], c.says) {
				t.Errorf("%d records, want %d; unreadable: %q", len(got), 21+c.read, why)
			}
		})
	}
}

// Of transactions that were aborted nothing is seen, also in pieces.
func TestPiecesOfTransactions(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.settings.Brokers...), kgo.TransactionalID("tx"), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for round, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		var records []*kgo.Record
		for i := range 10 {
			records = append(records, &kgo.Record{Topic: "orders", Value: append(fmt.Appendf(nil, "%t %d %d", end, round, i), make([]byte, 90_000)...)})
		}
		if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	source := b.source("orders")
	source.Order = OrderPartition
	got := b.readAllOf(source, memory.NewPool(2<<20, 1), 20)[0]
	for i, d := range got {
		if want := fmt.Sprintf("true %d %d\x00", 1+i/10*2, i%10); !bytes.HasPrefix(d.Record.Value, []byte(want)) {
			t.Errorf("record %d is %.9s, want %s", i, d.Record.Value, want)
		}
	}
	if len(got) != 20 {
		t.Errorf("%d records, want 20", len(got))
	}
}

// A pipeline whose sink is down has all the memory that it may have; another one reads a
// batch that is larger than what is left for it.
func TestALargeBatchBesideAPipelineThatIsDown(t *testing.T) {
	b := newBed(t)
	b.topic("down", 4)
	b.topic("large", 1)
	const size = 2 << 20
	four := func() []byte {
		var raw [][]byte
		for i := range 4 {
			raw = append(raw, rawRecord(i, []byte("k"), bytes.Repeat([]byte{byte(i)}, size), 0, nil))
		}
		return batchOf(kgo.CodecZstd, len(raw), compress(t, kgo.ZstdCompression(), rawRecords(raw...)))
	}()
	for p := range int32(4) {
		for range 8 {
			b.produceRaw("down", p, four)
		}
	}
	held := memory.NewPool(20<<20, 2) // 5 MiB for each, and 10 for both
	release := make(chan struct{})
	downReading := &reading{}
	down := b.read(b.sharing(b.source("down"), held), func(m *message.Message, batch *Batch) {
		<-release
		downReading.finish(batch)
		m.Ack()
	})
	b.eventually("it has all that is common", func() bool { return held.Used() > 13<<20 })
	for range 3 {
		b.produceRaw("large", 0, four)
	}
	b.write(numbered("large", 0, 0, 5)...)
	source := b.source("large")
	source.Order = OrderPartition
	large := b.read(b.sharing(source, held), nil)
	b.eventually("the other one's records", func() bool { return large.count() == 3*4+5 })
	for i, r := range large.records()[:12] {
		if !bytes.Equal(r.Value, bytes.Repeat([]byte{byte(i % 4)}, size)) {
			t.Errorf("record %d has %d bytes", i, len(r.Value))
		}
	}
	if used := held.Used(); used > held.Size() {
		t.Errorf("%d bytes are held of %d", used, held.Size())
	}
	close(release)
	b.eventually("the records of the first", func() bool { return downReading.count() == 4*8*4 })
	large.close(t)
	down.close(t)
}

// A partition that gets no memory for long says so, and how to go on.
func TestAPartitionThatGetsNoMemorySaysSo(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	b.produceRaw("orders", 0, batchOf(kgo.CodecZstd, 1, compress(t, kgo.ZstdCompression(), rawRecords(rawRecord(0, nil, make([]byte, 3<<20), 0, nil)))))
	held := memory.NewPool(4<<20, 2)
	other := held.Share()
	other.Note(2 << 20)
	reader := b.read(b.sharing(b.source("orders"), held), nil)
	b.eventually("an alarm", func() bool {
		raised := b.raised()
		return len(raised) > 0 && raised[0].Kind == unfetched && strings.Contains(raised[0].Message, "there is no memory for") && strings.Contains(raised[0].Message, "GOMEMLIMIT")
	})
	other.Give(2 << 20)
	b.eventually("the record", func() bool { return reader.count() == 1 })
	b.eventually("its end", func() bool {
		raised := b.raised()
		return raised[len(raised)-1].Cleared
	})
	reader.close(t)
}

func (b *bed) raised() []Alarm {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.alarms)
}

// The memory of what the client threw away is there soon for who needs it.
func TestMemoryOfWhatWasThrownAwayComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := memory.NewPool(20<<20, 1)
		in := newIntake(held.Share(), 32<<20)
		batch := compress(t, kgo.ZstdCompression(), rawRecords(rawRecord(0, nil, make([]byte, 15<<20), 0, nil)))
		raw, err := in.Decompress(batch, kgo.CodecZstd)
		if err != nil {
			t.Fatal(err)
		}
		in.OnFetchBatchRead(kgo.BrokerMetadata{}, "orders", 0, kgo.FetchBatchMetrics{NumRecords: 1, UncompressedBytes: len(raw), CompressionType: uint8(kgo.CodecZstd)})
		if _, err := in.Decompress(batch, kgo.CodecZstd); !errors.As(err, new(*errNoMemory)) {
			t.Fatalf("err %v for more than there is", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := in.Decompress(batch, kgo.CodecZstd); err != nil {
			t.Errorf("after 2 s: %v", err)
		}
	})
}
