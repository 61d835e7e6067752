package kafka

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/millrace/millrace/pipeline/oversize"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// pieceBytes is how much of a batch is delivered at once where not more is one
	// record.
	pieceBytes = 256 << 10
	// frameBytes is more than what stands in a record beside what counts as its size,
	// where it has no more headers than it may have.
	frameBytes = 32 << 10
)

// pieces reads one stored batch of a partition that there is no memory for as a whole:
// records are delivered as soon as there is memory for each, and of those that are too
// large nothing is held. next is where to go on.
func (c *consumer) pieces(ctx context.Context, p *partition) (next kgo.EpochOffset, err error) {
	from := p.position()
	next = kgo.EpochOffset{Epoch: -1, Offset: from}
	stored, err := lookout{c.client, c.cluster, c.intake}.stored(ctx, p.topic, p.number, p.topicID, from)
	if err != nil {
		return next, err
	}
	batch, raw := batchAt(stored.RecordBatches, from)
	if batch == nil {
		return next, nil // the client has another look at it
	}
	last := batch.FirstOffset + int64(batch.LastOffsetDelta)
	r := &pieceReader{c: c, p: p, stored: stored, batch: batch, from: from}
	err = r.read(ctx, raw)
	if ctx.Err() != nil {
		next.Offset = p.lastDelivered()
		return next, ctx.Err()
	}
	if err != nil {
		bad := &unread{first: max(from, batch.FirstOffset, p.lastDelivered()), epoch: batch.PartitionLeaderEpoch}
		bad.next = max(bad.first, last) + 1
		bad.err = fmt.Errorf("the batch at offsets %d to %d can't be read from offset %d on: %w", batch.FirstOffset,
			last, bad.first, err)
		c.say(p, bad)
		p.accept([]slot{bad.slot(p.topic, p.number)})
		return kgo.EpochOffset{Epoch: bad.epoch, Offset: bad.next}, nil
	}
	return kgo.EpochOffset{Epoch: batch.PartitionLeaderEpoch, Offset: max(from, last+1, p.lastDelivered())}, nil
}

// batchAt is the first batch that reaches an offset, and its bytes.
func batchAt(data []byte, from int64) (*kmsg.RecordBatch, []byte) {
	for {
		batch, size := nextBatch(data)
		if batch == nil {
			return nil, nil
		}
		if batch.FirstOffset+int64(max(0, batch.LastOffsetDelta)) >= from {
			return batch, data[:size]
		}
		data = data[size:]
	}
}

// pieceReader reads the records of one batch.
type pieceReader struct {
	c      *consumer
	p      *partition
	stored *kmsg.FetchResponseTopicPartition
	batch  *kmsg.RecordBatch
	from   int64
	in     *bufio.Reader

	// chunk are count records as they are stored that are not delivered yet, taken
	// is the memory for them.
	chunk []byte
	count int32
	taken int64
}

func (r *pieceReader) read(ctx context.Context, raw []byte) error {
	const sumAt, sumEnd = 17, 21
	if binary.BigEndian.Uint32(raw[sumAt:]) != crc32.Checksum(raw[sumEnd:], crc32.MakeTable(crc32.Castagnoli)) {
		return kerr.CorruptMessage
	}
	close, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer close()
	defer func() { r.c.share.Give(r.taken) }()
	for i := range r.batch.NumRecords {
		if err := r.next(ctx); err != nil {
			return errors.Join(r.flush(), fmt.Errorf("record %d of %d: %w", i+1, r.batch.NumRecords, err))
		}
	}
	return r.flush()
}

// open begins to read the records, in memory where there is some for all of them, else
// as a stream.
func (r *pieceReader) open(ctx context.Context) (close func(), err error) {
	src, codec := r.batch.Records, kgo.CompressionCodecType(r.batch.Attributes&0x07)
	if codec == kgo.CodecNone {
		r.in = bufio.NewReader(bytes.NewReader(src))
		return func() {}, nil
	}
	raw, taken, err := r.c.intake.open(src, codec)
	if err == nil {
		r.in = bufio.NewReader(bytes.NewReader(raw))
		return func() { r.c.share.Give(taken) }, nil
	}
	if !errors.As(err, new(*errNoMemory)) {
		return nil, err
	}
	// It is not kept from the records, which could else wait for it.
	done, err := r.c.share.Beside(ctx, streamCost(src, codec))
	if err != nil {
		return nil, err
	}
	stream, err := r.c.intake.unpack.stream(src, codec)
	if err != nil {
		done()
		return nil, err
	}
	r.in = bufio.NewReaderSize(stream, 64<<10)
	return func() { _ = stream.Close(); done() }, nil
}

