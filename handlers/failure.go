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
	// the pipeline pauses and tries again, and no record is dead-lettered for
	// it, but for what Suspect says.
	Infrastructure
	// NotAttempted means that the sink did not send the call, because an
	// earlier call of the same Order failed: not a byte of it left the process.
	// It is sent again with that one.
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
	// RetryAfter is how long the receiver asked to be left alone, or zero. A
	// failure that asks is never held against the record.
	RetryAfter time.Duration
	// Suspect tells that the fault may lie on the other side than Class says. A
	// refusal (NotApplied) that may be the system's, such as a 401, is tried
	// again until it is seen whether others are taken; an Infrastructure failure
	// that may be the record's, such as a 502 of a receiver that it brings down,
	// is held against it once it alone fails while all others are taken. An
	// Unknown failure may be either's without saying so.
	Suspect bool
	// Own tells that an Unknown failure is this record's alone, such as a 409.
	// Without it five different records that fail in a row, as long as none is
	// taken in between, are the system's fault.
	Own bool
	// NotSent tells that the effect of the call certainly did not happen: no byte
	// of it left the process, as when a connection was refused, or the system
	// turned it away unread, as with a 429.
	NotSent bool
	// Scope narrows an Infrastructure failure to the part of the system that
	// [Scoped] names for the call, such as one topic that does not exist: calls
	// to it wait, all others go on.
	Scope string
}

// MaySystem tells whether the failure may be the fault of the system as a whole.
func (f *Failure) MaySystem() bool {
	switch f.Class {
	case Infrastructure:
		return f.Scope == ""
	case Unknown:
		return !f.Own
	case NotApplied:
		return f.Suspect
	default:
		return false
	}
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

// Unreachable marks err as the whole system's fault, of a call of which nothing was
// sent: Infrastructure, and its key is not held back.
func Unreachable(err error) *Failure {
	return &Failure{Class: Infrastructure, NotSent: true, Err: err}
}

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
// calls of the same Order are marked NotAttempted, so that order holds.
func Each(write func(ctx context.Context, call *Call) error) func(ctx context.Context, batch []Call) error {
	return func(ctx context.Context, batch []Call) error {
		failed := map[int]*Failure{}
		broken := map[string]bool{}
		for i := range batch {
			order := string(batch[i].Order)
			if broken[order] {
				failed[i] = &Failure{Class: NotAttempted, Err: errors.New("an earlier call of the same key failed")}
				continue
			}
			if f := FailureOf(write(ctx, &batch[i]), i); f != nil {
				failed[i], broken[order] = f, true
			}
		}
		if len(failed) == 0 {
			return nil
		}
		return &BatchError{Failed: failed}
	}
}
