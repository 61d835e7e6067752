package kafka

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
)

const (
	benchRecords    = 1_000_000
	benchPartitions = 6
)

// BenchmarkLanes reads a million records of 300 B through Watermill's router,
// and copies them to another topic, beside a loop that does the same with
// nothing but sarama.
func BenchmarkLanes(b *testing.B) {
	settings := Settings{Brokers: []string{startBroker(b)}}
	fillTopic(b, settings)
	b.Run("read", func(b *testing.B) { benchmark(b, func(group string) { benchRoute(b, settings, group, nil) }) })
	b.Run("copy", func(b *testing.B) {
		p, err := NewPublisher(settings, Deps{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		benchmark(b, func(group string) { benchRoute(b, settings, group, p) })
	})
	b.Run("sarama", func(b *testing.B) { benchmark(b, func(group string) { benchSarama(b, settings, group) }) })
}

func startBroker(b *testing.B) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+roleBroker)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(address)
}

func fillTopic(b *testing.B, settings Settings) {
	client, err := kgo.NewClient(kgo.SeedBrokers(settings.Brokers...), kgo.DefaultProduceTopic("in"))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	value := []byte(strings.Repeat("x", 290))
	for i := range benchRecords {
		client.Produce(b.Context(), &kgo.Record{Key: fmt.Appendf(nil, "%d", i%100_000), Value: value}, nil)
	}
	if err := client.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func benchmark(b *testing.B, run func(group string)) {
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	n := 0
	for b.Loop() {
		run(fmt.Sprintf("%s-%d-%d", b.Name(), time.Now().UnixNano(), n))
		n++
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := func(r syscall.Rusage) float64 { return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds() }
	b.ReportMetric((cpu(after)-cpu(before))/float64(n), "cpu-s/M")
	b.ReportMetric(float64(n)*benchRecords/b.Elapsed().Seconds(), "rec/s")
}

func benchRoute(b *testing.B, settings Settings, group string, p *Publisher) {
	deps := Deps{Logger: slog.New(slog.DiscardHandler)}
	s, err := NewSubscriber(settings, Source{Topics: []string{"in"}, Group: group}, deps)
	if err != nil {
		b.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, WatermillLogger(deps.Logger))
	if err != nil {
		b.Fatal(err)
	}
	var done atomic.Int64
	all := make(chan struct{})
	router.AddConsumerHandler("bench", "in", s, func(m *message.Message) error {
		batch := BatchOf(m)
		if p != nil {
			if err := p.Produce(context.WithoutCancel(m.Context()), copies(batch.Records)); err != nil {
				return err
			}
		}
		for i := range batch.Records {
			batch.Done(i)
		}
		if done.Add(int64(len(batch.Records))) == benchRecords {
			close(all)
		}
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- router.Run(b.Context()) }()
	<-all
	if err := router.Close(); err != nil {
		b.Fatal(err)
	}
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

func copies(records []*handlers.Record) []*handlers.Record {
	slab := make([]handlers.Record, len(records))
	out := make([]*handlers.Record, len(records))
	for i, r := range records {
		slab[i] = *r
		slab[i].Topic = "out"
		out[i] = &slab[i]
	}
	return out
}

// benchSarama is the plainest copy with the writing client both ways.
func benchSarama(b *testing.B, settings Settings, group string) {
	c, err := newCluster(settings)
	if err != nil {
		b.Fatal(err)
	}
	conf, err := c.saramaConfig()
	if err != nil {
		b.Fatal(err)
	}
	conf.Consumer.Offsets.Initial = sarama.OffsetOldest
	producer, err := sarama.NewAsyncProducer(settings.Brokers, conf)
	if err != nil {
		b.Fatal(err)
	}
	members, err := sarama.NewConsumerGroup(settings.Brokers, group, conf)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	go func() {
		for range benchRecords {
			<-producer.Successes()
		}
		cancel()
	}()
	if err := members.Consume(ctx, []string{"in"}, forward{producer}); err != nil {
		b.Fatal(err)
	}
	members.Close()
	producer.Close()
}

type forward struct{ producer sarama.AsyncProducer }

func (forward) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (forward) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (f forward) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case <-s.Context().Done():
			return nil
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			f.producer.Input() <- &sarama.ProducerMessage{Topic: "out", Key: sarama.ByteEncoder(m.Key), Value: sarama.ByteEncoder(m.Value)}
			s.MarkMessage(m, "")
		}
	}
}
