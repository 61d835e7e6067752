package kafka

import (
	"bytes"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/oversize"
)

const (
	// fetchedCost and headerCost are what the client makes of a record and of a
	// header beside their bytes, slotCost what is made of it here.
	fetchedCost, headerCost, slotCost = 400, 80, 200
	// transitPatience is how long after it was decompressed a batch that was not
	// handed over counts as thrown away: nobody polled it, because nothing of it is to
	// be seen, or the client began anew elsewhere. What is polled is so at once.
	transitPatience = time.Second
)

// intake takes memory for what one client fetches, from before a batch is
// decompressed until the partition that it belongs to takes it over. The client calls
// it in this order for each batch: Decompress, GetRecords, OnFetchBatchRead. Its
// methods are safe for concurrent use.
type intake struct {
	share  *memory.Share
	unpack *unpacker
	// short, where set, is told of a partition of which a batch held fewer records
	// than it says. It must not block.
	short func(topicPartition)
	// most is how much is taken for one batch: what is larger is read in pieces.
	most int64

	mu sync.Mutex
	// loose are decompressed batches of which the partition is not known yet,
	// claimed how many records batches say that they hold.
	loose   []loose
	claimed []int
	transit map[topicPartition]transit
	// paused are partitions of which the client throws away what it fetches.
	paused map[topicPartition]bool
}

type loose struct {
	size  int
	taken int64
	at    time.Time
}

// transit is what of a partition was fetched and is not handed over.
type transit struct {
	taken int64
	at    time.Time
	// short tells that a batch held fewer records than it says.
	short bool
}

func newIntake(share *memory.Share, limit int) *intake {
	in := &intake{share: share, most: math.MaxInt64, transit: map[topicPartition]transit{},
		paused: map[topicPartition]bool{}}
	in.unpack = newUnpacker(limit, in.take, share.Give)
	return in
}

// options make a client read through the intake.
func (in *intake) options() []kgo.Opt {
	return []kgo.Opt{kgo.WithDecompressor(in), kgo.WithPools(in), kgo.WithHooks(in)}
}

// take takes n bytes where there are as many, and where that is not more than most.
func (in *intake) take(n int64) bool {
	if n > in.most {
		return false
	}
	if in.share.Take(n) {
		return true
	}
	in.sweep()
	return in.share.Take(n)
}

// Decompress decompresses a batch where there is memory for it and for its records.
func (in *intake) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	raw, taken, err := in.open(src, codec)
	if err != nil {
		return nil, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.loose = append(in.loose, loose{len(raw), taken, time.Now()})
	return raw, nil
}

// open is Decompress for a batch that the caller gives the memory back of.
func (in *intake) open(src []byte, codec kgo.CompressionCodecType) (raw []byte, taken int64, err error) {
	raw, taken, err = in.unpack.unpack(src, codec)
	if err != nil {
		return nil, 0, err
	}
	records, headers := weigh(raw)
	more := int64(records*fetchedCost + headers*headerCost)
	switch {
	case more > 2*int64(in.unpack.limit):
		err = &errTooLarge{in.unpack.limit}
	case !in.take(more):
		err = &errNoMemory{taken + more}
	default:
		return raw, taken + more, nil
	}
	in.share.Give(taken)
	return nil, 0, err
}

// GetRecords takes down how many records the next batch says that it holds; the
// client makes them by itself.
func (in *intake) GetRecords(n int) []kgo.Record {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.claimed = append(in.claimed, n)
	return nil
}

// PutRecords leaves what the client made to the garbage collector.
func (in *intake) PutRecords([]kgo.Record) {}

// OnFetchBatchRead learns which partition a batch belongs to, and what came out of
// it.
func (in *intake) OnFetchBatchRead(_ kgo.BrokerMetadata, topic string, partition int32, m kgo.FetchBatchMetrics) {
	key := topicPartition{topic, partition}
	if in.read(key, m) && in.short != nil {
		in.short(key)
	}
}

// read is OnFetchBatchRead; it tells whether the batch held fewer records than it
// says.
func (in *intake) read(key topicPartition, m kgo.FetchBatchMetrics) (short bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	t := in.transit[key]
	t.at = time.Now()
	if i := slices.IndexFunc(in.loose,
		func(l loose) bool { return l.size == m.UncompressedBytes }); m.CompressionType != 0 && i >= 0 {
		t.taken += in.loose[i].taken
		in.loose = slices.Delete(in.loose, i, i+1)
	} else if m.CompressionType == 0 {
		n := int64(m.UncompressedBytes + m.NumRecords*fetchedCost)
		in.share.Note(n)
		t.taken += n
	}
	// Where several brokers answer at once the counts of other batches stand here
	// too: a batch that is taken for a short one is looked at, and found sound.
	if i := slices.Index(in.claimed, m.NumRecords); i >= 0 {
		in.claimed = slices.Delete(in.claimed, i, i+1)
	} else if i := slices.IndexFunc(in.claimed, func(n int) bool { return n > m.NumRecords }); i >= 0 {
		in.claimed = slices.Delete(in.claimed, i, i+1)
		t.short, short = true, true
	}
	if in.paused[key] {
		in.share.Give(t.taken)
		delete(in.transit, key)
		return short
	}
	in.transit[key] = t
	return short
}

