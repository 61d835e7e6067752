package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/pipeline/listen"
	"github.com/millrace/millrace/pipeline/state"
)

const (
	// DefaultListen is where the broker listens unless told otherwise.
	DefaultListen = "127.0.0.1:9092"
	// DefaultPartitions is how many partitions a topic has unless told otherwise.
	DefaultPartitions = 6
	// DefaultSizeLimit is how large the log may grow unless told otherwise.
	DefaultSizeLimit = 4 << 30
)

// Config says what broker to open.
type Config struct {
	// Dir is the folder of the log. Its parent is where the lock file lies.
	Dir string
	// Listen is a loopback address, DefaultListen where it is empty; port 0
	// picks a free one.
	Listen string
	// Partitions of a topic that does not say; 0 means DefaultPartitions.
	Partitions int32
	// SizeLimit is how many bytes the log may have; 0 means DefaultSizeLimit.
	SizeLimit int64
	// Logger must not be nil.
	Logger *slog.Logger
	// OnAlarm, where set, is told what a person should know of the log, also
	// while Open runs. It must not block.
	OnAlarm func(Alarm)

	// Those are set by tests only.
	watchEvery  time.Duration
	probeEvery  time.Duration
	expiryEvery time.Duration
	idleTime    time.Duration
	maxConns    int
	disk        func(dir string) (free, total int64, err error)
}

// Kinds of alarms.
const (
	// AlarmDamaged tells of records or commits lost to damage in a file.
	AlarmDamaged = "damaged"
	// AlarmDataLoss tells of a log that ends before an offset that it once had
	// or that a group committed.
	AlarmDataLoss = "data_loss"
	// AlarmTorn tells of an incomplete write at the end of a file: a crash cut
	// it off before it was acknowledged, or it is damaged.
	AlarmTorn = "torn"
	// AlarmMalformed tells of batches that an earlier version took and whose records
	// can't all be read.
	AlarmMalformed = "malformed"
	// AlarmNearlyFull tells that the log or its disk has little room left.
	AlarmNearlyFull = "nearly_full"
	// AlarmFull tells that producers are refused until there is room again.
	AlarmFull = "full"
	// AlarmUnreachable tells that the broker does not answer on its own address.
	AlarmUnreachable = "unreachable"
)

// Alarm is something about the log that a person should know.
type Alarm struct {
	Kind string
	// Topic and Partition are where; Topic is empty where it is the whole log.
	Topic     string
	Partition int32
	// Group is the consumer group concerned, empty if there is none.
	Group   string
	Message string
	// Cleared says that it is over; Message is empty then.
	Cleared bool
}

// Broker is an open embedded broker. Its methods are safe for concurrent use.
type Broker struct {
	config  Config
	lock    *state.Lock
	addr    string
	cluster *kfake.Cluster
	guard   *guard
	gate    *gate
	watch   *watch

	// mu is held for reading while the cluster is used: it answers nobody once
	// it is closed.
	mu     sync.RWMutex
	closed bool
	err    error
}

// ErrClosed is returned by methods of a broker that has been closed.
var ErrClosed = errors.New("the embedded broker is closed")

// Open takes the folder, checks and mends the log, and answers clients when it
// returns. Where another process has the folder, the error is a
// *state.HeldError; where the address can't be had, it names the key to change.
// The caller closes the Broker.
func Open(ctx context.Context, config Config) (*Broker, error) {
	config = config.withDefaults()
	host, err := listen.Loopback(config.Listen)
	if err != nil {
		return nil, err
	}
	lock, err := state.LockFolder(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the embedded broker: %w", err)
	}
	b := &Broker{config: config, lock: lock}
	if err := b.open(ctx, host); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return b, nil
}

