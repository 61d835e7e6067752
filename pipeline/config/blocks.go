package config

import (
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Blocks are the blocks of one configuration file, as they are written, with
// defaults filled in.
type Blocks struct {
	Version     int                        `yaml:"version" default:"1" min:"1" max:"1" doc:"The version of this language, which is 1."`
	Kafka       *Kafka                     `yaml:"kafka" doc:"How to reach Kafka. Without it, an embedded broker runs."`
	Idempotency *Store                     `yaml:"idempotency" doc:"Where idempotency keys live, and what holds for every pipeline that uses them."`
	Topics      yamlconf.Entries[Topic]    `yaml:"topics" doc:"The topics that this file expects to exist, by name. 'millrace topics apply' makes them."`
	Ingest      *Ingest                    `yaml:"ingest" doc:"Takes records over HTTP, and answers 202 once they are durable in a topic."`
	Drain       time.Duration              `yaml:"drain" default:"20s" doc:"How long a stop waits for work in flight, and for records before those that are finished, so that these do not come again. Calls that take longer are cut off."`
	Limits      *Limits                    `yaml:"limits" doc:"What the expressions of one record may cost, in each pipeline. A record that costs more goes the way of 'on_error', with the reason 'too_costly'."`
	Server      *Server                    `yaml:"server" doc:"What a running process offers over HTTP. Each part is off unless it is written."`
	Pipelines   yamlconf.Entries[Pipeline] `yaml:"pipelines" doc:"The pipelines, by name."`
	Tests       []Test                     `yaml:"tests" doc:"Examples with the outcomes that are expected of them, run by millrace test."`
}

// Kafka is the `kafka:` block.
type Kafka struct {
	Brokers     []string  `yaml:"brokers" doc:"Addresses of brokers, such as 'kafka-1:9092'. One item may hold several with commas between them."`
	ClientID    string    `yaml:"client_id" default:"millrace" doc:"The name under which brokers see this process."`
	Rack        string    `yaml:"rack" doc:"Where this process runs, so that it reads from replicas nearby."`
	Compression string    `yaml:"compression" default:"none" enum:"none,gzip,snappy,lz4,zstd" doc:"How batches that are written are compressed."`
	TLS         *TLS      `yaml:"tls" doc:"Encrypts the connection. '{}' trusts the authorities that the system trusts."`
	SASL        *SASL     `yaml:"sasl" doc:"How to authenticate."`
	Embedded    *Embedded `yaml:"embedded" doc:"The embedded broker, which runs where no brokers are written."`
}

// TLS names certificate files.
type TLS struct {
	CA   string `yaml:"ca" path:"true" doc:"A PEM file of the authorities to trust. Without it, those of the system."`
	Cert string `yaml:"cert" path:"true" doc:"A PEM file with the client's certificate."`
	Key  string `yaml:"key" path:"true" doc:"A PEM file with the key of that certificate."`
}

// SASL is how to authenticate.
type SASL struct {
	Mechanism string          `yaml:"mechanism" required:"true" fold:"true" enum:"plain,scram-sha-256,scram-sha-512,oauthbearer" doc:"How to log in. Capital letters may be used as well."`
	Username  string          `yaml:"username" doc:"The name of the user."`
	Password  handlers.Secret `yaml:"password" doc:"The password. Take it from a file or a variable: '${file(\"/run/secrets/password\")}'."`
	Token     handlers.Secret `yaml:"token" doc:"The token, for 'oauthbearer'."`
}

// Embedded is the embedded broker.
type Embedded struct {
	Listen string `yaml:"listen" default:"127.0.0.1:9092" text:"address" doc:"Where it listens. Port 0 picks a free one."`
}

// Store is the top-level `idempotency:` block.
type Store struct {
	Store         string        `yaml:"store" secret:"url" text:"store" doc:"Where keys live: 'redis://host:6379/0', 'rediss://…' for TLS, or 'embedded', a folder of this process alone. The default is 'embedded' on the embedded broker; with 'kafka.brokers' it must be written."`
	TTL           time.Duration `yaml:"ttl" default:"8d" min:"1s" doc:"How long a key is remembered, which is longer than the 'lease'. Make it longer than the topics' retention, or a late replay repeats effects."`
	Lease         time.Duration `yaml:"lease" default:"30s" min:"3s" max:"1h" doc:"How long a claim outlives a process that went silent."`
	AllowEviction bool          `yaml:"allow_eviction" default:"false" doc:"Starts also with a Redis that may evict keys, which would forget effects."`
	OnStoreReset  string        `yaml:"on_store_reset" default:"block" enum:"block,continue" doc:"What to do when the store lost its memory: 'block' stands still until 'millrace keys accept-reset', 'continue' goes on with a warning."`
}

// Topic is a topic that the configuration expects to exist.
type Topic struct {
	Partitions  int32         `yaml:"partitions" min:"1" max:"100000" doc:"How many partitions it has. Without it, 6 on the embedded broker, and what the cluster gives elsewhere."`
	Replication int16         `yaml:"replication" min:"1" max:"1000" doc:"How many replicas each partition has. It is 1 on the embedded broker, whatever is written."`
	Retention   time.Duration `yaml:"retention" min:"1s" doc:"How long records are kept. The embedded broker keeps them for ever."`
	Cleanup     string        `yaml:"cleanup" enum:"delete,compact" doc:"What becomes of old records: 'delete' removes those past the retention, 'compact' keeps the newest of each key. Without it, a new topic takes the cluster's default and an old one keeps its own. The embedded broker keeps everything."`
	Schema      string        `yaml:"schema" path:"true" doc:"A JSON Schema file of its payloads."`
}

// Ingest is the `ingest:` block.
type Ingest struct {
	Listen         string        `yaml:"listen" text:"address" doc:"Where it listens, such as '127.0.0.1:8080'. Beyond the loopback interface every route needs an 'auth', or 'insecure'."`
	Hosts          []string      `yaml:"hosts" doc:"Names by which clients may call it, such as 'orders.example.com', beside localhost and its own address. On the loopback interface no others are taken, elsewhere none but these once there are any."`
	TLS            *ServerTLS    `yaml:"tls" doc:"Encrypts the connections. The files are read again when they change."`
	Auth           *IngestAuth   `yaml:"auth" doc:"How clients show that they may write, for all routes without an 'auth' of their own. Without it everybody may who reaches the address."`
	Insecure       bool          `yaml:"insecure" default:"false" doc:"Takes records from other machines also where a route has no 'auth'."`
	Headers        []string      `yaml:"headers" doc:"Headers of a request that its records take along, in lower case, such as 'traceparent', on all routes without 'headers' of their own."`
	MaxRecordBytes handlers.Size `yaml:"max_record_bytes" default:"1MiB" min:"1B" max:"1GiB" doc:"The largest record that is taken. A larger one is answered with 413. The topic's max.message.bytes, 1 MiB unless the cluster says otherwise, must allow it too."`
	Routes         []IngestRoute `yaml:"routes" doc:"Which path takes records for which topic."`
}

// ServerTLS names a server's certificate files.
type ServerTLS struct {
	Cert string `yaml:"cert" required:"true" path:"true" doc:"A PEM file with the server's certificate, and those between it and its authority."`
	Key  string `yaml:"key" required:"true" path:"true" doc:"A PEM file with the key of that certificate."`
}

// IngestAuth is how clients show that they may write: one of the two.
type IngestAuth struct {
	Bearer handlers.Secret `yaml:"bearer" doc:"The token that clients send, with the header 'Authorization: Bearer'. Take it from a file: '${file(\"/run/secrets/ingest\")}'."`
	HMAC   *IngestHMAC     `yaml:"hmac" doc:"A signature of the body, as webhooks send it: HMAC-SHA256 with a secret that both sides know."`
}

// IngestHMAC is a signature of the body.
type IngestHMAC struct {
	Header   string          `yaml:"header" required:"true" doc:"The header with the signature, such as 'X-Hub-Signature-256'. A 'sha256=' before it is left out."`
	Secret   handlers.Secret `yaml:"secret" required:"true" doc:"The secret of the signature."`
	Encoding string          `yaml:"encoding" default:"hex" enum:"hex,base64" doc:"How the signature is written: in 'hex', as GitHub does, or in 'base64', as Shopify does."`
}

// IngestRoute is one path that takes records for one topic.
type IngestRoute struct {
	Path  string              `yaml:"path" required:"true" text:"urlpath" doc:"The path of the URL, such as '/orders'. Records are sent to it with POST."`
	Topic string              `yaml:"topic" required:"true" text:"topic" doc:"The topic that the records go to. Payloads are checked against its schema."`
	Key   handlers.Expression `yaml:"key" doc:"The key of the record, such as 'payload.order_id'. Without it, records have none."`
	Many  bool                `yaml:"many" default:"false" doc:"Takes bodies of several records too: the items of a JSON array, or lines with 'Content-Type: application/x-ndjson'. All of them are checked before any is written."`
	Auth  *IngestAuth         `yaml:"auth" doc:"How clients of this route show that they may write, in place of the 'auth' of all routes."`
	// Headers is nil where the route has those of all routes.
	Headers []string `yaml:"headers" doc:"Headers of a request that its records take along, in place of those of all routes."`
}

// Limits is the `limits:` block.
type Limits struct {
	Steps int64         `yaml:"steps" default:"50000000" min:"10000" doc:"How much work the expressions of one record may do. A step is some 2 ns: the default is a tenth of a second, which no sane record comes near. A record of more than 1 MiB may take as many times the steps as it has MiB."`
	Bytes handlers.Size `yaml:"bytes" default:"64MiB" min:"64KiB" doc:"How much they may make: values read from JSON, texts and lists. For each MiB beyond the first, a record may make a quarter more. Each lane may come to hold so much at once."`
}

// Server is the `server:` block.
type Server struct {
	Listen string   `yaml:"listen" text:"address" doc:"Where the web console and the API listen."`
	Health string   `yaml:"health" text:"address" doc:"Where '/livez', '/readyz' and '/metrics' listen, such as '127.0.0.1:8091'."`
	Hosts  []string `yaml:"hosts" doc:"Names by which clients may call these, beside localhost and their own address. On the loopback interface no others are taken, elsewhere none but these once there are any."`
}

// maxPipelines is how many pipelines one process runs.
const maxPipelines = 1000
