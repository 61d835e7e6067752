package pipeline

import (
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Blocks are the blocks of one configuration file, as they are written, with
// defaults filled in.
type Blocks struct {
	Version     int                              `yaml:"version" default:"1" min:"1" max:"1" doc:"The version of this language: 1."`
	Kafka       *KafkaConfig                     `yaml:"kafka" doc:"How to reach Kafka; without it the embedded broker runs."`
	Idempotency *StoreConfig                     `yaml:"idempotency" doc:"Where idempotency keys live, and defaults for every pipeline that has one."`
	Topics      yamlconf.Entries[TopicConfig]    `yaml:"topics" doc:"The topics that this file expects to exist, by name."`
	Ingest      *IngestConfig                    `yaml:"ingest" doc:"Takes records over HTTP and answers 202 once they are durable in a topic."`
	Drain       time.Duration                    `yaml:"drain" default:"20s" doc:"How long a stop waits for work in flight."`
	Server      *ServerConfig                    `yaml:"server" doc:"What a running process offers over HTTP; each part is off unless written."`
	Pipelines   yamlconf.Entries[PipelineConfig] `yaml:"pipelines" doc:"The pipelines, by name."`
	Tests       []TestConfig                     `yaml:"tests" doc:"Examples with the outcomes that are expected of them, run by millrace test."`
}

// KafkaConfig is the `kafka:` block.
type KafkaConfig struct {
	Brokers     []string        `yaml:"brokers" doc:"Addresses of brokers; one item may hold several with commas."`
	ClientID    string          `yaml:"client_id" default:"millrace" doc:"The name that brokers see."`
	Rack        string          `yaml:"rack" doc:"Where this process runs, so that it reads from near replicas."`
	Compression string          `yaml:"compression" default:"none" enum:"none,gzip,snappy,lz4,zstd" doc:"How written batches are compressed."`
	TLS         *TLSConfig      `yaml:"tls" doc:"Encrypts the connection; {} trusts the system's roots."`
	SASL        *SASLConfig     `yaml:"sasl" doc:"How to authenticate."`
	Embedded    *EmbeddedConfig `yaml:"embedded" doc:"The embedded broker, which is the default where there are no brokers."`
}

// TLSConfig names certificate files.
type TLSConfig struct {
	CA   string `yaml:"ca" path:"true" doc:"A PEM file of the authorities to trust; default the system's."`
	Cert string `yaml:"cert" path:"true" doc:"A PEM file of the client's certificate."`
	Key  string `yaml:"key" path:"true" doc:"A PEM file of the client's key."`
}

// SASLConfig is how to authenticate.
type SASLConfig struct {
	Mechanism string          `yaml:"mechanism" required:"true" fold:"true" enum:"plain,scram-sha-256,scram-sha-512,oauthbearer" doc:"The mechanism, in any case."`
	Username  string          `yaml:"username" doc:"The user's name."`
	Password  handlers.Secret `yaml:"password" doc:"The password; take it from a file or variable."`
	Token     handlers.Secret `yaml:"token" doc:"The token of oauthbearer."`
}

// EmbeddedConfig is the embedded broker.
type EmbeddedConfig struct {
	Listen string `yaml:"listen" default:"127.0.0.1:9092" doc:"Where it listens; port 0 picks a free one."`
}

// StoreConfig is the top-level `idempotency:` block.
type StoreConfig struct {
	Store         string        `yaml:"store" secret:"url" doc:"redis://, rediss:// or embedded, which is the default on the embedded broker."`
	TTL           time.Duration `yaml:"ttl" default:"8d" min:"1s" doc:"How long a key is remembered; longer than the topics' retention, or a late replay repeats."`
	Lease         time.Duration `yaml:"lease" default:"30s" min:"3s" max:"1h" doc:"How long a claim outlives a holder that went silent."`
	AllowEviction bool          `yaml:"allow_eviction" default:"false" doc:"Starts although the store may evict keys."`
	OnStoreReset  string        `yaml:"on_store_reset" default:"block" enum:"block,continue" doc:"What happens when the store lost its memory."`
}

// TopicConfig is a topic that the configuration expects to exist.
type TopicConfig struct {
	Partitions  int32         `yaml:"partitions" min:"1" max:"100000" doc:"How many partitions it has; 6 on the embedded broker."`
	Replication int16         `yaml:"replication" min:"1" max:"1000" doc:"How many replicas each partition has; 1 on the embedded broker."`
	Retention   time.Duration `yaml:"retention" min:"1s" doc:"How long it keeps records; not enforced on the embedded broker."`
	Cleanup     string        `yaml:"cleanup" enum:"delete,compact" doc:"What becomes of old records: delete those past the retention, or compact to the newest of each key; where it is not written a new topic takes the cluster's default and one that exists keeps its own. Nothing on the embedded broker, which keeps everything."`
	Schema      string        `yaml:"schema" path:"true" doc:"A JSON Schema file of its payloads."`
}

// IngestConfig is the `ingest:` block.
type IngestConfig struct {
	Listen string              `yaml:"listen" doc:"Where it listens."`
	Routes []IngestRouteConfig `yaml:"routes" doc:"The paths that it serves."`
}

// IngestRouteConfig is one path that takes records for one topic.
type IngestRouteConfig struct {
	Path  string              `yaml:"path" required:"true" doc:"The path of the URL."`
	Topic string              `yaml:"topic" required:"true" doc:"The topic that its records go to; payloads are checked against the topic's schema."`
	Key   handlers.Expression `yaml:"key" doc:"The record's key, computed from the request; without it records have none."`
}

// ServerConfig is the `server:` block.
type ServerConfig struct {
	Listen string `yaml:"listen" doc:"Where the web console and the API listen."`
	Health string `yaml:"health" doc:"Where /livez, /readyz and /metrics listen."`
}

// TestConfig is one example with what is expected of it.
type TestConfig struct {
	Name     string               `yaml:"name" doc:"What the test shows."`
	Pipeline string               `yaml:"pipeline" required:"true" doc:"The pipeline that the records go through."`
	Env      map[string]string    `yaml:"env" doc:"Variables for this test."`
	Records  []AnyConfig          `yaml:"records" required:"true" doc:"The records, in the form of a record as JSON."`
	Expect   []AnyConfig          `yaml:"expect" doc:"What becomes of each record."`
	Sinks    map[string]AnyConfig `yaml:"sinks" doc:"What the sinks answer, such as http: [fail 503, timeout, ok]."`
	Crash    string               `yaml:"crash" enum:"after_claim,after_write,after_confirm" doc:"Where the process dies once."`
}
