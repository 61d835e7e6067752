package embedded

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// batchChecker tells whether a batch of records holds what it says. It is safe for
// concurrent use, and looks at a few at a time.
type batchChecker struct {
	slots chan *inflater
}

func newBatchChecker() *batchChecker {
	c := &batchChecker{slots: make(chan *inflater, min(max(1, runtime.GOMAXPROCS(0)/2), mostChecks))}
	for range cap(c.slots) {
		c.slots <- &inflater{in: bufio.NewReaderSize(nil, 64<<10)}
	}
	return c
}

// batchFault is why a batch is refused. Corrupt is CORRUPT_MESSAGE, which producers
// try again; else it is INVALID_RECORD, which they do not.
type batchFault struct {
	corrupt bool
	reason  string
}

const (
	// maxInflated is how much a batch may decompress to.
	maxInflated = 64 << 20
	// maxWindow is how much of what it decompressed a zstd decoder may have to keep,
	// keptWindow how much of that is kept from one batch to the next.
	maxWindow, keptWindow = 32 << 20, 8 << 20
	// mostChecks is how many batches are looked at at once: each takes as much as a
	// decoder keeps, or a block of snappy.
	mostChecks = 4
)

// The bits of a batch's attributes.
const (
	codecBits      = 0x07
	transactionBit = 0x10
	controlBit     = 0x20
)

// isTransactional tells of a batch that was checked.
func isTransactional(batch []byte) bool { return batch[atAttribute+1]&transactionBit != 0 }

// check returns why Apache Kafka would refuse the batch that a client sent, nil where
// it would not; but that it takes records of one offset, of which clients would read
// one.
func (c *batchChecker) check(batch []byte) *batchFault {
	switch {
	case len(batch) < minBatch:
		return &batchFault{true, "there is no batch"}
	case batchSize(batch) != len(batch):
		return &batchFault{false, "the batch is not as long as it says"}
	case batch[atMagic] != 2:
		return &batchFault{true, "the batch is not of format 2"}
	case !soundChecksum(batch):
		return &batchFault{true, "the batch's checksum is wrong"}
	case firstOffset(batch) != 0:
		return &batchFault{false, "the batch's first offset is not 0"}
	case batch[atAttribute+1]&controlBit != 0:
		return &batchFault{false, "clients can't write control batches"}
	}
	if err := c.checkRecords(batch); err != nil {
		return &batchFault{false, err.Error()}
	}
	return nil
}

func soundChecksum(batch []byte) bool {
	return binary.BigEndian.Uint32(batch[atChecksum:]) == crc32.Checksum(batch[atAttribute:], castagnoli)
}

// spoil makes kfake refuse a batch as invalid: it takes no control batches from
// clients. What it finds corrupt by itself stays as it is.
func spoil(batch []byte, corrupt bool) {
	if corrupt {
		return
	}
	putOffset(batch, 0)
	binary.BigEndian.PutUint32(batch[8:], uint32(len(batch)-batchHead))
	batch[atMagic] = 2
	batch[atAttribute+1] = batch[atAttribute+1]&^codecBits | controlBit
	binary.BigEndian.PutUint32(batch[atChecksum:], crc32.Checksum(batch[atAttribute:], castagnoli))
}

// checkRecords reads the records of a batch whose head is sound.
func (c *batchChecker) checkRecords(batch []byte) error {
	count := int32(binary.BigEndian.Uint32(batch[atCount:]))
	switch {
	case count <= 0:
		return fmt.Errorf("the batch says that it has %d records", count)
	case lastDelta(batch) != int64(count)-1:
		return fmt.Errorf("the batch says that it has %d records, and %d offsets", count, lastDelta(batch)+1)
	}
	inflate := <-c.slots
	defer func() { inflate.shrink(batch[minBatch:]); c.slots <- inflate }()
	records, err := inflate.open(batch[minBatch:], batch[atAttribute+1]&codecBits)
	if err != nil {
		return fmt.Errorf("the records can't be decompressed: %w", err)
	}
	for i := range count {
		if err := nextRecord(records, i); err != nil {
			return fmt.Errorf("record %d of the batch: %w", i, err)
		}
	}
	switch _, err := records.ReadByte(); {
	case err == nil:
		return errors.New("the batch has more than the records that it says")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("the records can't be decompressed: %w", err)
	}
	return nil
}

var errRecord = errors.New("its lengths don't fit")

// nextRecord reads past a record, whose offset has to be the batch's first one and
// delta.
func nextRecord(in *bufio.Reader, delta int32) error {
	length, err := binary.ReadVarint(in)
	switch {
	case err != nil || length < 0:
		return ended(err)
	case length > maxInflated:
		return errInflated
	case length > int64(in.Size()):
		return streamRecord(in, length, delta)
	}
	raw, err := in.Peek(int(length))
	if err != nil {
		return ended(err)
	}
	if err := readRecord(raw, delta); err != nil {
		return err
	}
	_, err = in.Discard(int(length))
	return err
}

// readRecord reads a record that is there as a whole, as most are.
func readRecord(raw []byte, delta int32) error {
	if len(raw) == 0 {
		return errRecord
	}
	r := raw[1:] // behind the attributes
	ok := true
	varint := func() int64 {
		n, size := binary.Varint(r)
		if size <= 0 {
			ok, r = false, nil
			return 0
		}
		r = r[size:]
		return n
	}
	skip := func(nullable bool) {
		switch n := varint(); {
		case nullable && n == -1:
		case n < 0 || n > int64(len(r)):
			ok, r = false, nil
		default:
			r = r[n:]
		}
	}
	varint()
	if at := varint(); ok && at != int64(delta) {
		return fmt.Errorf("its offset is %d", at)
	}
	skip(true)
	skip(true)
	headers := varint()
	for n := headers; ok && n > 0; n-- {
		skip(false)
		skip(true)
	}
	if !ok || headers < 0 || len(r) > 0 {
		return errRecord
	}
	return nil
}

