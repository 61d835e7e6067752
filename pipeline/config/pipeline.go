package config

import (
	"time"

	"github.com/millrace/millrace/handlers"
)

// Pipeline is one pipeline as it is written.
type Pipeline struct {
	Description string              `yaml:"description" doc:"What the pipeline is for, in a sentence."`
	Source      Source              `yaml:"source" required:"true" doc:"What it reads."`
	Filter      handlers.Expression `yaml:"filter" doc:"Which records go on, such as 'payload.status == \"paid\"'. A result that is null counts as false; comparing what is not there by '>' or '<' is an error of the record, also of a tombstone, and '(payload.total ?? 0) > 100' is the way out. Without it, all do."`
	Idempotency *Guard              `yaml:"idempotency" doc:"Guards the effects: each happens once per key."`
	Transform   *Transform          `yaml:"transform" doc:"Replaces what it names of the record, and keeps the rest."`
	Sinks       []Sink              `yaml:"sinks" doc:"Where records go. It is short for one route without 'when'; write either 'sinks' or 'routes'."`
	Routes      []Route             `yaml:"routes" doc:"Where records go: a record takes the first route whose 'when' holds."`
	Unmatched   string              `yaml:"unmatched" default:"drop" enum:"drop,dead_letter,stop" doc:"What becomes of a record that no route takes: 'drop' counts it as 'unmatched', 'dead_letter' writes it to the dead letters, 'stop' ends the pipeline."`
	Retry       Retry               `yaml:"retry" doc:"How a write that failed is tried again."`
	DeadLetter  DeadLetter          `yaml:"dead_letter" doc:"The topic for records that can't be delivered. With 'off' the pipeline blocks instead. Without it, the topic is named after the pipeline, with '.dead-letter' behind."`
	OnError     string              `yaml:"on_error" default:"dead_letter" enum:"dead_letter,drop,stop" doc:"What becomes of a record whose decoding, filter, key or transform failed: 'dead_letter' writes it to the dead letters, 'drop' lets it go, 'stop' ends the pipeline."`
	Concurrency Concurrency         `yaml:"concurrency" doc:"How many records are worked on at once, and in which order."`
	RateLimit   handlers.Rate       `yaml:"rate_limit" doc:"How many records may reach a sink, such as '500/s'. It holds for each process. Without it, there is no limit."`
}

// Source is what a pipeline reads.
type Source struct {
	Topic          string        `yaml:"topic" text:"topic" doc:"The topic to read. Write one of 'topic', 'topics' and 'pattern'."`
	Topics         []string      `yaml:"topics" text:"topic" doc:"Several topics to read."`
	Pattern        string        `yaml:"pattern" doc:"A regular expression: every topic whose name it matches is read, such as '^orders_.*'."`
	Group          string        `yaml:"group" text:"name" doc:"The consumer group. Without it, the pipeline's name. A group belongs to one pipeline."`
	Instance       string        `yaml:"instance" doc:"A name of this replica, for static membership: it keeps its partitions over a restart."`
	Start          Start         `yaml:"start" doc:"Where to begin with a topic of which the group has no commit: 'earliest' (the default), 'latest', an RFC 3339 time, or offsets by partition."`
	Format         string        `yaml:"format" default:"json" enum:"json,text,bytes,avro,protobuf" doc:"How values are read: 'json' decodes them, with 'text' the payload is a string, with 'bytes' there is no payload, only 'value'."`
	Fetch          Fetch         `yaml:"fetch" doc:"How much one fetch brings."`
	MaxRecordBytes handlers.Size `yaml:"max_record_bytes" default:"16MiB" min:"1B" max:"1GiB" doc:"The largest record that is taken: key, value and headers. A larger one, or one of more than 1,000 headers, is an error of that record and is not held: its dead letter has digests and sizes in place of what is large."`
	OnOutOfRange   string        `yaml:"on_out_of_range" default:"stop" enum:"stop,earliest" doc:"What to do where the log no longer has the offset to go on from: 'stop' lets that partition stand still with an alarm, 'earliest' goes on with the oldest record."`
	SessionTimeout time.Duration `yaml:"session_timeout" default:"10s" min:"6s" max:"30m" doc:"How long the group waits for a member that went silent. Brokers take 6s to 30m unless they are told otherwise."`
	CommitInterval time.Duration `yaml:"commit_interval" default:"1s" min:"10ms" max:"1h" doc:"How often offsets are committed."`
}

