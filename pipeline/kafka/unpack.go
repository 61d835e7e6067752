package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
)

// errNoMemory says that there is no memory for a batch now, and how much it needs.
// The client asks for the batch again.
type errNoMemory struct{ need int64 }

func (e *errNoMemory) Error() string {
	return fmt.Sprintf("there is no memory for a batch of at least %d bytes", e.need)
}

// errTooLarge says that a batch is larger than it may be. It is none of the client's
// errors, since after that of its own it never fetches the partition again where the
// error is thrown away with the rest of a fetch.
type errTooLarge struct{ limit int }

func (e *errTooLarge) Error() string {
	return fmt.Sprintf("it takes more than %d bytes once it is decompressed, which is what source.max_record_bytes "+
		"allows", e.limit)
}

// unpacker decompresses batches into memory that was taken before. Its methods are
// safe for concurrent use.
type unpacker struct {
	// limit is how large a batch may be.
	limit int
	take  func(int64) bool
	give  func(int64)
	// ratio is how far the last batch grew.
	ratio atomic.Int64
	// zstd and scratch hold decoders and buffers that are used again.
	zstd, scratch sync.Pool
}

func newUnpacker(limit int, take func(int64) bool, give func(int64)) *unpacker {
	return &unpacker{limit: limit, take: take, give: give}
}

// errFull says that a buffer is too small.
var errFull = errors.New("the buffer is too small")

// unpack returns what src holds, and how many bytes were taken for it: none on an
// error. It is errTooLarge where that is larger than the limit, and
// errNoMemory where there is no room now.
func (u *unpacker) unpack(src []byte, codec kgo.CompressionCodecType) (raw []byte, taken int64, err error) {
	size, known, err := sizeOf(src, codec)
	if err != nil {
		return nil, 0, err
	}
	if !known {
		size = int(min(int64(len(src))*max(2, u.ratio.Load()+1), int64(u.limit)))
	}
	for {
		if size > u.limit {
			return nil, 0, &errTooLarge{u.limit}
		}
		room := size
		if !known {
			room += blockBytes // without which the decoders go a slower way
		}
		if !u.take(int64(room)) {
			return nil, 0, &errNoMemory{int64(room)}
		}
		raw, err = u.decode(src, codec, room, !known)
		if err == nil && len(raw) <= u.limit {
			u.ratio.Store(int64(len(raw) / max(1, len(src))))
			u.give(int64(room - cap(raw)))
			return raw, int64(cap(raw)), nil
		}
		u.give(int64(room))
		switch {
		case err != nil && (known || !errors.Is(err, errFull)):
			return nil, 0, err
		case size == u.limit:
			return nil, 0, &errTooLarge{u.limit}
		}
		size = min(4*max(size, 1<<10), u.limit)
	}
}

const (
	// blockBytes is what a block of zstd may hold, and a little more.
	blockBytes = 128<<10 + 64
	// scratchBytes is how large the buffers may be that are used again.
	scratchBytes = 1 << 20
)

// decode decompresses src as far as there is room. Where that is only a guess the
// result has a buffer of its own size.
func (u *unpacker) decode(src []byte, codec kgo.CompressionCodecType, room int, guessed bool) ([]byte, error) {
	if !guessed {
		return u.decodeTo(make([]byte, 0, room), src, codec)
	}
	var dst []byte
	if room <= scratchBytes {
		scratch, ok := u.scratch.Get().(*[]byte)
		if !ok {
			full := make([]byte, 0, scratchBytes)
			scratch = &full
		}
		defer u.scratch.Put(scratch)
		dst = (*scratch)[:0:room]
	} else {
		dst = make([]byte, 0, room)
	}
	raw, err := u.decodeTo(dst, src, codec)
	if err != nil || room > scratchBytes && room < 2*len(raw) {
		return raw, err
	}
	// slices.Clone and append would round the capacity up.
	own := make([]byte, len(raw))
	copy(own, raw)
	return own, nil
}

