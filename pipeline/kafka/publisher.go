package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/handlers"
)

// Publisher writes records, acknowledged by all in-sync replicas and never
// repeated or reordered by a retry, through Watermill's Kafka publisher. It is a
// [handlers.Producer] and a [message.Publisher]. Its methods are safe for
// concurrent use; concurrent calls share requests.
type Publisher struct {
	// shared batches what concurrent calls send. solo sends one record a
	// request, for those that are too large to share one, and to find out which
	// record of a refused batch was at fault.
	shared, solo *writer
	// odd writes what the producer inside these can't encode.
	odd *oddWriter

	logger *slog.Logger

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup
	// callers counts those who wait for a write.
	callers int
	// slow counts the writes that wait longer than slowWrite, warned is when that
	// was last logged.
	slow   int
	warned time.Time
}

const (
	// slowWrite is how long a write may wait for the cluster before that is told,
	// in the log once in repeatAfter.
	slowWrite = 5 * time.Second
	// leftBehind is how long Close waits for writes that nobody waits for any
	// more.
	leftBehind = 5 * time.Second
)

const waiting = "writes wait for the cluster and are tried on: a leader moves, in-sync replicas are fewer than " +
	"min.insync.replicas, or brokers can't be reached"

// NewPublisher checks the settings. It does not touch the network: the first
// record to be written connects.
func NewPublisher(settings Settings, deps Deps) (*Publisher, error) {
	return newPublisher(settings, deps, marshaler{})
}

func newPublisher(settings Settings, deps Deps, m wkafka.Marshaler) (*Publisher, error) {
	c, err := newCluster(settings)
	if err != nil {
		return nil, fmt.Errorf("configure the publisher: %w", err)
	}
	if deps.Logger == nil {
		return nil, errors.New("configure the publisher: no logger is given")
	}
	logger := WatermillLogger(deps.Logger)
	return &Publisher{
		logger: deps.Logger,
		shared: &writer{cluster: c, config: c.saramaConfig, marshaler: m, logger: logger},
		odd:    &oddWriter{cluster: c, logger: deps.Logger},
		solo:   &writer{cluster: c, config: c.soloConfig, marshaler: m, logger: logger},
	}, nil
}

// Produce writes records and returns once each is durable or has failed, or ctx
// ends; then the fate of all is unknown. It implements [handlers.Producer].
func (p *Publisher) Produce(ctx context.Context, records []*handlers.Record) error {
	if len(records) == 0 {
		return nil
	}
	var failed map[int]*handlers.Failure
	messages, err := p.detached(ctx, func() []sarama.ProducerMessage {
		var sent []sarama.ProducerMessage
		sent, failed = p.send(context.WithoutCancel(ctx), records)
		return sent
	})
	if err != nil {
		return everyFailed(records, err)
	}
	for i := range messages {
		records[i].Partition, records[i].Offset = messages[i].Partition, messages[i].Offset
	}
	if len(failed) == 0 {
		return nil
	}
	for i := range failed {
		records[i].Offset = -1
	}
	return &handlers.BatchError{Failed: failed}
}

// detached runs send and waits for it, but not longer than ctx: the library's
// producer knows no contexts. Close waits for what is left behind.
func (p *Publisher) detached(ctx context.Context, send func() []sarama.ProducerMessage) ([]sarama.ProducerMessage,
	error) {
	if err := ctx.Err(); err != nil {
		return nil, unsent(fmt.Errorf("write to kafka: nothing was sent: %w", err))
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, unsent(errors.New("write to kafka: the publisher is closed"))
	}
	p.sends.Add(1)
	p.callers++
	p.mu.Unlock()
	defer p.leave()
	done := make(chan []sarama.ProducerMessage, 1)
	go func() {
		defer p.sends.Done()
		done <- send()
	}()
	slow := time.NewTimer(slowWrite)
	defer slow.Stop()
	for {
		select {
		case messages := <-done:
			return messages, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("write to kafka: whether it was written is unknown: %w", ctx.Err())
		case <-slow.C:
			p.warn(1)
			defer p.warn(-1)
		}
	}
}

// warn counts a write that has begun to wait for long, or waits no longer.
func (p *Publisher) warn(change int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow += change
	if change > 0 && time.Since(p.warned) >= repeatAfter {
		p.warned = time.Now()
		p.logger.Warn(waiting, "waited", slowWrite)
	}
}

