package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/tidwall/gjson"
)

// raw is the loop that one would write by hand on sarama: a consumer group, a
// filter on one field, an idempotent AsyncProducer, and offsets marked up to the
// contiguous acknowledged prefix.
func raw(ctx context.Context, broker, in, group, out string) error {
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewMurmur2Partitioner
	config.Producer.Flush.Frequency = time.Millisecond
	config.Producer.Flush.Messages = 2000
	producer, err := sarama.NewAsyncProducer([]string{broker}, config)
	if err != nil {
		return err
	}
	members, err := sarama.NewConsumerGroup([]string{broker}, group, config)
	if err != nil {
		return errors.Join(err, producer.Close())
	}
	loop := &rawLoop{producer: producer, out: out}
	var acks sync.WaitGroup
	acks.Go(func() {
		for m := range producer.Successes() {
			m.Metadata.(*prefix).done(m)
		}
	})
	acks.Go(func() {
		for e := range producer.Errors() {
			err = errors.Join(err, e)
		}
	})
	for ctx.Err() == nil {
		if failed := members.Consume(ctx, []string{in}, loop); failed != nil && ctx.Err() == nil {
			return failed
		}
	}
	producer.AsyncClose()
	acks.Wait()
	return errors.Join(err, members.Close())
}

type rawLoop struct {
	producer sarama.AsyncProducer
	out      string
}

func (*rawLoop) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*rawLoop) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (l *rawLoop) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	p := &prefix{session: session}
	for m := range claim.Messages() {
		amount := gjson.GetBytes(m.Value, "amount")
		if !gjson.ValidBytes(m.Value) || amount.Float() < 50 {
			p.skip(m)
			continue
		}
		sent := &sarama.ProducerMessage{
			Topic: l.out, Key: sarama.ByteEncoder(m.Key), Value: sarama.ByteEncoder(m.Value), Metadata: p,
		}
		p.send(m, sent)
		l.producer.Input() <- sent
	}
	return nil
}

// prefix marks a partition's offsets up to the first that is not acknowledged.
type prefix struct {
	session sarama.ConsumerGroupSession

	mu    sync.Mutex
	queue []*pending
	sent  map[*sarama.ProducerMessage]*pending
}

type pending struct {
	message *sarama.ConsumerMessage
	done    bool
}

func (p *prefix) skip(m *sarama.ConsumerMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, &pending{message: m, done: true})
	p.advance()
}

func (p *prefix) send(m *sarama.ConsumerMessage, sent *sarama.ProducerMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent == nil {
		p.sent = map[*sarama.ProducerMessage]*pending{}
	}
	e := &pending{message: m}
	p.queue = append(p.queue, e)
	p.sent[sent] = e
}

func (p *prefix) done(sent *sarama.ProducerMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[sent].done = true
	delete(p.sent, sent)
	p.advance()
}

func (p *prefix) advance() {
	for len(p.queue) > 0 && p.queue[0].done {
		p.session.MarkMessage(p.queue[0].message, "")
		p.queue = p.queue[1:]
	}
}
