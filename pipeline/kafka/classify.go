package kafka

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/eapache/go-resiliency/breaker"

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
	if _, ok := errors.AsType[sarama.ConfigurationError](err); ok || refusedWhole(err) || errors.Is(err, sarama.ErrInvalidPartition) {
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
	for _, away := range []error{sarama.ErrOutOfBrokers, sarama.ErrClusterAuthorizationFailed, sarama.ErrSASLAuthenticationFailed} {
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