// pause tells that the client throws away what it fetches of a partition, or does so
// no longer.
func (in *intake) pause(key topicPartition, paused bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !paused {
		delete(in.paused, key)
		return
	}
	in.paused[key] = true
	in.share.Give(in.transit[key].taken)
	delete(in.transit, key)
}

// fetches starts and stops the fetching of one client's partitions.
type fetches struct {
	client *kgo.Client
	in     *intake
}

func (f fetches) pause(key topicPartition, paused bool) {
	one := map[string][]int32{key.topic: {key.partition}}
	if paused {
		f.client.PauseFetchPartitions(one)
	} else {
		f.client.ResumeFetchPartitions(one)
	}
	f.in.pause(key, paused)
}

// arrived ends the transit of what a partition was handed: the memory is the caller's
// to give back. It tells whether a batch held fewer records than it says.
func (in *intake) arrived(key topicPartition) (taken int64, short bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	t := in.transit[key]
	delete(in.transit, key)
	return t.taken, t.short
}

// sweep gives back what was taken for batches that the client has thrown away.
func (in *intake) sweep() {
	in.mu.Lock()
	defer in.mu.Unlock()
	before := time.Now().Add(-transitPatience)
	in.loose = slices.DeleteFunc(in.loose, func(l loose) bool {
		if l.at.Before(before) {
			in.share.Give(l.taken)
			return true
		}
		return false
	})
	for key, t := range in.transit {
		if t.at.Before(before) {
			in.share.Give(t.taken)
			delete(in.transit, key)
		}
	}
	if len(in.loose) == 0 && len(in.claimed) > 100 {
		in.claimed = nil
	}
}

// close gives back all that is left.
func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, l := range in.loose {
		in.share.Give(l.taken)
	}
	for _, t := range in.transit {
		in.share.Give(t.taken)
	}
	in.loose, in.transit = nil, map[topicPartition]transit{}
}

// cut makes of a record that is too large what is handed out in its place: its
// coordinates, its time, and those of its parts that are small.
func cut(r *handlers.Record, why error, limit int64) *gap {
	e := &oversize.Error{Why: why.Error()}
	left := min(limit, smallPart)
	if int64(len(r.Value)) > left {
		e.Value, r.Value = oversize.PartOf(r.Value), nil
	}
	if h := oversize.HeadersPart(r.Headers); h != nil &&
		(len(r.Headers) > oversize.MaxHeaders || int64(h.Bytes) > left) {
		e.Headers, r.Headers = h, nil
	}
	if int64(len(r.Key)) > left {
		e.Key, r.Key = oversize.PartOf(r.Key), nil
	}
	return &gap{next: r.Offset + 1, err: e}
}

// smallPart is how large a part of a record may be that is kept though the record is
// too large.
const smallPart = 64 << 10

// slotsOf copies what the client fetched into one slab of records that share
// one slab of headers; keys and values stay where they are. Of records over limit,
// 0 for none, only what is small is kept.
func slotsOf(records []*kgo.Record, limit int64) []slot {
	headers := 0
	for _, r := range records {
		headers += min(len(r.Headers), oversize.MaxHeaders+1)
	}
	shared := make([]handlers.Header, 0, headers)
	slots := make([]slot, len(records))
	kept, left := 0, 0
	for i, r := range records {
		s := &slots[i]
		s.epoch = r.LeaderEpoch
		s.record = handlers.Record{
			Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
			Time: exactTime(r.Timestamp), Key: r.Key, Value: r.Value,
		}
		named := 0
		from := len(shared)
		if n := len(r.Headers); n > oversize.MaxHeaders {
			s.record.Headers = make([]handlers.Header, n)
			for j, h := range r.Headers {
				s.record.Headers[j] = handlers.Header(h)
				named += len(h.Key) + len(h.Value)
			}
		} else if n > 0 {
			for _, h := range r.Headers {
				shared = append(shared, handlers.Header(h))
				named += len(h.Key) + len(h.Value)
			}
			s.record.Headers = shared[from:len(shared):len(shared)]
		}
		size := len(r.Key) + len(r.Value) + named
		if why := oversize.CheckParts(len(r.Key), len(r.Value), named, len(r.Headers), limit); why != nil && limit > 0 {
			s.gap = cut(&s.record, why, limit)
			now := len(s.record.Key) + len(s.record.Value)
			for _, h := range s.record.Headers {
				now += len(h.Key) + len(h.Value)
			}
			left += size - now
			size = now
		}
		kept += size
		s.size = int32(min(size, 1<<31-1))
	}
	if left > kept {
		// What is kept would keep the rest of its batch in memory.
		for i := range slots {
			slots[i].record = detached(slots[i].record)
		}
	}
	return slots
}

// detached is r with bytes of its own.
func detached(r handlers.Record) handlers.Record {
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	for i := range r.Headers {
		r.Headers[i].Value = bytes.Clone(r.Headers[i].Value)
	}
	return r
}