// next reads one record.
func (r *pieceReader) next(ctx context.Context) error {
	length, err := binary.ReadVarint(r.in)
	if err != nil || length < 0 {
		return ended(err)
	}
	if most := r.c.intake.unpack.limit; length > int64(most) {
		return &errTooLarge{most}
	}
	limit := r.p.source.MaxRecordBytes
	if limit > 0 && length > limit+frameBytes {
		return r.cut(r.in, length)
	}
	if err := r.room(ctx, length); err != nil {
		return err
	}
	begin := len(r.chunk)
	r.chunk = binary.AppendVarint(r.chunk, length)
	at := len(r.chunk)
	r.chunk = r.chunk[:at+int(length)]
	if _, err := io.ReadFull(r.in, r.chunk[at:]); err != nil {
		r.chunk = r.chunk[:begin]
		return ended(err)
	}
	_, headers := weigh(r.chunk[begin:])
	if headers > oversize.MaxHeaders {
		record := r.chunk[at:]
		r.chunk = r.chunk[:begin]
		return r.cut(bufio.NewReader(bytes.NewReader(record)), length)
	}
	// They are few: nobody waits for them.
	r.c.share.Note(int64(headers * headerCost))
	r.taken += int64(headers * headerCost)
	r.count++
	return nil
}

// room makes room for a record of so many bytes, once there is memory for it: what is
// read and not delivered is not held meanwhile.
func (r *pieceReader) room(ctx context.Context, length int64) error {
	whole := int(length) + binary.MaxVarintLen64
	if len(r.chunk)+whole > cap(r.chunk) {
		if err := r.flush(); err != nil {
			return err
		}
	}
	need := length + fetchedCost
	if !r.c.share.Take(need) {
		if err := r.flush(); err != nil {
			return err
		}
		if err := r.c.share.Wait(ctx, need); err != nil {
			return err
		}
	}
	r.taken += need
	if r.chunk == nil {
		r.chunk = make([]byte, 0, max(pieceBytes, whole))
	}
	return nil
}

// flush delivers what is read.
func (r *pieceReader) flush() error {
	chunk, count, taken := r.chunk, r.count, r.taken
	r.chunk, r.count, r.taken = nil, 0, 0
	defer r.c.share.Give(taken)
	if count == 0 {
		return nil
	}
	if len(chunk) < cap(chunk)/2 {
		chunk = append(make([]byte, 0, len(chunk)), chunk...)
	}
	records, err := r.visible(chunk, count)
	r.p.accept(slotsOf(records, r.p.source.MaxRecordBytes))
	return err
}

// visible makes records of a part of the batch, as the client does: none of those
// before the place to read from, nor of a transaction that was aborted.
func (r *pieceReader) visible(chunk []byte, count int32) ([]*kgo.Record, error) {
	batch := *r.batch
	batch.Attributes &^= 0x07
	batch.Records, batch.NumRecords = chunk, count
	data := batch.AppendTo(nil)
	kbin.AppendInt32(data[:8], int32(len(data)-12))
	read := 0
	fetched, _ := kgo.ProcessFetchPartition(
		kgo.ProcessFetchPartitionOpts{
			Topic: r.p.topic, Partition: r.p.number, Offset: r.from, IsolationLevel: kgo.ReadCommitted(),
			DisableCRCValidation: true,
		},
		&kmsg.FetchResponseTopicPartition{Partition: r.p.number, RecordBatches: data,
			AbortedTransactions: r.stored.AbortedTransactions},
		nil, func(m kgo.FetchBatchMetrics) { read = m.NumRecords })
	if fetched.Err == nil && read < int(count) {
		fetched.Err = errRecord
	}
	return fetched.Records, fetched.Err
}

// cut reads past a record that is too large, and delivers what is left of it.
func (r *pieceReader) cut(from *bufio.Reader, length int64) error {
	if err := r.flush(); err != nil {
		return err
	}
	limit := r.p.source.MaxRecordBytes
	if limit <= 0 {
		limit = int64(r.c.intake.unpack.limit)
	}
	in := recordReader{in: from, left: length, keep: min(limit, smallPart)}
	left, e := in.record()
	if in.err == nil && in.left != 0 {
		in.err = errRecord
	}
	if in.err != nil {
		return in.err
	}
	why := oversize.CheckParts(in.key, in.value, in.headers, in.count, limit)
	if why == nil {
		why = errRecord // it says that it is longer than it is
	}
	e.Why = why.Error()
	raw := left.AppendTo(nil)
	left.Length = int32(len(raw) - 1)
	records, err := r.visible(left.AppendTo(nil), 1)
	slots := slotsOf(records, 0)
	for i := range slots {
		slots[i].record = detached(slots[i].record)
		slots[i].gap = &gap{next: slots[i].record.Offset + 1, err: e}
	}
	r.p.accept(slots)
	return err
}
