package handlers

import (
	"fmt"
	"time"
)

// Header is one Kafka record header. Headers keep their order and may repeat;
// a nil Value is Kafka's null, which differs from an empty one.
type Header struct {
	Key   string
	Value []byte
}

// Record is one Kafka record. A nil Key is a record without a key, a nil Value
// a tombstone; both differ from empty ones. A sink must treat a Record and all
// that it refers to as read-only, and may keep it only until its Write returns.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      time.Time
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Header returns the value of the last header called key, and whether there is
// one: of a repeated header the last counts, as in expressions.
func (r *Record) Header(key string) ([]byte, bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

// Coordinates name the record as every command does: topic/partition/offset.
func (r *Record) Coordinates() string { return fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset) }
