package deliver

import (
	"github.com/millrace/millrace/pipeline/outcome"
	"time"
)

// EventKind says what an Event tells.
type EventKind string

// The kinds of events, in the order of a record's way.
const (
	// EventRecord is a record's outcome.
	EventRecord EventKind = "record"
	// EventClaim is a store's answer to a claim; Reason names it.
	EventClaim EventKind = "claim"
	// EventWrite is one call that a sink took.
	EventWrite EventKind = "write"
	// EventRetry is a failed write that will be tried again.
	EventRetry EventKind = "retry"
	// EventConfirm is a confirmed key; Reason is `lost` where it was not ours.
	EventConfirm EventKind = "confirm"
	// EventDeadLetter is a record written to the dead-letter topic.
	EventDeadLetter EventKind = "dead_letter"
	// EventPause and EventResume bracket the time that a sink, the store or the
	// dead-letter topic takes no calls.
	EventPause  EventKind = "pause"
	EventResume EventKind = "resume"
	// EventConflict is a duplicate with other content.
	EventConflict EventKind = "conflict"
)

// Event is one thing that happened. Fields that do not apply are zero.
type Event struct {
	Kind      EventKind
	Pipeline  string
	Sink      string
	Topic     string
	Partition int32
	Offset    int64
	Outcome   outcome.Outcome
	// Reason is a short word: why an outcome, which verdict, what is paused.
	Reason  string
	Attempt int
	Err     error
	// Took is how long the write took.
	Took time.Duration
}

// Observer is told every event: metrics, logs, traces and tests hang here.
// Observe must not block and must be safe for concurrent use.
type Observer interface {
	Observe(Event)
}

// Observers passes events on to each of several.
type Observers []Observer

// Observe passes e on.
func (o Observers) Observe(e Event) {
	for _, each := range o {
		each.Observe(e)
	}
}
