package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/handlers"
)

// largeRecord is the size from which a record travels alone: with it in a batch
// the batch would be larger than brokers take by default.
const largeRecord = batchBytes - 1024

// send writes records in order and tells what became of each. Large ones split
// the batch, so that nothing overtakes them.
func (p *Publisher) send(records []*handlers.Record) ([]sarama.ProducerMessage, map[int]*handlers.Failure) {
	s := &sending{p: p, messages: make([]sarama.ProducerMessage, len(records)), failed: map[int]*handlers.Failure{}}
	for i, r := range records {
		fill(&s.messages[i], r)
	}
	from := 0
	for i := range s.messages {
		if s.messages[i].ByteSize(2) < largeRecord {
			continue
		}
		s.batch(records, from, i)
		s.alone(records, i)
		from = i + 1
	}
	s.batch(records, from, len(records))
	return s.messages, s.failed
}

// sending is one call of Produce on its way.
type sending struct {
	p        *Publisher
	messages []sarama.ProducerMessage
	failed   map[int]*handlers.Failure
	// broken holds the keys that failed in a way that is tried again.
	broken map[string]bool
	// down is set when the cluster takes nothing: the rest need not wait for it.
	down error
}

// batch sends records[from:to] together. What the broker refused with its whole
// batch is sent again one by one; what has to be tried again by the caller takes
// the later records of its key along.
func (s *sending) batch(records []*handlers.Record, from, to int) {
	todo := make([]int, 0, to-from)
	pointers := make([]*sarama.ProducerMessage, 0, to-from)
	for i := from; i < to; i++ {
		if s.skip(i, records[i]) {
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
		s.refuse(records, todo, err)
		return
	}
	if err = producer.SendMessages(pointers); err == nil {
		return
	}
	errs := map[*sarama.ProducerMessage]error{}
	if many, ok := errors.AsType[sarama.ProducerErrors](err); ok {
		for _, e := range many {
			errs[e.Msg] = e.Err
		}
	} else {
		s.refuse(records, todo, err)
		return
	}
	s.sort(records, todo, errs)
}

// sort goes through a batch of which some failed, in order.
func (s *sending) sort(records []*handlers.Record, todo []int, errs map[*sarama.ProducerMessage]error) {
	again := map[string]bool{}
	for _, i := range todo {
		key := records[i].Key
		err, bad := errs[&s.messages[i]]
		switch {
		case key != nil && s.broken[string(key)]:
			// It may have been written, but before its predecessor: it goes
			// again, behind it.
			s.fail(i, records[i], notAttempted())
		case bad && refusedWhole(err), key != nil && again[string(key)]:
			fill(&s.messages[i], records[i])
			s.alone(records, i)
			if s.failed[i] == nil && key != nil {
				again[string(key)] = true
			}
		case bad:
			s.fail(i, records[i], classify(err))
		}
	}
}

// alone sends one record in a request of its own.
func (s *sending) alone(records []*handlers.Record, i int) {
	if s.skip(i, records[i]) {
		return
	}
	_, producer, err := s.p.solo.open()
	if err != nil {
		s.refuse(records, []int{i}, err)
		return
	}
	if _, _, err := producer.SendMessage(&s.messages[i]); err != nil {
		s.fail(i, records[i], classify(err))
	}
}

// skip settles records that need not be tried: behind a failed one of their key,
// or while the cluster takes nothing.
func (s *sending) skip(i int, r *handlers.Record) bool {
	switch {
	case r.Key != nil && s.broken[string(r.Key)]:
		s.fail(i, r, notAttempted())
	case s.down != nil:
		s.fail(i, r, handlers.Unavailable(s.down))
	default:
		return false
	}
	return true
}

// refuse fails records that were never sent.
func (s *sending) refuse(records []*handlers.Record, todo []int, err error) {
	s.down = fmt.Errorf("write to kafka: nothing was sent: %w", err)
	for _, i := range todo {
		s.fail(i, records[i], handlers.Unavailable(s.down))
	}
}

func (s *sending) fail(i int, r *handlers.Record, f *handlers.Failure) {
	s.failed[i] = f
	s.messages[i].Offset = -1
	switch f.Class {
	case handlers.Infrastructure:
		if s.down == nil {
			s.down = f.Err
		}
		fallthrough
	case handlers.Unknown, handlers.NotAttempted:
		if r.Key != nil {
			if s.broken == nil {
				s.broken = map[string]bool{}
			}
			s.broken[string(r.Key)] = true
		}
	}
}

func notAttempted() *handlers.Failure {
	return &handlers.Failure{Class: handlers.NotAttempted, Err: errors.New("an earlier record of the same key failed")}
}
