package kafka

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/millrace/millrace/pipeline/oversize"
	"github.com/twmb/franz-go/pkg/kmsg"
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
