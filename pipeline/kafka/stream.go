package kafka

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

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
