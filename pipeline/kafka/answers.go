package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Ping waits until a broker answers. It returns the last refusal when ctx ends
// before that, and at once where only a change of the configuration can help, such
// as another certificate or password. tried, where set, is told of each try that
// was in vain.
func (a *Admin) Ping(ctx context.Context, tried func(error)) error {
	for {
		err := a.Answers(ctx)
		if err == nil {
			return nil
		}
		if hopeless(err) || ctx.Err() != nil {
			return fmt.Errorf("reach the cluster: %w", err)
		}
		if tried != nil {
			tried(err)
		}
		if rest(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("reach the cluster: %w", err)
		}
	}
}

// Answers returns nil if a broker of the cluster answers now. Else it says what the
// brokers met, each cause once, and of those the one alone that only a change of
// the configuration can mend. It asks once and does not wait for a broker to come.
func (a *Admin) Answers(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// One that hangs must not hide the others, so all are asked at once.
	brokers := append(a.client.SeedBrokers(), a.client.DiscoveredBrokers()...)
	refusals := make(chan error, len(brokers))
	for _, b := range brokers {
		go func() {
			req := kmsg.NewPtrMetadataRequest()
			req.Topics = []kmsg.MetadataRequestTopic{}
			_, err := b.Request(ctx, req)
			refusals <- a.refusal(err)
		}()
	}
	answered := false
	var all []error
	for range brokers {
		err := <-refusals
		if err == nil {
			answered = true
			cancel()
		}
		all = append(all, err)
	}
	if answered {
		return nil
	}
	return joined(all)
}

// joined is all that differs of errs, or the first of them that is hopeless.
func joined(errs []error) error {
	if i := slices.IndexFunc(errs, hopeless); i >= 0 {
		return errs[i]
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	errs = slices.CompactFunc(errs, func(a, b error) bool { return a.Error() == b.Error() })
	return &refusedError{errs}
}

// refusedError is what several brokers met, in one line.
type refusedError struct{ errs []error }

// Error lists the causes.
func (e *refusedError) Error() string {
	texts := make([]string, len(e.errs))
	for i, err := range e.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap is all causes.
func (e *refusedError) Unwrap() []error { return e.errs }

// MayPass tells whether what failed may succeed later without a change of the
// configuration: brokers that are not up yet, or not reached.
func MayPass(err error) bool {
	if err == nil || hopeless(err) {
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*faultError](err); ok {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		kerr.IsRetriable(err) || kgo.IsRetryableBrokerErr(err)
}
