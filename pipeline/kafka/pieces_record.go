package kafka

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/oversize"
)

var errRecord = errors.New("a record's lengths don't fit")

// recordReader reads within one record, of which parts of more than keep bytes are
// left out.
type recordReader struct {
	in         *bufio.Reader
	left, keep int64
	err        error
	// key, value and headers are the sizes of the parts, count is how many headers
	// there are.
	key, value, headers, count int
}

// record is what is left of the record, and what is left out.
func (r *recordReader) record() (kmsg.Record, *oversize.Error) {
	var left kmsg.Record
	e := &oversize.Error{}
	if _, err := r.ReadByte(); err != nil { // attributes
		r.fail(err)
	}
	left.TimestampDelta64 = r.varint()
	left.OffsetDelta = int32(r.varint())
	left.Key, e.Key, r.key = r.part()
	left.Value, e.Value, r.value = r.part()
	left.Headers, e.Headers = r.readHeaders()
	return left, e
}

// part reads a key or a value.
func (r *recordReader) part() (content []byte, out *oversize.Part, size int) {
	n := r.length(true)
	if n <= r.keep {
		return r.bytes(n), nil, int(max(0, n))
	}
	sum := sha256.New()
	r.pass(sum, n)
	return nil, &oversize.Part{Digest: hex.EncodeToString(sum.Sum(nil)), Bytes: int(n)}, int(n)
}

// readHeaders reads the headers; see HeadersPart.
func (r *recordReader) readHeaders() (kept []kmsg.Header, out *oversize.Part) {
	count := r.varint()
	if count < 0 || count > r.left {
		r.fail(errRecord)
		return nil, nil
	}
	r.count = int(count)
	whole := r.count <= oversize.MaxHeaders
	sum, framed := sha256.New(), 0
	for i := int64(0); i < count && r.err == nil; i++ {
		var h kmsg.Header
		for key := true; ; key = false {
			n := r.length(!key)
			head := binary.AppendUvarint(nil, uint64(max(0, n)))
			sum.Write(head)
			framed += len(head) + int(max(0, n))
			r.headers += int(max(0, n))
			if whole = whole && int64(framed) <= r.keep; !whole {
				kept = nil
				r.pass(sum, n)
			} else if content := r.bytes(n); key {
				sum.Write(content)
				h.Key = string(content)
			} else {
				sum.Write(content)
				h.Value = content
			}
			if !key {
				break
			}
		}
		if whole {
			kept = append(kept, h)
		}
	}
	if whole || r.count == 0 {
		return kept, nil
	}
	return nil, &oversize.Part{Digest: hex.EncodeToString(sum.Sum(nil)), Bytes: framed}
}

// length reads a part's length; -1 stands for null where that may be.
func (r *recordReader) length(nullable bool) int64 {
	n := r.varint()
	if n > r.left || n < -1 || n < 0 && !nullable {
		r.fail(errRecord)
		return -1
	}
	return n
}

func (r *recordReader) bytes(n int64) []byte {
	if r.err != nil || n < 0 {
		return nil
	}
	content := make([]byte, n)
	_, err := io.ReadFull(r.in, content)
	r.left -= n
	r.fail(err)
	return content
}

// pass reads over n bytes.
func (r *recordReader) pass(sum hash.Hash, n int64) {
	if r.err != nil || n < 0 {
		return
	}
	_, err := io.CopyN(sum, r.in, n)
	r.left -= n
	r.fail(err)
}

func (r *recordReader) varint() int64 {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadVarint(r)
	r.fail(err)
	return n
}

// ReadByte is for binary.ReadVarint.
func (r *recordReader) ReadByte() (byte, error) {
	if r.left <= 0 {
		return 0, errRecord
	}
	r.left--
	return r.in.ReadByte()
}

func (r *recordReader) fail(err error) {
	if r.err == nil && err != nil {
		r.err = ended(err)
	}
}

// ended is what an error means within a record: the end of the data is one too.
func ended(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errRecord
	}
	return err
}

// stream decompresses a batch bit by bit, at most as much as a batch may be.
func (u *unpacker) stream(src []byte, codec kgo.CompressionCodecType) (io.ReadCloser, error) {
	var in io.ReadCloser
	switch codec {
	case kgo.CodecSnappy:
		r := &snappyReader{}
		err := snappyBlocks(src, func(block []byte) error {
			r.blocks = append(r.blocks, block)
			return nil
		})
		if err != nil {
			return nil, err
		}
		in = io.NopCloser(r)
	case kgo.CodecZstd:
		d, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		in = d.IOReadCloser()
	case kgo.CodecGzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		in = r
	case kgo.CodecLz4:
		in = io.NopCloser(lz4.NewReader(bytes.NewReader(src)))
	default:
		return nil, fmt.Errorf("the compression %d is unknown", codec)
	}
	return &bounded{in, u.limit, u.limit}, nil
}

// streamCost is how much memory the decompression of a batch bit by bit takes.
func streamCost(src []byte, codec kgo.CompressionCodecType) int64 {
	cost := int64(blockBytes)
	switch codec {
	case kgo.CodecSnappy:
		_ = snappyBlocks(src, func(block []byte) error {
			n, err := s2.DecodedLen(block)
			cost = max(cost, int64(n))
			return err
		})
	case kgo.CodecZstd:
		var h zstd.Header
		if h.Decode(src) == nil {
			window := h.WindowSize
			if h.SingleSegment {
				window = h.FrameContentSize
			}
			cost += int64(min(window, 1<<40))
		}
	case kgo.CodecLz4:
		// Two blocks, of which the frame says how large they are: 64 KiB for 4, and
		// each further one is four times as large.
		if len(src) > 5 {
			cost += 2 << (8 + 2*(src[5]>>4&7))
		}
	}
	return cost
}

// bounded fails beyond a number of bytes, where an io.LimitedReader ends.
type bounded struct {
	io.ReadCloser
	left, limit int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, &errTooLarge{b.limit}
	}
	return n, err
}

// snappyReader decompresses one block after the other.
type snappyReader struct {
	blocks     [][]byte
	room, left []byte
}

func (r *snappyReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if len(r.blocks) == 0 {
			return 0, io.EOF
		}
		var err error
		if r.room, err = s2.Decode(r.room, r.blocks[0]); err != nil {
			return 0, err
		}
		r.left, r.blocks = r.room, r.blocks[1:]
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}
