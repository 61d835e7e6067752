package oversize

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/millrace/millrace/handlers"
)

// MaxHeaders is how many headers a record may have.
const MaxHeaders = 1000

// Part is what stands in for a part of a record that is left out.
type Part struct {
	// Digest is the SHA-256 of its bytes, in hexadecimal.
	Digest string
	Bytes  int
}

// PartOf describes bytes, nil for null.
func PartOf(content []byte) *Part {
	if content == nil {
		return nil
	}
	sum := sha256.Sum256(content)
	return &Part{hex.EncodeToString(sum[:]), len(content)}
}

// HeadersPart describes headers, nil for none: names and values, each behind its
// length as a varint.
func HeadersPart(headers []handlers.Header) *Part {
	if len(headers) == 0 {
		return nil
	}
	var length [binary.MaxVarintLen64]byte
	sum, size := sha256.New(), 0
	for _, h := range headers {
		for _, part := range [][]byte{[]byte(h.Key), h.Value} {
			n := binary.PutUvarint(length[:], uint64(len(part)))
			sum.Write(length[:n])
			sum.Write(part)
			size += n + len(part)
		}
	}
	return &Part{hex.EncodeToString(sum.Sum(nil)), size}
}

// Error says that a record is larger than its pipeline takes, and what of it is
// left out for that: it is never held.
type Error struct {
	// Key, Headers and Value are the parts left out, nil for those that are not.
	Key, Headers, Value *Part
	Why                 string
}

func (e *Error) Error() string { return e.Why }

// Check tells why a record is larger than limit, nil where it is not; 0 is no
// limit.
func Check(r *handlers.Record, limit int64) error {
	headers := 0
	for i := range r.Headers {
		headers += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return CheckParts(len(r.Key), len(r.Value), headers, len(r.Headers), limit)
}

// CheckParts is Check of a record whose parts have these sizes.
func CheckParts(key, value, headers, count int, limit int64) error {
	if size := key + value + headers; limit > 0 && int64(size) > limit {
		return fmt.Errorf("the record has %d bytes, %d of them its value, more than source.max_record_bytes (%d)", size, value, limit)
	}
	if count > MaxHeaders {
		return fmt.Errorf("the record has %d headers, more than %d", count, MaxHeaders)
	}
	return nil
}
