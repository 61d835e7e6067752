package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/handlers"
)

// largeRecord is the size from which a record travels alone: with it in a batch
// the batch would be larger than brokers take by default.
const largeRecord = batchBytes - 1024

// send writes records in order and tells what became of each. Large ones, and
// those of an odd time, split the batch, so that nothing overtakes them. ctx does
// not end while the caller waits: it has values only.
func (p *Publisher) send(ctx context.Context, records []*handlers.Record) ([]sarama.ProducerMessage,
	map[int]*handlers.Failure) {
	s := newSending(p, records)
	from := 0
	for i := range s.messages {
		odd := oddTime(records[i].Time)
		if !odd && s.messages[i].ByteSize(2) < largeRecord {
			continue
		}
		s.batch(from, i)
		if odd {
			s.odd(ctx, i)
		} else {
			s.alone(i)
		}
		from = i + 1
	}
	s.batch(from, len(records))
	return s.messages, s.failed
}

// anyPartition stands for the partition of a record that has none yet.
const anyPartition = -1

// sending is one call of Produce on its way. What the cluster acknowledged stays
// so, whatever became of records before it: to send it again would be a repeat.
type sending struct {
	p        *Publisher
	records  []*handlers.Record
	messages []sarama.ProducerMessage
	bodies   []body
	failed   map[int]*handlers.Failure
	// broken holds the partitions that a record is still to be written to by the
	// caller: what was not sent to them yet waits, so that it stays behind.
	broken map[topicPartition]bool
	// down is set when the cluster takes nothing: the rest need not wait for it.
	down error
}

func newSending(p *Publisher, records []*handlers.Record) *sending {
	s := &sending{
		p: p, records: records, failed: map[int]*handlers.Failure{}, broken: map[topicPartition]bool{},
		messages: make([]sarama.ProducerMessage, len(records)), bodies: make([]body, len(records)),
	}
	for i := range records {
		s.fill(i)
	}
	return s
}

func (s *sending) fill(i int) { fill(&s.messages[i], s.records[i], &s.bodies[i]) }

// batch sends records[from:to] together. What the broker refused with its whole
// batch is sent again one by one.
func (s *sending) batch(from, to int) {
	todo := make([]int, 0, to-from)
	pointers := make([]*sarama.ProducerMessage, 0, to-from)
	for i := from; i < to; i++ {
		if s.skip(i, topicPartition{s.records[i].Topic, anyPartition}) {
			continue
		}
		todo = append(todo, i)
		pointers = append(pointers, &s.messages[i])
	}
	if len(todo) == 0 {
		return
	}
	_, producer, err := s.p.shared.open()
	if err != nil {
		s.refuse(todo, err)
		return
	}
	if err = producer.SendMessages(pointers); err == nil {
		return
	}
	many, ok := errors.AsType[sarama.ProducerErrors](err)
	if !ok {
		s.refuse(todo, err)
		return
	}
	errs := make(map[*sarama.ProducerMessage]error, len(many))
	for _, e := range many {
		errs[e.Msg] = e.Err
	}
	s.sort(todo, errs)
}

// sort goes through a batch of which some failed, in order.
func (s *sending) sort(todo []int, errs map[*sarama.ProducerMessage]error) {
	for _, i := range todo {
		err, bad := errs[&s.messages[i]]
		if !bad {
			continue
		}
		to := topicPartition{s.records[i].Topic, s.messages[i].Partition}
		if !refusedWhole(err) {
			s.fail(i, classify(err, s.records[i].Topic, s.bodies[i].taken))
		} else if !s.skip(i, to) {
			s.fill(i)
			s.alone(i)
		}
	}
}

// alone sends one record in a request of its own.
func (s *sending) alone(i int) {
	if s.skip(i, topicPartition{s.records[i].Topic, anyPartition}) {
		return
	}
	_, producer, err := s.p.solo.open()
	if err != nil {
		s.refuse([]int{i}, err)
		return
	}
	if _, _, err := producer.SendMessage(&s.messages[i]); err != nil {
		s.fail(i, classify(err, s.records[i].Topic, s.bodies[i].taken))
	}
}

// skip settles a record that is not to be sent now: behind one that failed of
// its partition, or while the cluster takes nothing. It tells whether i is settled.
func (s *sending) skip(i int, to topicPartition) bool {
	switch {
	case s.down != nil:
		s.fail(i, unsent(s.down))
	case s.broken[to]:
		s.fail(i, &handlers.Failure{Class: handlers.NotAttempted, NotSent: true,
			Err: errors.New("an earlier record of the same partition failed")})
	default:
		return false
	}
	return true
}

// refuse fails records that were never sent.
func (s *sending) refuse(todo []int, err error) {
	s.down = fmt.Errorf("write to kafka: nothing was sent: %w", err)
	for _, i := range todo {
		s.fail(i, unsent(s.down))
	}
}

func (s *sending) fail(i int, f *handlers.Failure) {
	s.failed[i] = f
	m := &s.messages[i]
	m.Offset = -1
	if f.Class == handlers.NotApplied {
		return
	}
	s.broken[topicPartition{m.Topic, m.Partition}] = true
	s.broken[topicPartition{m.Topic, anyPartition}] = true
	if s.down == nil && f.Class == handlers.Infrastructure && clusterAway(f.Err) {
		s.down = f.Err
	}
}

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
