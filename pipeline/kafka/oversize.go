package kafka

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/oversize"
)

// cut makes of a record that is too large what is handed out in its place: its
// coordinates, its time, and those of its parts that are small.
func cut(r *handlers.Record, why error, limit int64) *gap {
	e := &oversize.Error{Why: why.Error()}
	left := min(limit, smallPart)
	if int64(len(r.Value)) > left {
		e.Value, r.Value = oversize.PartOf(r.Value), nil
	}
	if h := oversize.HeadersPart(r.Headers); h != nil && (len(r.Headers) > oversize.MaxHeaders || int64(h.Bytes) > left) {
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
