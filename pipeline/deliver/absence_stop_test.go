package deliver

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// A stop hands back at once what waits for a topic that does not exist, whatever lies
// behind it: nothing of it is under way, and the wait may have no end.
func TestStopDoesNotWaitForAMissingTopic(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "in"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("in"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const n = 200
	for i := range n {
		value := "here"
		if i%10 == 3 {
			value = "gone"
		}
		client.Produce(t.Context(), &kgo.Record{Key: fmt.Append(nil, i), Value: []byte(value)}, nil)
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	sink := &scripted{
		limit: 100,
		scope: func(value string) string { return value },
		script: func(c *handlers.Call, _ int) error {
			if where := string(c.Record.Value); where == "gone" {
				return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Scope: where, Err: errors.New("no such topic")}
			}
			return nil
		},
	}
	r := newRig(t, nil, func(p *plan.Pipeline) { p.Idempotency = nil }, sink)
	source := kafka.Source{Topics: []string{"in"}, Group: "g", Drain: 2 * time.Minute, Lanes: 4, CommitInterval: 50 * time.Millisecond}
	s, err := kafka.NewSubscriber(kafka.Settings{Brokers: c.ListenAddrs()}, source, kafka.Deps{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := s.Subscribe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var handling sync.WaitGroup
	handling.Go(func() {
		for m := range messages {
			handling.Go(func() {
				if err := r.delivery.Handle(m); err != nil {
					t.Error(err)
				}
				m.Ack()
			})
		}
	})
	for until := time.Now().Add(time.Minute); r.journal.count(outcome.Delivered) < n*9/10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d delivered", r.journal.count(outcome.Delivered))
		}
	}
	if reasons := strings.Join(r.reasons(), ""); !strings.Contains(reasons, "gone") {
		t.Errorf("paused: %q", reasons)
	}
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	handling.Wait()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the stop took %s of a drain of 2m", took)
	} else {
		t.Logf("the stop took %s", took)
	}
}
