package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/pipeline/kafka"
)

// routing is the router of a process while it runs.
type routing struct {
	router *message.Router
	cancel context.CancelFunc
	// ended tells when the router ended with its last source; nil where it has
	// none, since it ends at once then.
	ended chan error
}

// startRouter hands what the sources of flows read to their deliveries, until ctx
// ends or stop is called.
func startRouter(ctx context.Context, logger *slog.Logger, drain time.Duration, flows []*flow) (*routing, error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: drain + 5*time.Second}, kafka.WatermillLogger(logger))
	if err != nil {
		return nil, fmt.Errorf("make the router: %w", err)
	}
	for _, f := range flows {
		router.AddConsumerHandler(f.plan.Name, f.plan.Name, f.subscriber, f.delivery.Handle)
	}
	return runRouter(ctx, router, len(flows) > 0)
}

func runRouter(ctx context.Context, router *message.Router, sources bool) (*routing, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &routing{router: router, cancel: cancel}
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	if !sources {
		return r, nil
	}
	// A router that is closed before its handlers run waits for them in vain.
	select {
	case <-router.Running():
	case err := <-ended:
		cancel()
		return nil, fmt.Errorf("start the router: %w", err)
	}
	r.ended = ended
	return r, nil
}

// stop ends the router after its sources. A router whose handlers end before its
// context does takes that for an error.
func (r *routing) stop(drain func() error) error {
	r.cancel()
	return errors.Join(drain(), r.router.Close())
}
