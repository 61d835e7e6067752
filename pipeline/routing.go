package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// routing is the router of a flow while it runs.
type routing struct {
	router *message.Router
	cancel context.CancelFunc
	// done is closed once the router has ended.
	done chan struct{}

	stopping atomic.Bool
	once     sync.Once
	err      error
}

// startRouter hands what a source reads to a delivery, until ctx ends or stop is
// called.
func startRouter(ctx context.Context, log *slog.Logger, p *plan.Pipeline, source message.Subscriber,
	delivery *deliver.Delivery) (*routing, error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: p.Source.Drain + 5*time.Second},
		kafka.WatermillLogger(log))
	if err != nil {
		return nil, fmt.Errorf("make the router: %w", err)
	}
	router.AddConsumerHandler(p.Name, p.Name, source, delivery.Handle)
	return runRouter(ctx, router)
}

func runRouter(ctx context.Context, router *message.Router) (*routing, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &routing{router: router, cancel: cancel, done: make(chan struct{})}
	var ended error
	go func() { ended = router.Run(ctx); close(r.done) }()
	// A router that is closed before its handlers run waits for them in vain.
	select {
	case <-router.Running():
	case <-r.done:
		cancel()
		return nil, fmt.Errorf("start the router: %w", errors.Join(ended, errors.New("it ended at once")))
	}
	return r, nil
}

// stop ends the router after its source, and may be called again. A router whose
// handler ends before its context does takes that for an error.
func (r *routing) stop(drain func() error) error {
	r.once.Do(func() {
		r.halt()
		r.err = errors.Join(drain(), r.router.Close())
		<-r.done
	})
	return r.err
}

// halt ends the router without waiting for anything.
func (r *routing) halt() {
	r.stopping.Store(true)
	r.cancel()
}
