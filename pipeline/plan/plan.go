package plan

import (
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/ingest"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/secrets"
)

// Plan is a configuration that was found to be right: compiled, with every
// default filled in. It is immutable and may be shared between goroutines.
type Plan struct {
	// Files are the configuration files, in the order given.
	Files []string
	// Dir is the folder of the first file; the state folder lies beside it.
	Dir string
	// Digest is the SHA-256 of the files' bytes, in hex and without secrets: dead
	// letters carry it.
	Digest string
	// Embedded is where the embedded broker listens, empty on a cluster.
	Embedded string
	// Kafka is how to reach the cluster; on the embedded broker its addresses
	// are filled in once it listens.
	Kafka kafka.Settings
	// Store is where idempotency keys live.
	Store Store
	// Topics are those of the `topics:` block.
	Topics []Topic
	// Ingest is nil where the file has no such block.
	Ingest *ingest.Plan
	// Drain is how long a stop waits for work in flight.
	Drain time.Duration
	// Limits are what the expressions of one record may cost.
	Limits expression.Limits
	// Health is the address of the health listener, empty for none.
	Health string
	// Hosts are the names by which clients may call it, beside its own address.
	Hosts []string
	// Pipelines are in the order of the files.
	Pipelines []*Pipeline
	// Tests are those of the `tests:` blocks, in the order of the files.
	Tests []*Test

	// Redactor takes what is secret out of what people read.
	Redactor *secrets.Redactor
}

// Store says where idempotency keys live and how they are guarded.
type Store struct {
	// URL is `embedded` or a redis:// or rediss:// address.
	URL handlers.Secret
	// Embedded tells that the keys live in the state folder.
	Embedded      bool
	AllowEviction bool
	// OnReset is what happens when the store lost its memory.
	OnReset Action
}

// EmbeddedPartitions is how many partitions a topic of the embedded broker has unless
// the configuration says otherwise.
const EmbeddedPartitions = 6

// Topic is one topic that the configuration expects to exist.
type Topic struct {
	Name        string
	Partitions  int32
	Replication int16
	Retention   time.Duration
	// Cleanup is delete or compact, empty for what the cluster has.
	Cleanup string
	// Schema is the path of the topic's JSON Schema, empty for none.
	Schema string
	// Assumed tells that the file does not say Partitions: one that exists may
	// have another number.
	Assumed bool
}

// Action is what is done about a record or a failure.
type Action string

// The actions that a configuration can name.
const (
	ActionDeadLetter Action = "dead_letter"
	ActionDrop       Action = "drop"
	ActionStop       Action = "stop"
	ActionDuplicate  Action = "duplicate"
	ActionProcess    Action = "process"
	ActionBlock      Action = "block"
	ActionContinue   Action = "continue"
	ActionRetry      Action = "retry"
	ActionPark       Action = "park"
)

// Pipeline is one pipeline, ready to run.
type Pipeline struct {
	Name        string
	Description string
	Source      kafka.Source
	Format      expression.Format
	// Scope is what filter, idempotency and transform see; Result is what
	// routes and sinks see. They are the same where nothing is transformed.
	Scope, Result *expression.Scope
	// Filter is nil where every record passes.
	Filter *expression.Expression
	// Idempotency is nil where nothing is guarded.
	Idempotency *Idempotency
	// Transform is nil where the record is passed on as it is.
	Transform *Transform
	Routes    []Route
	// Unmatched is drop, dead_letter or stop; OnError the same.
	Unmatched, OnError Action
	// DeadLetter is the dead-letter topic; empty means that the pipeline
	// blocks instead.
	DeadLetter string
	// RateLimit is records per second that reach a sink, 0 for no limit.
	RateLimit float64

	// Digest is of all that the plan is compiled from: where that of a later plan is the
	// same, nothing of the pipeline changed.
	Digest Digest
	// Redactor is the plan's.
	Redactor *secrets.Redactor
}

// Idempotency is how a pipeline's effects are guarded.
type Idempotency struct {
	Key *expression.Template
	// Digest is nil where the value's bytes count.
	Digest     *expression.Expression
	TTL, Lease time.Duration
	Generation int
	// OnConflict is duplicate, dead_letter or process; OnStoreError block or
	// process; OnUncertain retry or park.
	OnConflict, OnStoreError, OnUncertain Action
}

// Transform is what replaces parts of a record.
type Transform struct {
	// Key is nil where the key is kept.
	Key *expression.Expression
	// Headers are merged into the record's; one that yields null removes it.
	Headers []Header
	// Payload is nil where the value is kept.
	Payload *Payload
}

// Header is one header that a transform sets.
type Header struct {
	Name  string
	Value *expression.Expression
	// Source is what people may see of the expression, Secret tells that they may not
	// see what it yields.
	Source string
	Secret bool
}

// Payload is a tree of what a transform makes the value of: exactly one of
// its fields is set.
type Payload struct {
	Leaf   *expression.Expression
	Fields []Field
	Items  []*Payload
}

// Field is one field of an object that a transform builds.
type Field struct {
	Name  string
	Value *Payload
}

// Route is one route: the first whose When holds is taken.
type Route struct {
	// When is nil where the route takes every record.
	When  *expression.Expression
	Sinks []Sink
}

// Sink is one sink of a route.
type Sink struct {
	Name string
	Kind string
	// When is nil where the sink takes every record of its route.
	When *expression.Expression
	Spec handlers.Spec
	// Config is a pointer to the sink's config struct, decoded and compiled.
	Config any
	// Topics are those that the sink writes whatever is in the record, for making
	// them and for finding loops.
	Topics []string
	// TopicPaths are where each of them stands in the file.
	TopicPaths []diag.Path
	Retry      Retry
	// Fields are its templates and expressions, by their compiled programs.
	Fields map[any]SinkField
}

// SinkField is a template or an expression of a sink, and what people may see of it.
type SinkField struct {
	// Path is where it stands below the sink's kind, Source what is written there.
	Path, Source string
	// URL tells that what it renders is one, Secret that it must not be shown.
	URL, Secret bool
}

// Retry is how a failed write is tried again.
type Retry struct {
	// Attempts counts the first one.
	Attempts     int
	Initial, Max time.Duration
}
