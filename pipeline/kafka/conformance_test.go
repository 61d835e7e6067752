package kafka

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/handlers"
)

// uuidHeader carries what Watermill's suite tells messages apart by; what the
// product writes never carries one.
const uuidHeader = "_watermill_message_uuid"

// TestWatermillSuite runs Watermill's own conformance suite on the Subscriber
// and the Publisher: lanes 1, batches of 1, one message a record.
func TestWatermillSuite(t *testing.T) {
	t.Parallel()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	runWatermillSuite(t, Settings{Brokers: c.ListenAddrs()})
}

// runWatermillSuite runs the suite on a cluster, which may be any.
func runWatermillSuite(t *testing.T, settings Settings) {
	suite := suite{settings: settings}
	features := tests.Features{
		ConsumerGroups:      true,
		ExactlyOnceDelivery: false,
		GuaranteedOrder:     true,
		Persistent:          true,
	}
	tests.TestPubSub(t, features,
		func(t *testing.T) (message.Publisher, message.Subscriber) { return suite.pair(t, "suite") },
		suite.pair,
	)
	old := features
	old.NewSubscriberReceivesOldMessages = true
	t.Run("a group each", func(t *testing.T) {
		tests.TestNewSubscriberReceivesOldMessages(t, tests.TestContext{TestID: tests.NewTestID(), Features: old},
			func(t *testing.T) (message.Publisher, message.Subscriber) { return suite.pair(t, watermill.NewUUID()) })
	})
}

type suite struct{ settings Settings }

// pair makes a publisher and a subscriber in the suite's terms. Each topic gets
// a group of its own, since a group's members must agree on what they read.
func (s suite) pair(t *testing.T, group string) (message.Publisher, message.Subscriber) {
	deps := Deps{Logger: slog.New(slog.DiscardHandler)}
	p, err := newPublisher(s.settings, deps, uuidMarshaler{})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := NewAdmin(s.settings, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	topics := topicMaker{admin: admin}
	sub := &suiteSubscriber{suite: s, group: group, deps: deps, topics: topics}
	// The suite forgets some of those that it makes.
	t.Cleanup(func() { p.Close(); sub.Close() })
	return suitePublisher{Publisher: p, topics: topics}, sub
}

// topicMaker makes topics on first use: nothing is made by the cluster itself.
type topicMaker struct{ admin *Admin }

func (m topicMaker) make(topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := m.admin.CreateTopics(ctx, []string{topic}, 1, 1, nil)
	return err
}

type suitePublisher struct {
	*Publisher
	topics topicMaker
}

func (p suitePublisher) Publish(topic string, messages ...*message.Message) error {
	if err := p.topics.make(topic); err != nil {
		return err
	}
	return p.Publisher.Publish(topic, messages...)
}

// uuidMarshaler adds the UUID to what the product's marshaler makes.
type uuidMarshaler struct{ marshaler }

func (m uuidMarshaler) Marshal(topic string, msg *message.Message) (*sarama.ProducerMessage, error) {
	out, err := m.marshaler.Marshal(topic, msg)
	if err == nil {
		out.Headers = append(out.Headers, sarama.RecordHeader{Key: []byte(uuidHeader), Value: []byte(msg.UUID)})
	}
	return out, err
}

// suiteSubscriber unwraps batches of one record into messages of their own.
type suiteSubscriber struct {
	suite  suite
	group  string
	deps   Deps
	topics topicMaker

	mu   sync.Mutex
	subs []*Subscriber
	work sync.WaitGroup
}

func (s *suiteSubscriber) SubscribeInitialize(topic string) error { return s.topics.make(topic) }

func (s *suiteSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	sub, err := NewSubscriber(s.suite.settings, Source{
		Group: s.group + "-" + topic, Lanes: 1, MaxBatch: 1, Order: OrderPartition,
		CommitInterval: 50 * time.Millisecond, Drain: 2 * time.Second, FetchWait: 50 * time.Millisecond,
	}, s.deps)
	if err != nil {
		return nil, err
	}
	batches, err := sub.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.subs = append(s.subs, sub)
	s.mu.Unlock()
	out := make(chan *message.Message)
	s.work.Go(func() {
		defer close(out)
		var handling sync.WaitGroup
		for m := range batches {
			handling.Go(func() { deliverOne(out, m) })
		}
		handling.Wait()
	})
	return out, nil
}

// deliverOne hands a batch's only record out and ties the answers together.
func deliverOne(out chan<- *message.Message, m *message.Message) {
	batch := BatchOf(m)
	one := messageOf(batch.Records[0])
	one.SetContext(m.Context())
	select {
	case out <- one:
	case <-m.Context().Done():
		m.Nack()
		return
	}
	select {
	case <-one.Acked():
		batch.Done(0)
		m.Ack()
	case <-one.Nacked():
		m.Nack()
	case <-m.Context().Done():
		m.Nack()
	}
}

func messageOf(r *handlers.Record) *message.Message {
	m := message.NewMessage("", r.Value)
	for _, h := range r.Headers {
		if h.Key == uuidHeader {
			m.UUID = string(h.Value)
		} else {
			m.Metadata.Set(h.Key, string(h.Value))
		}
	}
	return m
}

func (s *suiteSubscriber) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		sub.Close()
	}
	s.work.Wait()
	return nil
}