// decodeTo decompresses src into dst, as far as that has room.
func (u *unpacker) decodeTo(dst, src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	switch codec {
	case kgo.CodecSnappy:
		return snappy(dst, src)
	case kgo.CodecZstd:
		return u.unzstd(dst, src)
	case kgo.CodecGzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return fillFrom(r, dst)
	case kgo.CodecLz4:
		return fillFrom(lz4.NewReader(bytes.NewReader(src)), dst)
	default:
		return nil, fmt.Errorf("the compression %d is unknown", codec)
	}
}

func (u *unpacker) unzstd(dst, src []byte) ([]byte, error) {
	d, ok := u.zstd.Get().(*zstd.Decoder)
	if !ok {
		var err error
		if d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecodeAllCapLimit(true)); err != nil {
			return nil, err
		}
	}
	defer u.zstd.Put(d)
	raw, err := d.DecodeAll(src, dst)
	// In the middle of a block it does not say that the room is at its end.
	if err != nil && (errors.Is(err, zstd.ErrDecoderSizeExceeded) || cap(dst)-len(raw) < blockBytes) {
		err = errFull
	}
	return raw, err
}

// fillFrom reads all of r into dst, as far as that has room.
func fillFrom(r io.Reader, dst []byte) ([]byte, error) {
	var more [1]byte
	for {
		room := dst[len(dst):cap(dst)]
		if len(room) == 0 {
			room = more[:]
		}
		n, err := r.Read(room)
		if n > 0 && len(dst) == cap(dst) {
			return nil, errFull
		}
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// sizeOf is how much src says that it holds; known is false where it does not say.
func sizeOf(src []byte, codec kgo.CompressionCodecType) (size int, known bool, err error) {
	switch codec {
	case kgo.CodecSnappy:
		size, err = snappySize(src)
		return size, true, err
	case kgo.CodecZstd:
		var h zstd.Header
		if h.Decode(src) == nil && h.HasFCS {
			return int(min(h.FrameContentSize, 1<<31-1)), true, nil
		}
	}
	return 0, false, nil
}

// The Java clients write snappy in blocks, behind a head of 16 bytes of which the
// first eight are fixed; others write one block without a head.
var snappyHead = []byte{130, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

var errSnappy = errors.New("the snappy blocks are malformed")

// snappyBlocks visits the blocks of src.
func snappyBlocks(src []byte, visit func(block []byte) error) error {
	if len(src) <= 16 || !bytes.HasPrefix(src, snappyHead) {
		return visit(src)
	}
	for src = src[16:]; len(src) > 0; {
		if len(src) < 4 {
			return errSnappy
		}
		n := binary.BigEndian.Uint32(src)
		if src = src[4:]; uint64(n) > uint64(len(src)) {
			return errSnappy
		}
		if err := visit(src[:n]); err != nil {
			return err
		}
		src = src[n:]
	}
	return nil
}

func snappySize(src []byte) (int, error) {
	size := 0
	err := snappyBlocks(src, func(block []byte) error {
		n, err := s2.DecodedLen(block)
		size = min(size+n, 1<<31-1)
		return err
	})
	return size, err
}

func snappy(dst, src []byte) ([]byte, error) {
	err := snappyBlocks(src, func(block []byte) error {
		n, err := s2.DecodedLen(block)
		if err != nil || n > cap(dst)-len(dst) {
			return errors.Join(err, errSnappy)
		}
		// With room for it the block is decoded in place.
		_, err = s2.Decode(dst[len(dst):len(dst)+n], block)
		dst = dst[:len(dst)+n]
		return err
	})
	return dst, err
}

// weigh counts the records of a decompressed batch and their headers, as far as they
// can be read.
func weigh(raw []byte) (records, headers int) {
	for len(raw) > 0 {
		length, used := kbin.Varint(raw)
		total := used + int(length)
		if used <= 0 || length < 0 || len(raw) < total {
			break
		}
		r := kbin.Reader{Src: raw[used:total]}
		r.Int8()        // its attributes
		r.Varlong()     // its time
		r.Varint()      // its offset
		r.VarintBytes() // its key
		r.VarintBytes() // its value
		n := int(r.VarintArrayLen())
		if !r.Ok() {
			break
		}
		raw = raw[total:]
		records++
		headers += max(0, n)
	}
	return records, headers
}
