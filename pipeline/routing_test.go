package pipeline

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/pipeline/kafka"
)

// ending is a source that ends when it is told to.
type ending struct{ messages chan *message.Message }

func (e ending) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return e.messages, nil
}

func (e ending) Close() error { return nil }

// A stop is nothing to be warned of, however long the router takes to see it.
func TestStopIsNoWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := kafka.WatermillLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
		router, err := message.NewRouter(message.RouterConfig{}, logger)
		if err != nil {
			t.Fatal(err)
		}
		source := ending{make(chan *message.Message)}
		router.AddConsumerHandler("p", "p", source, func(*message.Message) error { return nil })
		r, err := runRouter(t.Context(), router)
		if err != nil {
			t.Fatal(err)
		}
		err = r.stop(func() error {
			close(source.messages)
			synctest.Wait() // until the router has seen its last source end
			return nil
		})
		if err != nil || log.Len() > 0 {
			t.Errorf("%v; it is logged:\n%s", err, &log)
		}
	})
}
