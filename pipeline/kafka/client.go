package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/rcrowley/go-metrics"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// defaultClientID is what brokers see where the configuration names nothing.
const defaultClientID = "millrace"

const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 30 * time.Second
	ackTimeout     = 10 * time.Second
	// leaveTimeout bounds how long a stop waits for a cluster that is gone.
	leaveTimeout = 3 * time.Second
)

// batchBytes is how large one partition's batch may grow. It stays below the
// 1 MiB that brokers take by default: a larger batch would be refused whole,
// with all the innocent records in it.
const batchBytes = 1_000_000

// cluster is what the `kafka:` block says, checked once, in the terms that both
// client libraries are built from: whatever one of them is told, the other is.
type cluster struct {
	brokers  []string
	clientID string
	rack     string
	codec    codec
	// tls is nil for plain text.
	tls *encrypted
	// dialer reaches the brokers, nil where nothing is special.
	dialer Dialer
	// sasl is nil for no authentication.
	sasl *login
}

// codec is one compression in the words of both libraries.
type codec struct {
	kgo    kgo.CompressionCodec
	sarama sarama.CompressionCodec
}

func newCluster(s Settings) (cluster, error) {
	c := cluster{brokers: s.Brokers, clientID: s.ClientID, rack: s.Rack}
	if len(c.brokers) == 0 {
		return c, errors.New("no brokers are named")
	}
	if c.clientID == "" {
		c.clientID = defaultClientID
	}
	var err error
	if c.codec, err = codecOf(s.Compression); err != nil {
		return c, err
	}
	if c.tls, err = tlsOf(s.TLS); err != nil {
		return c, err
	}
	if c.dialer = s.Dialer; c.tls != nil {
		c.dialer = c.tls
	}
	if c.sasl, err = loginOf(s.SASL); err != nil {
		return c, err
	}
	return c, nil
}

func codecOf(name string) (codec, error) {
	switch name {
	case "", "none":
		return codec{kgo.NoCompression(), sarama.CompressionNone}, nil
	case "gzip":
		return codec{kgo.GzipCompression(), sarama.CompressionGZIP}, nil
	case "snappy":
		return codec{kgo.SnappyCompression(), sarama.CompressionSnappy}, nil
	case "lz4":
		return codec{kgo.Lz4Compression(), sarama.CompressionLZ4}, nil
	case "zstd":
		return codec{kgo.ZstdCompression(), sarama.CompressionZSTD}, nil
	}
	return codec{}, fmt.Errorf("unknown compression %q", name)
}

// kgoOptions is the reading side's view of the cluster.
func (c cluster) kgoOptions(logger *slog.Logger) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.brokers...),
		kgo.ClientID(c.clientID),
		kgo.ProducerBatchCompression(c.codec.kgo),
		kgo.DialTimeout(dialTimeout),
		kgo.RequestTimeoutOverhead(requestTimeout),
		kgo.RetryTimeoutFn(retryTimeout),
		kgo.DisableClientMetrics(),
		kgo.WithLogger(newClientLogger(logger)),
	}
	if c.rack != "" {
		opts = append(opts, kgo.Rack(c.rack))
	}
	if c.dialer != nil {
		opts = append(opts, kgo.Dialer(c.dialer.DialContext))
	}
	if c.sasl != nil {
		opts = append(opts, kgo.SASL(c.sasl.kgo))
	}
	return opts
}

func retryTimeout(key int16) time.Duration {
	if key == kmsg.LeaveGroup.Int16() {
		return leaveTimeout
	}
	return requestTimeout
}

// saramaConfig is the writing side's view of the cluster. Every record is
// acknowledged by all in-sync replicas, and a retry can neither repeat nor
// reorder it.
func (c cluster) saramaConfig() (*sarama.Config, error) {
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	conf.ClientID = c.clientID
	conf.RackID = c.rack
	conf.MetricRegistry = noMetrics{}
	conf.Net.DialTimeout = dialTimeout
	conf.Net.ReadTimeout = requestTimeout
	conf.Net.WriteTimeout = requestTimeout
	conf.Net.MaxOpenRequests = 1
	conf.Metadata.Full = false
	conf.Metadata.AllowAutoTopicCreation = false
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Idempotent = true
	conf.Producer.Timeout = ackTimeout
	conf.Producer.Partitioner = sarama.NewMurmur2Partitioner
	conf.Producer.Compression = c.codec.sarama
	conf.Producer.MaxMessageBytes = batchBytes
	conf.Producer.Flush.Frequency = time.Millisecond
	conf.Producer.Flush.Messages = 2000
	// A leader takes up to 12 s to move, a broker minutes to come back. Only the
	// library's own retries can't repeat what too few replicas had appended, so
	// it tries for 2 min before the caller does.
	conf.Producer.Retry.Max = 480
	conf.Producer.Retry.Backoff = 250 * time.Millisecond
	conf.Producer.Return.Errors = true
	conf.Producer.Return.Successes = true
	// The library's own way of TLS keeps the certificates that it began with.
	conf.Net.Proxy.Enable, conf.Net.Proxy.Dialer = true, newBootstrap(c)
	if c.sasl != nil {
		c.sasl.sarama(conf)
	}
	if err := conf.Validate(); err != nil {
		return nil, fmt.Errorf("configure the producer: %w", err)
	}
	return conf, nil
}

