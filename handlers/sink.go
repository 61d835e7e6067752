package handlers

import (
	"context"
	"errors"
)

// ErrSkip is what Render returns, as it is or wrapped, where the sink's
// configuration says that this record causes no write, such as
// `tombstone: skip`. It is no failure: the other sinks of the route go on, and
// a record that no sink writes is `filtered`.
var ErrSkip = errors.New("no write for this record")

// ErrTooLarge is wrapped by the Failure of a record that the system refuses for
// its size alone: sent again it would be refused again.
var ErrTooLarge = errors.New("the record is too large")

// Call is one record's request on its way to a sink.
type Call struct {
	// Record is the record as the pipeline's transform left it.
	Record *Record
	// Request is what Render made of it.
	Request any
	// ID is the idempotency key as the receiver sees it: 26 characters of
	// base32, the same for every attempt and every replay of one effect.
	ID string
	// Order is what keeps calls in order: of those with equal bytes here, nil
	// among them, none may take effect before an earlier one has, also where
	// that one failed and is sent again. It comes from the source: its key,
	// nothing where the whole partition is one order, the offset where no order
	// is kept.
	Order []byte
	// Trace is the trace context that the source's record came with. It is no part
	// of the request: a sink that can hands it on with the call.
	Trace Trace
	// Identity is set for sinks that are a Keeper, nil for all others.
	Identity *Identity
	// Answer may be set by Write to what the receiver said of the call, such as
	// a status or a position; of it the first 64 bytes are kept beside the key.
	Answer string
	// Repeated may be set by Write of a call that is durable because the system
	// knows its effect from before, such as one that answers that the ID was used:
	// the record ends as a duplicate, and its key is confirmed.
	Repeated bool
}

// Sink writes records to one system. Render and Write may be called
// concurrently with each other and with themselves.
type Sink interface {
	// Render makes the request for the record of view. It is pure: it depends
	// on the view and the sink's configuration alone, and has no effect. What
	// the request marshals to in JSON is what a dry run shows. An error is the
	// record's fault and is treated as `on_error` says, but for ErrSkip.
	Render(view View) (request any, err error)
	// Write returns nil once every call of the batch is durable. The batch is
	// in order, comes from one lane and is no longer than the sink's MaxBatch.
	// A *BatchError tells which calls failed and how; those it does not name
	// are durable, also where a call before them failed, and are never handed
	// over again. Any other error, and a panic, means that the fate of every
	// call is unknown. Write returns when ctx ends.
	Write(ctx context.Context, batch []Call) error
	// Close releases what the sink holds. It is called once, after the last
	// Write has returned.
	Close(ctx context.Context) error
}

// Limiter is implemented by sinks that take only so many calls in one Write.
// A sink without it is handed up to a lane batch, 1,024 calls, at once.
type Limiter interface {
	// MaxBatch is the longest batch that Write takes; it must be at least 1
	// and must not change.
	MaxBatch() int
}

// Scoped is implemented by sinks whose system has parts that can be away on
// their own, such as the topics of a cluster. Order is kept within each part.
type Scoped interface {
	// Scope names the part that a request of Render goes to. It is pure and may
	// be called concurrently.
	Scope(request any) string
}

// Prober is implemented by sinks that can tell whether their system is ready
// without writing to it. `millrace validate --connect` asks them.
type Prober interface {
	// Probe returns nil if a Write could succeed now, as far as that can be told
	// without any effect: it sends no record and makes no file. It may be called
	// concurrently with Render and Write, and returns when ctx ends. What is
	// wrong with one field of the configuration is a *FieldError.
	Probe(ctx context.Context) error
}

// Shower is implemented by requests that have a line of their own for people. The
// others are shown as their JSON.
type Shower interface {
	// Show is the request on one line, as one would write it down, without what is
	// secret in it. Control characters in it are shown as such, and cost no line.
	Show() string
}

// FieldError is an error that is about one field of a sink's configuration.
type FieldError struct {
	// Field is the yaml name of the field, with dots for nested ones.
	Field string
	Err   error
}

// Error is the message of what is wrong.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap is what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// TopicProber is implemented by producers that can tell whether a topic is
// there. Sinks that write to a topic of a constant name ask Env.Producer for it
// in their Probe.
type TopicProber interface {
	// ProbeTopic returns nil if records could be written to the topic now. It
	// writes nothing and returns when ctx ends.
	ProbeTopic(ctx context.Context, topic string) error
}

// Trouble is what may come of a call in place of an acknowledgement.
type Trouble struct {
	// Status is what the system answered, 0 where it did not.
	Status int
	// Refused tells that no connection was made; Timeout that no answer came in
	// time. Without either the connection was lost before the answer.
	Refused, Timeout bool
}

// Rehearser is implemented by pointers to config structs of sinks that can tell
// what they would make of trouble without having it, for `millrace test`.
type Rehearser interface {
	// Rehearse is how Write would judge a call that met trouble, nil where the
	// call counts as durable. It is false where the system never meets a call so,
	// such as one that knows no statuses. The config is compiled.
	Rehearse(t Trouble) (*Failure, bool)
}

// View evaluates a sink's templates and expressions on one record. But for what Defer
// returns it is valid only until Render returns, and only in the goroutine that called
// Render.
type View interface {
	// Record is the record as the pipeline's transform left it.
	Record() *Record
	// Text renders a template. A null in any of its parts is an error; the zero
	// Template renders as "".
	Text(t Template) (string, error)
	// Parts takes a template apart for systems that bind values, such as SQL:
	// literals are the texts between its parts, one more than there are of these,
	// and values what the parts evaluate to, as Value does; null is nil. A field
	// with the tag `place:"bound"` has every ${} as a part, also one that is the
	// same for all records, and Text refuses it, so that nothing is ever spliced.
	Parts(t Template) (literals []string, values []any, err error)
	// Value evaluates an expression: nil, bool, int64, float64, string,
	// time.Time, []any, map[string]any or json.Number. The zero Expression is
	// nil.
	Value(e Expression) (any, error)
	// JSON tells whether the record's value is JSON, by the pipeline's format.
	JSON() bool
	// Defer is a View of the same record for what is evaluated only once the system
	// has answered: a Request may keep it, and Write may use it until it returns, in
	// one goroutine at a time. What it evaluates has a budget of its own, and an
	// error there is not the record's: the effect has happened.
	Defer() View
}

// Template is a config field of text with `${ expr }` inside. Sinks hand it to
// View.Text and otherwise look only at Source.
type Template struct {
	// Source is the text as written.
	Source string
	// Program is set when the configuration is compiled.
	Program any
	// Constant tells that no part of the template depends on the record. It is
	// set when the configuration is compiled.
	Constant bool
	// Prefix is the rendered text up to the first part that depends on the
	// record, the whole text where Constant. It is set when the configuration
	// is compiled.
	Prefix string
	// Sample is the text with an x in the place of each part that depends on
	// the record, the whole text where Constant: what Check finds wrong with it
	// is wrong with every rendering. It is set when the configuration is compiled.
	Sample string
	// Secret tells that some of the text is not to be shown, such as what comes
	// from file(). It is set when the configuration is compiled.
	Secret bool
}

// IsZero tells whether the field was not written at all.
func (t Template) IsZero() bool { return t.Source == "" && t.Program == nil }

// Expression is a config field that is one whole expression. Sinks hand it to
// View.Value and otherwise look only at Source.
type Expression struct {
	// Source is the text as written.
	Source string
	// Program is set when the configuration is compiled.
	Program any
}

// IsZero tells whether the field was not written at all.
func (e Expression) IsZero() bool { return e.Source == "" && e.Program == nil }