func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Partitions <= 0 {
		c.Partitions = DefaultPartitions
	}
	if c.SizeLimit <= 0 {
		c.SizeLimit = DefaultSizeLimit
	}
	if c.watchEvery <= 0 {
		c.watchEvery = 5 * time.Second
	}
	if c.expiryEvery <= 0 {
		c.expiryEvery = math.MaxInt32 * time.Millisecond
	}
	if c.probeEvery <= 0 {
		c.probeEvery = 5 * time.Second
	}
	if c.idleTime <= 0 {
		c.idleTime = maxIdle
	}
	if c.maxConns <= 0 {
		c.maxConns = max(16, int(min(maxConns, openFiles()/4)))
	}
	if c.disk == nil {
		c.disk = diskSpace
	}
	return c
}

func (b *Broker) open(ctx context.Context, listen string) error {
	listener, err := listenOn(ctx, listen)
	if err != nil {
		return err
	}
	found, err := mend(ctx, b.lock.Dir(), b.alarm)
	if err != nil {
		return errors.Join(fmt.Errorf("open the embedded broker: %w", err), listener.Close())
	}
	b.guard = newGuard(b.config, b.lock.Dir(), b.alarm)
	b.gate = newGate(b.config, b.guard.produced, found)
	b.cluster, err = kfake.NewCluster(b.options(listener)...)
	if err != nil {
		_ = listener.Close()
		return fmt.Errorf("open the embedded broker: %w", err)
	}
	// From now on only Close, which writes this file, ends the log cleanly.
	if err := removeFile(filepath.Join(b.lock.Dir(), cleanFile)); err != nil {
		b.cluster.Close()
		return fmt.Errorf("open the embedded broker: %w", err)
	}
	b.addr = listener.Addr().String()
	b.rule()
	b.guard.start(b.cluster)
	b.watch = startWatch(b.gate, b.cluster, b.addr, b.config.probeEvery, b.alarm)
	b.config.Logger.Info("embedded broker listens", "listen", b.addr, "dir", b.lock.Dir())
	return nil
}

func (b *Broker) options(listener net.Listener) []kfake.Opt {
	return []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("millrace-embedded"),
		kfake.DefaultNumPartitions(int(b.config.Partitions)),
		kfake.DataDir(b.lock.Dir()),
		kfake.SyncWrites(),
		kfake.WithLogger(newLogger(b.config.Logger)),
		kfake.ListenFn(func(string, string) (net.Listener, error) {
			return &gateListener{Listener: listener, gate: b.gate}, nil
		}),
		kfake.BrokerConfigs(b.config.brokerConfigs()),
	}
}

// Addr is the address that it listens on, with the port that was chosen.
func (b *Broker) Addr() string { return b.addr }

// Close stops answering, writes what makes the next opening quick, and gives the
// folder back. It takes as long as a few small files a partition take to write.
// Calls after the first return what the first did.
func (b *Broker) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return b.err
	}
	b.closed = true
	b.guard.stop()
	b.watch.stop()
	b.gate.close()
	b.cluster.Close()
	err := os.WriteFile(filepath.Join(b.lock.Dir(), cleanFile), nil, 0o600)
	if b.err = errors.Join(err, b.lock.Release()); b.err != nil {
		b.err = fmt.Errorf("close the embedded broker: %w", b.err)
	}
	return b.err
}

// alarm logs a and passes it on.
func (b *Broker) alarm(a Alarm) {
	logger := b.config.Logger.With("kind", a.Kind)
	if a.Topic != "" {
		logger = logger.With("topic", a.Topic, "partition", a.Partition)
	}
	if a.Group != "" {
		logger = logger.With("group", a.Group)
	}
	switch {
	case a.Cleared:
		logger.Info("embedded broker alarm is over")
	case a.Kind == AlarmTorn || a.Kind == AlarmNearlyFull || a.Kind == AlarmMalformed:
		logger.Warn("embedded broker alarm", "detail", a.Message)
	default:
		logger.Error("embedded broker alarm", "detail", a.Message)
	}
	if b.config.OnAlarm != nil {
		b.config.OnAlarm(a)
	}
}
