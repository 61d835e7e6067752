package handlers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Class says what is known of a failed call, and so what may be done about it.
type Class int

const (
	// Unknown means that the call may have taken effect: the same bytes are
	// sent again, and after the last attempt the record is dead-lettered and
	// its key parked.
	Unknown Class = iota
	// NotApplied means that the call certainly had no effect and would be
	// refused again: it is dead-lettered at once and its key released.
	NotApplied
	// Infrastructure means that the system as a whole cannot take calls now:
	// the pipeline pauses and tries again; no record is ever dead-lettered.
	Infrastructure
	// NotAttempted means that the sink did not send the call, because an
	// earlier call of the same Kafka key failed. It is sent again with it.
	NotAttempted
)

// String is the class as logs and dead letters name it.
func (c Class) String() string {
	switch c {
	case NotApplied:
		return "not_applied"
	case Infrastructure:
		return "infrastructure"
	case NotAttempted:
		return "not_attempted"
	default:
		return "unknown"
	}
}

// Failure is why one call failed.
type Failure struct {
	Class Class
	// Err says what happened, without secrets and without the record's value.
	Err error
	// RetryAfter is how long the receiver asked to be left alone, or zero.
	RetryAfter time.Duration
	// Suspect tells that the failure could as well be the receiver's as the
	// record's, such as a single 5xx or a timeout: five different records in a
	// row that fail so are treated as Infrastructure.
	Suspect bool
	// NotSent tells that no byte of this call left the process, as when a
	// connection was refused: a claim for it may be given back.
	NotSent bool
}

// Error is the failure's cause.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Class.String()
	}
	return f.Err.Error()
}

// Unwrap is the failure's cause.
func (f *Failure) Unwrap() error { return f.Err }

// BatchError is what Write returns when some calls of its batch failed. Calls
// that Failed does not hold are durable.
type BatchError struct {
	// Failed holds a failure by the index of its call in the batch.
	Failed map[int]*Failure
}

// Error names the first failed call and counts the others.
func (e *BatchError) Error() string {
	first := -1
	for i := range e.Failed {
		if first < 0 || i < first {
			first = i
		}
	}
	if first < 0 {
		return "no record failed"
	}
	if len(e.Failed) == 1 {
		return e.Failed[first].Error()
	}
	return fmt.Sprintf("%d records failed, the first: %v", len(e.Failed), e.Failed[first])
}

// Permanent marks err as known not to have taken effect: NotApplied.
func Permanent(err error) *Failure { return &Failure{Class: NotApplied, Err: err} }

// Unavailable marks err as the whole system's fault: Infrastructure.
func Unavailable(err error) *Failure { return &Failure{Class: Infrastructure, Err: err} }

// FailureOf returns the failure of call i in what Write returned, nil where
// that call is durable.
func FailureOf(err error, i int) *Failure {
	if err == nil {
		return nil
	}
	if batch, ok := errors.AsType[*BatchError](err); ok {
		return batch.Failed[i]
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return &Failure{Class: Unknown, Err: err}
}

// Each turns a function that writes one call into a Write: for sinks whose
// MaxBatch is 1 or that write one call after the other. After a failure, later
// calls of the same Kafka key, and all later ones without a key, are marked
// NotAttempted, so that order holds.
func Each(write func(ctx context.Context, call *Call) error) func(ctx context.Context, batch []Call) error {
	return func(ctx context.Context, batch []Call) error {
		failed := map[int]*Failure{}
		broken := map[string]bool{}
		for i := range batch {
			key := string(batch[i].Record.Key)
			if broken[key] {
				failed[i] = &Failure{Class: NotAttempted, Err: errors.New("an earlier call of the same key failed")}
				continue
			}
			if f := FailureOf(write(ctx, &batch[i]), i); f != nil {
				failed[i], broken[key] = f, true
			}
		}
		if len(failed) == 0 {
			return nil
		}
		return &BatchError{Failed: failed}
	}
}