// soloConfig is saramaConfig for records that travel alone: no batch, and no
// limit but the protocol's, so that the broker judges how large is too large.
func (c cluster) soloConfig() (*sarama.Config, error) {
	conf, err := c.saramaConfig()
	if err != nil {
		return nil, err
	}
	conf.Producer.MaxMessageBytes = int(sarama.MaxRequestSize) - 1
	conf.Producer.Flush.Frequency = 0
	conf.Producer.Flush.Messages = 0
	conf.Producer.Flush.MaxMessages = 1
	return conf, nil
}

// noMetrics takes the producer library's metrics and keeps none: its own
// registry costs 160 KB a client and a goroutine that never ends, and nothing
// reads it. The library's switch for that is a global variable.
type noMetrics struct{}

// GetOrRegister returns a metric of the kind asked for that counts nothing.
func (noMetrics) GetOrRegister(_ string, metric any) any {
	switch metric.(type) {
	case func() metrics.Histogram:
		return metrics.NilHistogram{}
	case func() metrics.Meter:
		return metrics.NilMeter{}
	case func() metrics.Counter:
		return metrics.NilCounter{}
	}
	return metric
}

// Each has nothing to call its function for.
func (noMetrics) Each(func(string, any)) {}

// Get knows no metric.
func (noMetrics) Get(string) any { return nil }

// GetAll knows no metrics.
func (noMetrics) GetAll() map[string]map[string]any { return nil }

// Register keeps nothing.
func (noMetrics) Register(string, any) error { return nil }

// RunHealthchecks has none to run.
func (noMetrics) RunHealthchecks() {}

// Unregister has nothing to remove.
func (noMetrics) Unregister(string) {}

// UnregisterAll has nothing to remove.
func (noMetrics) UnregisterAll() {}

// repeatAfter is how long a warning of the client that was just logged is kept
// quiet: a broker that is away yields the same one many times a second.
const repeatAfter = 30 * time.Second

// WatermillLogger hands what Watermill logs to logger, its notes on the life of
// handlers as debug messages.
func WatermillLogger(logger *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(logger, map[slog.Level]slog.Level{
		slog.LevelInfo:       slog.LevelDebug,
		slog.LevelDebug:      watermill.LevelTrace,
		watermill.LevelTrace: watermill.LevelTrace - 4,
		slog.LevelWarn:       slog.LevelWarn,
		slog.LevelError:      slog.LevelWarn,
	})
}

// clientLogger hands what the reading client logs to slog. The client calls an
// error what it will try again by itself, so both its errors and its warnings
// are warnings here, each at most once in repeatAfter.
type clientLogger struct {
	logger *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time
}

func newClientLogger(logger *slog.Logger) *clientLogger {
	return &clientLogger{logger: logger, last: map[string]time.Time{}}
}

// Level is how much the client should log at all.
func (l *clientLogger) Level() kgo.LogLevel { return kgo.LogLevelInfo }

// Log passes one message on.
func (l *clientLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	log := l.logger.Debug
	if level <= kgo.LogLevelWarn {
		if log = l.logger.Warn; l.repeated(msg) {
			return
		}
	}
	attrs := make([]any, 0, len(keyvals))
	for i := 0; i+1 < len(keyvals); i += 2 {
		attrs = append(attrs, slog.Any(fmt.Sprint(keyvals[i]), keyvals[i+1]))
	}
	log(msg, attrs...)
}

func (l *clientLogger) repeated(msg string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.last[msg]) < repeatAfter {
		return true
	}
	l.last[msg] = now
	return false
}

// once logs a warning that repeats, the first time only.
func (c *consumer) once(logger *slog.Logger, msg string, err error) {
	c.mu.Lock()
	key := msg + err.Error()
	said := c.said[key]
	if len(c.said) >= 1000 {
		clear(c.said)
	}
	c.said[key] = true
	c.mu.Unlock()
	if !said {
		logger.Warn(msg, "err", err)
	}
}
