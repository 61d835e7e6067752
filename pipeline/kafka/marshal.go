package kafka

import (
	"context"
	"maps"
	"slices"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/handlers"
)

type recordKey struct{}

// NewRecordMessage wraps a record in a Watermill message, to be published as it
// is: a null key or value stays null, headers keep their order, their repeats
// and their nulls, and the timestamp is kept. The record's own Topic does not
// count.
func NewRecordMessage(ctx context.Context, r *handlers.Record) *message.Message {
	m := message.NewMessage(watermill.NewShortUUID(), r.Value)
	m.SetContext(context.WithValue(ctx, recordKey{}, r))
	return m
}

// marshaler turns Watermill messages into Kafka records without adding or
// losing anything. A message that is not of NewRecordMessage becomes a record
// without a key whose headers are the metadata, sorted by name.
type marshaler struct{}

// Marshal makes the record that is sent to topic.
func (marshaler) Marshal(topic string, m *message.Message) (*sarama.ProducerMessage, error) {
	out := &sarama.ProducerMessage{}
	if r, ok := m.Context().Value(recordKey{}).(*handlers.Record); ok {
		fill(out, r, &body{})
		out.Topic = topic
		return out, nil
	}
	out.Topic, out.Offset = topic, -1
	if m.Payload != nil {
		out.Value = sarama.ByteEncoder(m.Payload)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Metadata)) {
		out.Headers = append(out.Headers, sarama.RecordHeader{Key: []byte(name), Value: []byte(m.Metadata[name])})
	}
	return out, nil
}

// body is a record's value on its way. The producer asks for it when it puts
// the record into a request: until then nothing of it has left the process.
type body struct {
	value []byte
	taken bool
}

// Encode hands the value out, nil for null.
func (b *body) Encode() ([]byte, error) {
	b.taken = true
	return b.value, nil
}

// Length is the value's length.
func (b *body) Length() int { return len(b.value) }

// fill makes the producer's form of a record. The bytes are shared.
func fill(out *sarama.ProducerMessage, r *handlers.Record, b *body) {
	*b = body{value: r.Value}
	// The producer sets no offset where the broker answers that it has the
	// record already.
	*out = sarama.ProducerMessage{Topic: r.Topic, Timestamp: r.Time, Value: b, Offset: -1}
	if r.Key != nil {
		out.Key = sarama.ByteEncoder(r.Key)
	}
	if len(r.Headers) == 0 {
		return
	}
	out.Headers = make([]sarama.RecordHeader, len(r.Headers))
	for i, h := range r.Headers {
		out.Headers[i] = sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value}
	}
}
