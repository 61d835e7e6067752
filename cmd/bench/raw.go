package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// passes is the filter of the raw loops: the value is checked, as Millrace does, and
// one field of it read.
func passes(value []byte) bool {
	return gjson.ValidBytes(value) && gjson.GetBytes(value, "amount").Float() >= 50
}

func rawArgs(args []string) (brokers []string, in, group, out string, err error) {
	if len(args) != 4 {
		return nil, "", "", "", fmt.Errorf("want brokers, topic, group and topic; got %q", args)
	}
	return strings.Split(args[0], ","), args[1], args[2], args[3], nil
}

// rawSarama is the loop that one would write by hand on sarama: a consumer group, a
// filter on one field, an idempotent AsyncProducer, and offsets marked up to the first
// record that is not acknowledged. With flush, batches are made as Millrace makes them.
func rawSarama(ctx context.Context, flush bool, args []string) error {
	brokers, in, group, out, err := rawArgs(args)
	if err != nil {
		return err
	}
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewMurmur2Partitioner
	if flush {
		config.Producer.Flush.Frequency = time.Millisecond
		config.Producer.Flush.Messages = 2000
	}
	producer, err := sarama.NewAsyncProducer(brokers, config)
	if err != nil {
		return err
	}
	members, err := sarama.NewConsumerGroup(brokers, group, config)
	if err != nil {
		return errors.Join(err, producer.Close())
	}
	var acks sync.WaitGroup
	acks.Go(func() {
		for m := range producer.Successes() {
			m.Metadata.(*slot[*sarama.ConsumerMessage]).finish()
		}
	})
	var failed error
	acks.Go(func() {
		for e := range producer.Errors() {
			failed = e
		}
	})
	loop := &saramaLoop{producer: producer, out: out}
	for ctx.Err() == nil && err == nil {
		err = members.Consume(ctx, []string{in}, loop)
	}
	if ctx.Err() != nil {
		err = nil
	}
	producer.AsyncClose()
	acks.Wait()
	return errors.Join(err, failed, members.Close())
}

type saramaLoop struct {
	producer sarama.AsyncProducer
	out      string
}

// Setup has nothing to do.
func (*saramaLoop) Setup(sarama.ConsumerGroupSession) error { return nil }

// Cleanup has nothing to do.
func (*saramaLoop) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim copies what passes of one partition.
func (l *saramaLoop) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	p := &prefix[*sarama.ConsumerMessage]{mark: func(m *sarama.ConsumerMessage) { session.MarkMessage(m, "") }}
	for m := range claim.Messages() {
		s := p.add(m)
		if !passes(m.Value) {
			s.finish()
			continue
		}
		l.producer.Input() <- &sarama.ProducerMessage{
			Topic: l.out, Key: sarama.ByteEncoder(m.Key), Value: sarama.ByteEncoder(m.Value), Metadata: s,
		}
	}
	// What is in flight is acknowledged before the session ends, where that can be.
	p.drain(5 * time.Second)
	return nil
}

// rawFranz is the same loop on franz-go: polls overlap with what is in flight, and
// marked offsets are committed every second.
func rawFranz(ctx context.Context, args []string) error {
	brokers, in, group, out, err := rawArgs(args)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(in),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(time.Second), kgo.ProducerLinger(time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(largestBatch),
		kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	defer client.Close()
	var failed error
	sending := context.WithoutCancel(ctx)
	all := map[int32]*prefix[*kgo.Record]{}
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil {
				return e.Err
			}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			p := all[r.Partition]
			if p == nil {
				p = &prefix[*kgo.Record]{mark: func(r *kgo.Record) { client.MarkCommitRecords(r) }}
				all[r.Partition] = p
			}
			s := p.add(r)
			if !passes(r.Value) {
				s.finish()
				return
			}
			copied := &kgo.Record{Topic: out, Key: r.Key, Value: r.Value}
			client.Produce(sending, copied, func(_ *kgo.Record, err error) {
				if err == nil {
					s.finish()
				} else {
					failed = err
				}
			})
		})
	}
	// The signal is here: what was sent is acknowledged and committed.
	last, cancel := context.WithTimeout(sending, 10*time.Second)
	defer cancel()
	return errors.Join(client.Flush(last), failed, client.CommitMarkedOffsets(last))
}