func (p *Publisher) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.callers--
}

func (p *Publisher) waitedFor() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.callers
}

// Waiting says why writes take long now, "" where they do not.
func (p *Publisher) Waiting() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slow == 0 {
		return ""
	}
	return waiting
}

func everyFailed(records []*handlers.Record, err error) error {
	failed := make(map[int]*handlers.Failure, len(records))
	for i := range records {
		failed[i] = handlers.FailureOf(err, i)
	}
	return &handlers.BatchError{Failed: failed}
}

// Publish writes messages to topic in order and returns at the first that
// fails. Records of times before 1970 or after 2262 are for Produce: here they
// would share requests, and are refused. It implements [message.Publisher].
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		if r, ok := m.Context().Value(recordKey{}).(*handlers.Record); ok && oddTime(r.Time) {
			return fmt.Errorf("publish to %q: a record of %s can't share a request", topic, r.Time.UTC())
		}
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return errors.New("publish: the publisher is closed")
	}
	p.sends.Add(1)
	p.callers++
	p.mu.Unlock()
	defer p.sends.Done()
	defer p.leave()
	publisher, _, err := p.shared.open()
	if err != nil {
		return fmt.Errorf("publish to %q: %w", topic, err)
	}
	return publisher.Publish(topic, messages...)
}

// Close waits for the writes under way and disconnects. Writes whose callers have
// given up are waited for a few seconds only: the library goes on with them, for
// as long as the process lives, where the cluster does not answer. It may be
// called again.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		p.sends.Wait()
		p.odd.close()
		done <- errors.Join(p.shared.close(), p.solo.close())
	}()
	late := time.NewTimer(leftBehind)
	defer late.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-late.C:
			if p.waitedFor() == 0 {
				p.logger.Warn("writes that the cluster has not answered are left behind: whether they were written " +
					"is unknown")
				return nil
			}
			late.Reset(leftBehind / 10)
		}
	}
}

// WithoutClose is the publisher for handlers of a router: a router closes a
// handler's publisher as soon as that handler's source ends, and other handlers
// still write through it. Its Close does nothing.
func (p *Publisher) WithoutClose() message.Publisher { return unclosed{p} }

type unclosed struct{ *Publisher }

// Close does nothing: whoever made the publisher closes it.
func (unclosed) Close() error { return nil }

// writer is one Watermill publisher and the producer inside it, connected when
// it is first used.
type writer struct {
	cluster   cluster
	config    func() (*sarama.Config, error)
	marshaler wkafka.Marshaler
	logger    watermill.LoggerAdapter

	mu        sync.Mutex
	publisher *wkafka.Publisher
	producer  sarama.SyncProducer
}

func (w *writer) open() (*wkafka.Publisher, sarama.SyncProducer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.publisher != nil {
		return w.publisher, w.producer, nil
	}
	conf, err := w.config()
	if err != nil {
		return nil, nil, err
	}
	if err := w.cluster.reachable(); err != nil {
		return nil, nil, w.cluster.explain(err)
	}
	var grab grabber
	publisher, err := wkafka.NewPublisher(wkafka.PublisherConfig{
		Brokers: []string{w.cluster.bootstrapAddress()}, Marshaler: w.marshaler, OverwriteSaramaConfig: conf,
		Tracer: &grab,
	}, w.logger)
	if err != nil {
		return nil, nil, w.cluster.explain(err)
	}
	w.publisher, w.producer = publisher, grab.producer
	return w.publisher, w.producer, nil
}

func (w *writer) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.publisher == nil {
		return nil
	}
	return w.publisher.Close()
}

// grabber is a tracer that traces nothing: its hook is the way to the producer
// inside Watermill's publisher, which alone can send batches.
type grabber struct{ producer sarama.SyncProducer }

// WrapConsumer is not used by a publisher.
func (*grabber) WrapConsumer(c sarama.Consumer) sarama.Consumer { return c }

// WrapPartitionConsumer is not used by a publisher.
func (*grabber) WrapPartitionConsumer(c sarama.PartitionConsumer) sarama.PartitionConsumer { return c }

// WrapConsumerGroupHandler is not used by a publisher.
func (*grabber) WrapConsumerGroupHandler(h sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return h
}

// WrapSyncProducer keeps the producer.
func (g *grabber) WrapSyncProducer(_ *sarama.Config, p sarama.SyncProducer) sarama.SyncProducer {
	g.producer = p
	return p
}