// streamRecord reads past a record that is larger than what is kept of a batch.
func streamRecord(in *bufio.Reader, length int64, delta int32) error {
	r := recordReader{in: in, left: length}
	r.byte() // attributes
	r.varint()
	if at := r.varint(); r.err == nil && at != int64(delta) {
		return fmt.Errorf("its offset is %d", at)
	}
	r.skip(r.varint(), true)
	r.skip(r.varint(), true)
	headers := r.varint()
	if headers < 0 {
		return errRecord
	}
	for ; headers > 0 && r.err == nil; headers-- {
		r.skip(r.varint(), false)
		r.skip(r.varint(), true)
	}
	if r.err == nil && r.left != 0 {
		return errRecord
	}
	return r.err
}

func ended(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errRecord
	}
	return err
}

// recordReader reads within one record.
type recordReader struct {
	in   *bufio.Reader
	left int64
	err  error
}

// ReadByte is for binary.ReadVarint.
func (r *recordReader) ReadByte() (byte, error) {
	if r.left <= 0 {
		return 0, errRecord
	}
	r.left--
	return r.in.ReadByte()
}

func (r *recordReader) byte() {
	if r.err == nil {
		if _, err := r.ReadByte(); err != nil {
			r.err = ended(err)
		}
	}
}

func (r *recordReader) varint() int64 {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadVarint(r)
	if err != nil {
		r.err = ended(err)
	}
	return n
}

// skip passes n bytes over; -1 stands for none where there may be none.
func (r *recordReader) skip(n int64, nullable bool) {
	switch {
	case r.err != nil || nullable && n == -1:
	case n < 0 || n > r.left:
		r.err = errRecord
	default:
		r.left -= n
		if _, err := r.in.Discard(int(n)); err != nil {
			r.err = ended(err)
		}
	}
}

// inflater decompresses one batch at a time, as a stream where the format allows it.
type inflater struct {
	in   *bufio.Reader
	zstd *zstd.Decoder
}

var errInflated = fmt.Errorf("they have more than %d MiB", maxInflated>>20)

// open returns the records of a batch, at most maxInflated of them.
func (f *inflater) open(raw []byte, codec byte) (*bufio.Reader, error) {
	var (
		in  io.Reader = bytes.NewReader(raw)
		err error
	)
	switch codec {
	case 0:
		f.in.Reset(in)
		return f.in, nil
	case 1:
		in, err = gzip.NewReader(in)
	case 2:
		in, err = unsnap(raw)
	case 3:
		in = lz4.NewReader(in)
	case 4:
		in, err = f.unzstd(in)
	default:
		err = fmt.Errorf("there is no compression %d", codec)
	}
	if err != nil {
		return nil, err
	}
	f.in.Reset(&boundedReader{in, maxInflated})
	return f.in, nil
}

func (f *inflater) unzstd(in io.Reader) (io.Reader, error) {
	if f.zstd != nil {
		return f.zstd, f.zstd.Reset(in)
	}
	var err error
	f.zstd, err = zstd.NewReader(in, zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxInflated))
	return f.zstd, err
}

// shrink lets go of a decoder that was made for a large window.
func (f *inflater) shrink(raw []byte) {
	var head zstd.Header
	if f.zstd != nil && (head.Decode(raw) != nil || max(head.WindowSize, head.FrameContentSize) > keptWindow) {
		f.zstd.Close()
		f.zstd = nil
	}
}

// boundedReader fails beyond a number of bytes, where an io.LimitedReader ends.
type boundedReader struct {
	in   io.Reader
	left int
}

func (r *boundedReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if r.left -= n; r.left < 0 {
		return 0, errInflated
	}
	return n, err
}

// xerial begins what Java's snappy streams write: two versions of four bytes follow,
// and then blocks, each behind its length.
const xerial = "\x82SNAPPY\x00"

// unsnap reads a block of snappy, or a stream of them.
func unsnap(raw []byte) (io.Reader, error) {
	if len(raw) <= len(xerial)+8 || string(raw[:len(xerial)]) != xerial {
		block, err := unsnapBlock(raw)
		return bytes.NewReader(block), err
	}
	return &xerialReader{raw: raw[len(xerial)+8:]}, nil
}

func unsnapBlock(raw []byte) ([]byte, error) {
	// The block says how much it holds, and that much would be made.
	n, err := s2.DecodedLen(raw)
	if err != nil {
		return nil, err
	}
	if n > maxInflated {
		return nil, errInflated
	}
	if n > 100*len(raw) {
		return nil, errors.New("the block says more than it can hold")
	}
	return s2.Decode(nil, raw)
}

type xerialReader struct {
	raw, block []byte
}

func (r *xerialReader) Read(p []byte) (int, error) {
	for len(r.block) == 0 {
		if len(r.raw) == 0 {
			return 0, io.EOF
		}
		if len(r.raw) < 4 {
			return 0, io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(r.raw))
		if n > int64(len(r.raw)-4) {
			return 0, io.ErrUnexpectedEOF
		}
		block, err := unsnapBlock(r.raw[4 : 4+n])
		if err != nil {
			return 0, err
		}
		r.raw, r.block = r.raw[4+n:], block
	}
	n := copy(p, r.block)
	r.block = r.block[n:]
	return n, nil
}
