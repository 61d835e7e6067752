package kafka_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/kafka"
)

// cluster is a Producer that keeps what it is given.
type cluster struct {
	mu      sync.Mutex
	written []handlers.Record
	refused string
	hung    chan struct{}
}

func (c *cluster) Produce(ctx context.Context, records []*handlers.Record) error {
	c.mu.Lock()
	hung := c.hung
	c.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := map[int]*handlers.Failure{}
	broken := map[string]bool{}
	for i, r := range records {
		switch {
		case broken[string(r.Key)]:
			failed[i] = &handlers.Failure{Class: handlers.NotAttempted}
		case c.refused != "" && string(r.Value) == c.refused:
			failed[i], broken[string(r.Key)] = handlers.Permanent(errors.New("refused")), true
		default:
			r.Partition, r.Offset = 3, int64(len(c.written))
			c.written = append(c.written, *r)
		}
	}
	if len(failed) > 0 {
		return &handlers.BatchError{Failed: failed}
	}
	return nil
}

func (c *cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *cluster) values() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var values []string
	for _, r := range c.written {
		values = append(values, string(r.Value))
	}
	return values
}

func (c *cluster) traces() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for i := range c.written {
		parent, _ := c.written[i].Header(handlers.TraceParent)
		all = append(all, string(parent))
	}
	return all
}

func open(t *testing.T, c *cluster, config kafka.Config) handlers.Sink {
	t.Helper()
	sink, err := kafka.Spec().Open(&config, handlers.Env{Producer: c})
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

func TestConformance(t *testing.T) {
	handlertest.Run(t, kafka.Spec(), handlertest.Harness{
		Batches: true,
		Open: func(t *testing.T) handlertest.Fixture {
			c := &cluster{}
			return handlertest.Fixture{
				Sink:    open(t, c, kafka.Config{Topic: handlertest.Key("t_")}),
				Effects: c.values,
				Traces:  c.traces,
				Refuse: func(value string) func() {
					c.set(func() { c.refused = value })
					return func() { c.set(func() { c.refused = "" }) }
				},
				Hang: func() func() {
					hung := make(chan struct{})
					c.set(func() { c.hung = hung })
					return func() { close(hung) }
				},
			}
		},
	})
}

func TestRecordIsKept(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	source := &handlers.Record{
		Topic: "source", Partition: 5, Offset: 9, Time: at, Key: []byte{}, Value: nil,
		Headers: []handlers.Header{{Key: "a", Value: []byte("1")}, {Key: "b"}, {Key: "a", Value: []byte("2")}},
	}
	for name, c := range map[string]struct {
		config kafka.Config
		want   string
	}{
		"as it is": {
			kafka.Config{Topic: handlertest.Constant("t")},
			`{"topic":"t","timestamp":"2023-11-14T22:13:20.000Z","key":"","headers":[["a","1"],["b",null],["a","2"]],"payload":null}`,
		},
		"with another key and headers": {
			kafka.Config{Topic: handlertest.Constant("t"), Key: handlertest.Constant("k"), Headers: map[string]handlers.Template{
				"c": handlertest.Constant("3"), "a": handlertest.Constant("0"),
			}},
			`{"topic":"t","timestamp":"2023-11-14T22:13:20.000Z","key":"k","headers":{"b":null,"a":"0","c":"3"},"payload":null}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			clus := &cluster{}
			sink := open(t, clus, c.config)
			request, err := sink.Render(handlertest.View{Of: source})
			if err != nil {
				t.Fatal(err)
			}
			shown, err := json.Marshal(request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(shown)); diff != "" {
				t.Errorf("request:\n%s", diff)
			}
			if err := sink.Write(t.Context(), []handlers.Call{{Record: source, Request: request}}); err != nil {
				t.Fatal(err)
			}
			want, err := handlers.DecodeJSON([]byte(c.want), handlers.Record{Partition: 3})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]handlers.Record{*want}, clus.written); diff != "" {
				t.Errorf("written:\n%s", diff)
			}
		})
	}
}

func TestAnswerIsThePlace(t *testing.T) {
	long := strings.Repeat("x", 249)
	for topic, want := range map[string]string{"t": "t/3/0", long: long[:60] + "/3/0"} {
		sink := open(t, &cluster{}, kafka.Config{Topic: handlertest.Constant(topic)})
		r := &handlers.Record{}
		request, err := sink.Render(handlertest.View{Of: r})
		if err != nil {
			t.Fatal(err)
		}
		calls := []handlers.Call{{Record: r, Request: request}}
		if err := sink.Write(t.Context(), calls); err != nil {
			t.Fatal(err)
		}
		if calls[0].Answer != want {
			t.Errorf("got %q, want %q", calls[0].Answer, want)
		}
	}
}
