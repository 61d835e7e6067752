package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/handlers"
)

// refusedWhole tells whether the broker refused a whole batch for the fault of
// one of its records. Nothing of the batch was written.
func refusedWhole(err error) bool {
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

// classify says what is known of a record that failed. The producer's errors
// hold only the last cause of many attempts: those that an attempt at writing
// can end with leave it open whether an earlier one succeeded.
func classify(err error) *handlers.Failure {
	if tooLarge(err) {
		return handlers.Permanent(fmt.Errorf("write to kafka: %w: %w", handlers.ErrTooLarge, err))
	}
	if refusedWhole(err) {
		return handlers.Permanent(fmt.Errorf("write to kafka: the broker refused the record: %w", err))
	}
	if _, ok := errors.AsType[sarama.ConfigurationError](err); ok {
		return handlers.Permanent(fmt.Errorf("write to kafka: %w", err))
	}
	if _, ok := errors.AsType[sarama.PacketEncodingError](err); ok {
		return handlers.Permanent(fmt.Errorf("write to kafka: %w", err))
	}
	if errors.Is(err, sarama.ErrInvalidPartition) {
		return handlers.Permanent(fmt.Errorf("write to kafka: %w", err))
	}
	code, ok := errors.AsType[sarama.KError](err)
	if !ok {
		return handlers.Unavailable(fmt.Errorf("write to kafka: whether it was written is unknown: %w", err))
	}
	switch code {
	case sarama.ErrInvalidTopic, sarama.ErrPolicyViolation, sarama.ErrInvalidMessageSize:
		return handlers.Permanent(fmt.Errorf("write to kafka: %w", err))
	case sarama.ErrUnknownTopicOrPartition, sarama.ErrTopicAuthorizationFailed,
		sarama.ErrClusterAuthorizationFailed, sarama.ErrSASLAuthenticationFailed:
		return handlers.Unavailable(fmt.Errorf("write to kafka: %w", err))
	case sarama.ErrUnknown, sarama.ErrOutOfOrderSequenceNumber, sarama.ErrInvalidProducerEpoch,
		sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerIDMapping, sarama.ErrInvalidMessage:
		return &handlers.Failure{Class: handlers.Unknown,
			Err: fmt.Errorf("write to kafka: whether it was written is unknown: %w", err)}
	}
	return handlers.Unavailable(fmt.Errorf("write to kafka: whether it was written is unknown: %w", err))
}
