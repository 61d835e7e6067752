package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/handlers"
)

// Batch is what one lane of one assigned partition hands out at once: records
// in offset order that hash to the same lane. A lane has one batch in flight, and
// beside it those that wait.
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
	// Again tells that the records were set aside before, see Aside.
	Again bool

	done, begun, stuck func(index int)
	leaving            func() bool
	waits              func()
	aside              *aside
}

// NewBatch makes a batch whose finished records are told to done, by index;
// done must be safe for concurrent use.
func NewBatch(topic string, partition int32, topicID [16]byte, lane int, records []*handlers.Record,
	done func(index int)) *Batch {
	ignored := func(int) {}
	return &Batch{
		Topic: topic, Partition: partition, TopicID: topicID, Lane: lane, Records: records,
		done: done, begun: ignored, stuck: ignored, leaving: func() bool { return false }, waits: func() {},
	}
}

// Done says that the record at index is finished: its outcome is durable. The
// partition's offset moves over the contiguous finished prefix. Done does not
// block, may be called concurrently, and once per record. Records that are not
// done when the message is acked or nacked are delivered again, to whoever owns
// the partition then. A stop delivers what lies before a record that is done, so
// that this one does not come again.
func (b *Batch) Done(index int) {
	b.begun(index)
	b.done(index)
}

// Passed is Done for a record that may come again, unless Begun was said of it: it
// had no effect, or its effect is known by a key. A stop does not wait for what
// lies before it.
func (b *Batch) Passed(index int) { b.done(index) }

// Begun says that a part of the record at index is done and must not be done again:
// a stop waits for the rest of it, and for what lies before it.
func (b *Batch) Begun(index int) { b.begun(index) }

// Stuck says that the record at index will not be finished as long as this process
// runs, or not soon: a stop waits neither for it nor for what lies behind it.
func (b *Batch) Stuck(index int) { b.stuck(index) }

// Waits says that all that is left of the batch waits for something that may take
// long, such as the time of a retry or a topic that does not exist. The lane then
// hands out what is not in order behind it, in batches beside this one. It may be
// said again, which looks for what has become free meanwhile, and does not block.
func (b *Batch) Waits() { b.waits() }

// Leaving tells whether the partition is being given up: somebody waits for what is
// still finished of the batch. It does not block.
func (b *Batch) Leaving() bool { return b.leaving() }

// Ending is the cause with which a message's context ends where its partition is
// given up. By then the effects that were begun under it must have ended too: the
// partition may be another's afterwards.
type Ending struct{ By time.Time }

// Error tells that nothing new is to be begun.
func (*Ending) Error() string { return "the partition is being given up" }

// EffectsLeft is how long effects may go on that were begun under a message's
// context which has ended: as long as its [Ending] says, and otherwise as given.
func EffectsLeft(ctx context.Context, otherwise time.Duration) time.Duration {
	if e, ok := errors.AsType[*Ending](context.Cause(ctx)); ok {
		return time.Until(e.By)
	}
	return otherwise
}

type batchKey struct{}

// NewMessage wraps a batch in a Watermill message. The message's context is
// derived from ctx, which ends when the partition is being given up or the
// process drains, and nothing that is finished lies behind a record of the batch:
// the handler then finishes what it has begun, starts nothing new, and acks.
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
