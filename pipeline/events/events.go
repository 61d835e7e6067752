// Package events says what happens in a process: to records, to partitions, to
// pipelines, to the key store and to requests. What people and machines are shown of
// a running process is made of it.
package events

import (
	"time"

	"github.com/millrace/millrace/pipeline/outcome"
)

// Kind says what an Event tells.
type Kind string

// The kinds of what happens to a record, in the order of its way.
const (
	// Record is a record's outcome.
	Record Kind = "record"
	// Claim is a store's answer to a claim; Reason names it.
	Claim Kind = "claim"
	// Write is one call that a sink took.
	Write Kind = "write"
	// Retry is a failed write that will be tried again; Reason is the failure's class.
	Retry Kind = "retry"
	// Confirm is a confirmed key; Reason is `lost` where it was not ours.
	Confirm Kind = "confirm"
	// DeadLetter is a record written to the dead-letter topic.
	DeadLetter Kind = "dead_letter"
	// Conflict is a duplicate with other content.
	Conflict Kind = "conflict"
)

// The kinds of what happens to a pipeline, or to the process.
const (
	// Pause and Resume bracket the time that a sink, the store or the dead-letter
	// topic takes no calls; Reason names it. A Resume with an Err says nothing of
	// that: nobody waits any more.
	Pause  Kind = "pause"
	Resume Kind = "resume"
	// Alarm and Cleared bracket the time that a person should see to a partition, or
	// to the embedded broker where there is no Pipeline; Reason is the alarm's kind.
	Alarm   Kind = "alarm"
	Cleared Kind = "cleared"
	// Reset is a key store found to have lost its memory.
	Reset Kind = "reset"
	// Lifecycle is what a pipeline does from now on; Reason is one of the words below.
	Lifecycle Kind = "lifecycle"
	// Ingest is an answered HTTP request for a topic.
	Ingest Kind = "ingest"
)

// The reasons of Lifecycle. A pipeline that stopped by itself has an Err.
const (
	Starting = "starting"
	Running  = "running"
	Draining = "draining"
	Stopped  = "stopped"
	// Replaced follows Stopped where another pipeline of the same name goes on.
	Replaced = "replaced"
)

// Event is one thing that happened. Fields that do not apply are zero. Err may quote
// what somebody else said: what is shown of it passes the Redactor.
type Event struct {
	Kind      Kind
	Time      time.Time
	Pipeline  string
	Sink      string
	Topic     string
	Partition int32
	Offset    int64
	// Key is the record's idempotency key, empty where it is secret.
	Key     string
	Outcome outcome.Outcome
	// Stage is where a dead letter failed.
	Stage outcome.Stage
	// Reason is a short word: why an outcome, which verdict, what is paused.
	Reason  string
	Attempt int
	Err     error
	// Took is how long the call took, shared with those of the same batch.
	Took time.Duration
	// Route is the path of a request's route, empty for none, and Status its answer.
	Route  string
	Status int
}

// Observer is told every event: metrics, logs, status and tests hang here. Observe
// must not block and must be safe for concurrent use.
type Observer interface {
	Observe(Event)
}

// Observers passes events on to each of several.
type Observers []Observer

// With are these and one more, which may be nil.
func (o Observers) With(other Observer) Observers {
	if other == nil {
		return o
	}
	return append(o, other)
}

// Observe passes e on.
func (o Observers) Observe(e Event) {
	for _, each := range o {
		each.Observe(e)
	}
}
