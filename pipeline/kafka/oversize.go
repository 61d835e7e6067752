package kafka

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

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

// Oversize says that a record is larger than its pipeline takes, and what of it is
// left out for that: it is never held.
type Oversize struct {
	// Key, Headers and Value are the parts left out, nil for those that are not.
	Key, Headers, Value *Part
	why                 string
}

func (e *Oversize) Error() string { return e.why }

// CheckSize tells why a record is larger than limit, nil where it is not; 0 is no
// limit.
func CheckSize(r *handlers.Record, limit int64) error {
	headers := 0
	for i := range r.Headers {
		headers += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return checkSize(len(r.Key), len(r.Value), headers, len(r.Headers), limit)
}

func checkSize(key, value, headers, count int, limit int64) error {
	if size := key + value + headers; limit > 0 && int64(size) > limit {
		return fmt.Errorf("the record has %d bytes, %d of them its value, more than source.max_record_bytes (%d)", size, value, limit)
	}
	if count > MaxHeaders {
		return fmt.Errorf("the record has %d headers, more than %d", count, MaxHeaders)
	}
	return nil
}

// cut makes of a record that is too large what is handed out in its place: its
// coordinates, its time, and those of its parts that are small.
func cut(r *handlers.Record, why error, limit int64) *gap {
	e := &Oversize{why: why.Error()}
	left := min(limit, smallPart)
	if int64(len(r.Value)) > left {
		e.Value, r.Value = PartOf(r.Value), nil
	}
	if h := HeadersPart(r.Headers); h != nil && (len(r.Headers) > MaxHeaders || int64(h.Bytes) > left) {
		e.Headers, r.Headers = h, nil
	}
	if int64(len(r.Key)) > left {
		e.Key, r.Key = PartOf(r.Key), nil
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
		headers += min(len(r.Headers), MaxHeaders+1)
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
		if n := len(r.Headers); n > MaxHeaders {
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
		if why := checkSize(len(r.Key), len(r.Value), named, len(r.Headers), limit); why != nil && limit > 0 {
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
