package kafka

import (
	"context"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/handlers"
)

// Batch is what one lane of one assigned partition hands out at once: records
// in offset order that hash to the same lane. A lane has one batch in flight.
type Batch struct {
	Topic     string
	Partition int32
	// TopicID is the broker's id of the topic, all zero where it has none.
	TopicID [16]byte
	Lane    int
	Records []*handlers.Record
	// Unreadable says of a record by its index why it can't be read; nil where
	// all can. It stands for a stored batch of unknown length that was passed
	// over: it has coordinates, and neither key, headers, value nor time.
	Unreadable map[int]error

	done func(index int)
}

// NewBatch makes a batch whose finished records are told to done, by index;
// done must be safe for concurrent use.
func NewBatch(topic string, partition int32, topicID [16]byte, lane int, records []*handlers.Record, done func(index int)) *Batch {
	return &Batch{Topic: topic, Partition: partition, TopicID: topicID, Lane: lane, Records: records, done: done}
}

// Done says that the record at index is finished: its outcome is durable. The
// partition's offset moves over the contiguous finished prefix. Done does not
// block, may be called concurrently, and once per record. Records that are not
// done when the message is acked or nacked are delivered again, to whoever owns
// the partition then.
func (b *Batch) Done(index int) { b.done(index) }

type batchKey struct{}

// NewMessage wraps a batch in a Watermill message. The message's context is
// derived from ctx, which ends when the partition is being given up or the
// process drains: the handler then finishes what it has claimed, starts nothing
// new, and acks.
func NewMessage(ctx context.Context, b *Batch) *message.Message {
	m := message.NewMessage(watermill.NewShortUUID(), nil)
	m.SetContext(context.WithValue(ctx, batchKey{}, b))
	return m
}

// BatchOf returns the batch that NewMessage put into m, nil if there is none.
func BatchOf(m *message.Message) *Batch {
	b, _ := m.Context().Value(batchKey{}).(*Batch)
	return b
}