// Fetch is how much one fetch brings.
type Fetch struct {
	Min  handlers.Size `yaml:"min" default:"1B" min:"1B" max:"1GiB" doc:"How much the broker waits for before it answers."`
	Max  handlers.Size `yaml:"max" default:"50MiB" min:"1B" max:"1GiB" doc:"How much one fetch may bring."`
	Wait time.Duration `yaml:"wait" default:"250ms" min:"1ms" max:"5m" doc:"How long the broker waits for 'min' at most."`
}

// Guard is the `idempotency:` block of a pipeline.
type Guard struct {
	Key          handlers.Template   `yaml:"key" required:"true" place:"key" doc:"What makes two effects the same one, such as 'notification:invoices:${payload.order_id}'. It must depend on the record."`
	TTL          time.Duration       `yaml:"ttl" min:"1s" doc:"How long a key is remembered, which is longer than the 'lease' of the top-level block. Without it, the 'ttl' of that block."`
	Digest       handlers.Expression `yaml:"digest" doc:"What counts as the content of a record, such as 'payload.total'. Without it, the bytes of the value."`
	OnConflict   string              `yaml:"on_conflict" default:"duplicate" enum:"duplicate,dead_letter,process" doc:"What to do with a record that has the key of another one, but other content: 'duplicate' skips it (counted, and warned of once), 'dead_letter' writes it to the dead letters, 'process' delivers it."`
	OnStoreError string              `yaml:"on_store_error" default:"block" enum:"block,process" doc:"What to do while the store is down: 'block' waits, 'process' delivers without a guard."`
	OnUncertain  string              `yaml:"on_uncertain" default:"retry" enum:"retry,park" doc:"What to do with an effect that may have happened, since a process ended in the middle of it: 'retry' does it again, 'park' writes the record to the dead letters, with what its call met where that is known. With 'park' a stop first tries for the whole 'drain' to bring such calls to an end."`
	Generation   int                 `yaml:"generation" default:"1" min:"1" max:"1000000000" doc:"Part of every key's identity. Raise it to start with fresh keys."`
}

// Transform replaces parts of a record.
type Transform struct {
	Key     handlers.Expression `yaml:"key" doc:"The new key of the record, such as 'payload.order_id'."`
	Headers Headers             `yaml:"headers" doc:"Headers to set, by name. They are merged into those of the record; 'null' removes one."`
	Payload *Payload            `yaml:"payload" doc:"The new payload. Each leaf is an expression, so text needs quotes within quotes: '\"text\"'. One expression for the whole makes a tombstone where it is null; a map or a list of leaves leaves a tombstone one."`
}

// Route is one route.
type Route struct {
	When  handlers.Expression `yaml:"when" doc:"Which records it takes, as they are after 'transform'. Without it, all."`
	Sinks []Sink              `yaml:"sinks" required:"true" doc:"Where its records go. Each sink is tried, keyed and dead-lettered on its own."`
}

// Retry is how failed writes are tried again. Zero fields are not
// written.
type Retry struct {
	Attempts int           `yaml:"attempts" min:"1" max:"1000" doc:"How often a write is tried, the first time included. Without it, 5."`
	Initial  time.Duration `yaml:"initial" min:"1ms" max:"1h" doc:"How long to wait before the second attempt. Without it, 200ms. Waits double from there."`
	Max      time.Duration `yaml:"max" min:"1ms" max:"1d" doc:"The longest wait. Without it, 30s."`
}

// Concurrency is how many records are worked on at once.
type Concurrency struct {
	Lanes int    `yaml:"lanes" default:"8" min:"1" max:"1024" doc:"How many lanes the records of each partition spread over, by their key. Lanes are worked on at the same time."`
	Order string `yaml:"order" default:"key" enum:"key,partition,none" doc:"What keeps its order: 'key' keeps that of records with the same key, 'partition' that of the whole partition in one lane, 'none' keeps none."`
}
