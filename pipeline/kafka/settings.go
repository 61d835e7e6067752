// Package kafka is the only one that knows Kafka's client libraries: franz-go reads and
// looks after the cluster, sarama writes, through Watermill's publisher. A [Subscriber]
// hands out lane batches as Watermill messages, a [Publisher] writes records, a [Reader]
// reads a topic for a command, and an [Admin] asks and changes the cluster.
//
//   - reading: subscriber.go, consumer.go (one subscription's poll loop), assign.go (what a
//     rebalance gives and takes), place.go and start.go (where a partition begins, and what
//     stands beside a commit), feed.go and intake.go (fetched bytes and their memory),
//     unpack.go, pieces.go and pieces_record.go (batches that are large once they are
//     decompressed), partition.go, lanes.go and batch.go (from records to lane batches),
//     commit.go (the finished prefix, and its commit), aside.go (records that wait for a
//     part of a sink's system), trouble.go, examine.go and lookout.go (what can't be read)
//   - writing: publisher.go, produce.go, odd.go (times that sarama can't write), classify.go
//     (what errors mean)
//   - the cluster: settings.go, client.go, connect.go (TLS, logins, and how a
//     producer finds the cluster), admin.go, group.go, inspect.go, measure.go (lag), reader.go
package kafka

import (
	"context"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/memory"
)

// Settings is the `kafka:` block: how both clients reach the cluster.
type Settings struct {
	Brokers []string
	// ClientID is `millrace` unless the configuration names another.
	ClientID string
	Rack     string
	// Compression is none, gzip, snappy, lz4 or zstd.
	Compression string
	// TLS is nil for plain text.
	TLS *TLS
	// SASL is nil for no authentication.
	SASL *SASL
	// Dialer reaches the brokers where TLS is nil; nil dials the network.
	Dialer Dialer
}

// Dialer makes connections to brokers.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// TLS names the certificate files; empty ones mean the system's roots and no
// client certificate.
type TLS struct {
	CA, Cert, Key string
}

// SASL is how to authenticate.
type SASL struct {
	// Mechanism is plain, scram-sha-256, scram-sha-512 or oauthbearer.
	Mechanism string
	Username  string
	Password  handlers.Secret
	Token     handlers.Secret
}

// Order is what keeps records in order.
type Order string

const (
	// OrderKey keeps records of one source key in order; records without a key
	// keep the order of their partition. It is the default.
	OrderKey Order = "key"
	// OrderPartition keeps all records of a partition in order: one lane.
	OrderPartition Order = "partition"
	// OrderNone keeps none: records go to whichever lane is free.
	OrderNone Order = "none"
)

// StartKind says where a topic begins that the group has no commit of.
type StartKind string

// The places where a topic can begin.
const (
	StartEarliest StartKind = "earliest"
	StartLatest   StartKind = "latest"
	StartTime     StartKind = "time"
	StartOffsets  StartKind = "offsets"
)

// Start is where a topic begins that the group has no commit of.
type Start struct {
	Kind StartKind
	Time time.Time
	// Offsets are by partition; partitions that it does not name begin at the
	// earliest record.
	Offsets map[int32]int64
}

// Source is what one pipeline reads and how.
type Source struct {
	// Topics are the topics by name; empty where Pattern is set.
	Topics  []string
	Pattern *regexp.Regexp
	Group   string
	// Instance is the static member id, empty for dynamic membership.
	Instance string
	Start    Start
	// FetchMin, FetchMax are bytes of one fetch, FetchWait how long the broker
	// may wait for FetchMin.
	FetchMin, FetchMax int32
	FetchWait          time.Duration
	MaxRecordBytes     int64
	// ResetOutOfRange goes on at the earliest record where the log no longer
	// has the offset; otherwise that partition stands still with an alarm.
	ResetOutOfRange bool
	SessionTimeout  time.Duration
	CommitInterval  time.Duration
	// Lanes is how many lanes one partition has; Order what they keep.
	Lanes int
	Order Order
	// MaxBatch is the longest lane batch; 0 means 1,024.
	MaxBatch int
	// MaxPending and MaxPendingBytes bound what is uncommitted of a partition;
	// past either the partition pauses. 0 means 10,000 and 64 MiB.
	MaxPending      int
	MaxPendingBytes int64
	// Drain is how long giving a partition up waits for its batches.
	Drain time.Duration
	// Until, where set, is where each partition ends, excluding the offset; of one that
	// it does not name nothing is read.
	Until Offsets
	// Note, where set, is kept beside the offset of each commit: up to a few hundred
	// bytes, read by [Admin.Notes]. next is that offset. It must not block.
	Note func(topic string, partition int32, next int64) string
}

// Deps is what a Subscriber or Publisher uses of its process.
type Deps struct {
	// Logger must not be nil.
	Logger *slog.Logger
	// Held, where set, is where the memory is taken from of what is fetched.
	Held *memory.Pool
	// OnAlarm, where set, is told what a person must see to, and once more with
	// Cleared when it is over. It must not block.
	OnAlarm func(Alarm)
	// OnEnd, where set, is told why a subscription can't go on; its channel is
	// closed after that. It must not block.
	OnEnd func(error)
	// Epoch, where set, names the idempotency store's memory. It is written
	// beside every committed offset. It must not block.
	Epoch func() string
	// OnEpoch, where set, is told of every partition that the group committed
	// under another epoch than Epoch tells now, before a record of it is
	// delivered. It must not block.
	OnEpoch func(topic string, partition int32, committed, current string)
}

// Alarm is something that stands a partition still, as a rule until a person acts.
type Alarm struct {
	Topic     string
	Partition int32
	// Kind is out_of_range, data_loss, topic_recreated or unfetched.
	Kind string
	// Message says what happened, with the range of offsets concerned, and what
	// to do.
	Message string
	Cleared bool
}

// PartitionStatus is how far one assigned partition is.
type PartitionStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Committed is the group's offset as last committed or fetched, -1 for none.
	Committed int64 `json:"committed"`
	// End is the last stable offset as the broker last told it.
	End int64 `json:"end"`
	// Lag is End - Committed, never below 0; it is unknown where the broker has
	// not told End for some time.
	Lag Lag `json:"lag"`
	// Pending is how many records are delivered and not finished.
	Pending int `json:"pending"`
	// Alarm is why it stands still, empty if it does not.
	Alarm string `json:"alarm,omitempty"`
}
