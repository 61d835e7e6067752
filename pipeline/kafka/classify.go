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

	"github.com/IBM/sarama"
	"github.com/eapache/go-resiliency/breaker"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/handlers"
)

// refusedWhole tells whether a whole batch was refused for the fault of one of
// its records, by the broker or because it can't be encoded. Nothing of the batch
// was written.
func refusedWhole(err error) bool {
	if _, ok := errors.AsType[sarama.PacketEncodingError](err); ok {
		return true
	}
	code, ok := errors.AsType[sarama.KError](err)
	return ok && slices.Contains([]sarama.KError{
		sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge,
		sarama.ErrInvalidRecord, sarama.ErrInvalidTimestamp,
	}, code)
}

// tooLarge tells whether the broker, or the protocol, refused for size alone.
func tooLarge(err error) bool {
	if conf, ok := errors.AsType[sarama.ConfigurationError](err); ok {
		return strings.HasPrefix(string(conf), "Attempt to produce message larger")
	}
	return errors.Is(err, sarama.ErrMessageSizeTooLarge) || errors.Is(err, sarama.ErrMessageSetSizeTooLarge)
}

// classify says what is known of a record for topic that failed. taken tells
// whether the producer had put it into a request. Its errors hold only the last
// cause of many attempts: those that an attempt at writing can end with leave it
// open whether an earlier one succeeded.
func classify(err error, topic string, taken bool) *handlers.Failure {
	f := &handlers.Failure{Class: classOf(err), NotSent: !taken}
	if f.Class == handlers.Infrastructure && topicAway(err) {
		f.Scope = topic
	}
	switch {
	case tooLarge(err):
		f.Err = fmt.Errorf("write to kafka: %w: %w", handlers.ErrTooLarge, err)
	case f.Class == handlers.NotApplied || !taken || f.Scope != "":
		f.Err = fmt.Errorf("write to kafka: %w", err)
	default:
		f.Err = fmt.Errorf("write to kafka: whether it was written is unknown: %w", err)
	}
	return f
}

func classOf(err error) handlers.Class {
	if _, ok := errors.AsType[sarama.ConfigurationError](err); ok || refusedWhole(err) ||
		errors.Is(err, sarama.ErrInvalidPartition) {
		return handlers.NotApplied
	}
	code, ok := errors.AsType[sarama.KError](err)
	if !ok {
		return handlers.Infrastructure
	}
	switch code {
	case sarama.ErrInvalidTopic, sarama.ErrPolicyViolation, sarama.ErrInvalidMessageSize:
		return handlers.NotApplied
	case sarama.ErrUnknown, sarama.ErrOutOfOrderSequenceNumber, sarama.ErrInvalidProducerEpoch,
		sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerIDMapping, sarama.ErrInvalidMessage:
		return handlers.Unknown
	}
	return handlers.Infrastructure
}

// topicAway tells whether it is one topic that can't be written to. The library's
// breakers are a topic's own: they are open after it could not be found.
func topicAway(err error) bool {
	return errors.Is(err, sarama.ErrUnknownTopicOrPartition) || errors.Is(err, sarama.ErrTopicAuthorizationFailed) ||
		errors.Is(err, breaker.ErrBreakerOpen)
}

// clusterAway tells whether no topic can be written to.
func clusterAway(err error) bool {
	for _, away := range []error{sarama.ErrOutOfBrokers, sarama.ErrClusterAuthorizationFailed,
		sarama.ErrSASLAuthenticationFailed} {
		if errors.Is(err, away) {
			return true
		}
	}
	_, network := errors.AsType[net.Error](err)
	return network
}

// unsent is a failure of the cluster before anything of a record was sent.
func unsent(err error) *handlers.Failure {
	return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Err: err}
}

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
