package pipeline

import (
	"time"

	"github.com/millrace/millrace/handlers"
)

// PipelineConfig is one pipeline as it is written.
type PipelineConfig struct {
	Description string              `yaml:"description" doc:"What the pipeline is for."`
	Source      SourceConfig        `yaml:"source" required:"true" doc:"What it reads."`
	Filter      handlers.Expression `yaml:"filter" doc:"Which records go on; null counts as false."`
	Idempotency *GuardConfig        `yaml:"idempotency" doc:"Guards the effects: once for each key."`
	Transform   *TransformConfig    `yaml:"transform" doc:"Replaces what it names of the record and keeps the rest."`
	Sinks       []SinkConfig        `yaml:"sinks" doc:"Where records go: shorthand for one route without when."`
	Routes      []RouteConfig       `yaml:"routes" doc:"Where records go: the first route whose when holds is taken."`
	Unmatched   string              `yaml:"unmatched" default:"drop" enum:"drop,dead_letter,stop" doc:"What becomes of records that no route takes."`
	Retry       RetryConfig         `yaml:"retry" doc:"How failed writes are tried again."`
	DeadLetter  DeadLetterConfig    `yaml:"dead_letter" doc:"The topic for records that can't be delivered, or off to block instead; default <pipeline>.dead-letter."`
	OnError     string              `yaml:"on_error" default:"dead_letter" enum:"dead_letter,drop,stop" doc:"What becomes of records whose decoding, filter, key or transform failed."`
	Concurrency ConcurrencyConfig   `yaml:"concurrency" doc:"How many records are worked on at once, and in which order."`
	RateLimit   handlers.Rate       `yaml:"rate_limit" doc:"How many records may reach a sink, such as 500/s; per process."`
}

// SourceConfig is what a pipeline reads.
type SourceConfig struct {
	Topic          string        `yaml:"topic" doc:"The topic; or use topics or pattern."`
	Topics         []string      `yaml:"topics" doc:"Several topics."`
	Pattern        string        `yaml:"pattern" doc:"A regular expression of topic names."`
	Group          string        `yaml:"group" doc:"The consumer group; default the pipeline's name."`
	Instance       string        `yaml:"instance" doc:"A name of this replica for static membership."`
	Start          StartConfig   `yaml:"start" doc:"Where a topic begins that the group has no commit of: earliest (default), latest, an RFC 3339 time, or {offsets: {0: 120}}."`
	Format         string        `yaml:"format" default:"json" enum:"json,text,bytes,avro,protobuf" doc:"How values are read."`
	Fetch          FetchConfig   `yaml:"fetch" doc:"How much one fetch brings."`
	MaxRecordBytes handlers.Size `yaml:"max_record_bytes" default:"16MiB" min:"1B" max:"1GiB" doc:"The largest record that is taken."`
	OnOutOfRange   string        `yaml:"on_out_of_range" default:"stop" enum:"stop,earliest" doc:"What happens where the log no longer has the offset."`
	SessionTimeout time.Duration `yaml:"session_timeout" default:"10s" min:"6s" max:"30m" doc:"How long the group waits for a silent member; brokers take 6s to 30m unless they are told otherwise."`
	CommitInterval time.Duration `yaml:"commit_interval" default:"1s" min:"10ms" max:"1h" doc:"How often offsets are committed."`
}

// FetchConfig is how much one fetch brings.
type FetchConfig struct {
	Min  handlers.Size `yaml:"min" default:"1B" min:"1B" max:"1GiB" doc:"How much the broker waits for."`
	Max  handlers.Size `yaml:"max" default:"50MiB" min:"1B" max:"1GiB" doc:"How much one fetch may bring."`
	Wait time.Duration `yaml:"wait" default:"250ms" min:"1ms" max:"5m" doc:"How long the broker waits for min."`
}

// GuardConfig is the `idempotency:` block of a pipeline.
type GuardConfig struct {
	Key          handlers.Template   `yaml:"key" required:"true" place:"key" doc:"What makes an effect the same one."`
	TTL          time.Duration       `yaml:"ttl" min:"1s" doc:"How long a key is remembered; default that of the top-level block."`
	Digest       handlers.Expression `yaml:"digest" doc:"What counts as content; default the value's bytes."`
	OnConflict   string              `yaml:"on_conflict" default:"duplicate" enum:"duplicate,dead_letter,process" doc:"The same key with other content."`
	OnStoreError string              `yaml:"on_store_error" default:"block" enum:"block,process" doc:"What happens while the store is down."`
	OnUncertain  string              `yaml:"on_uncertain" default:"retry" enum:"retry,park" doc:"What becomes of effects that may have happened."`
	Generation   int                 `yaml:"generation" default:"1" min:"1" max:"1000000000" doc:"Part of every key's identity; raise it to start the keys anew."`
}

// TransformConfig replaces parts of a record.
type TransformConfig struct {
	Key     handlers.Expression `yaml:"key" doc:"The record's new key."`
	Headers HeadersConfig       `yaml:"headers" doc:"Merged into the record's headers; null removes one."`
	Payload *PayloadConfig      `yaml:"payload" doc:"The new payload; each leaf is an expression, so text needs quotes within the quotes."`
}

// RouteConfig is one route.
type RouteConfig struct {
	When  handlers.Expression `yaml:"when" doc:"Which records it takes, after transform; without it, all."`
	Sinks []SinkConfig        `yaml:"sinks" required:"true" doc:"Where its records go."`
}

// RetryConfig is how failed writes are tried again. Zero fields are not
// written.
type RetryConfig struct {
	Attempts int           `yaml:"attempts" min:"1" max:"1000" doc:"How often a write is tried, the first included; default 5."`
	Initial  time.Duration `yaml:"initial" min:"1ms" max:"1h" doc:"The first wait; default 200ms."`
	Max      time.Duration `yaml:"max" min:"1ms" max:"1d" doc:"The longest wait; default 30s."`
}

// ConcurrencyConfig is how many records are worked on at once.
type ConcurrencyConfig struct {
	Lanes int    `yaml:"lanes" default:"8" min:"1" max:"1024" doc:"Lanes of each partition."`
	Order string `yaml:"order" default:"key" enum:"key,partition,none" doc:"What keeps its order: records of one key, a whole partition, or nothing."`
}
