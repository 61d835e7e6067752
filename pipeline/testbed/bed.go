//go:build unix

package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// Bed holds one cluster and one server that the tests of a package share. Each
// is started when a test first asks for it. The zero value is ready; a package
// holds one for its TestMain:
//
//	var bed testbed.Bed
//
//	func TestMain(m *testing.M) { os.Exit(bed.Run(m)) }
//
// Tests that share must keep to topics, groups and keys of their own, and must
// not stop what they share. The methods may be called from several goroutines.
type Bed struct {
	// KafkaOptions and RedisOptions are those of what is shared.
	KafkaOptions kafkacluster.Options
	RedisOptions redisserver.Options

	kafka shared[*kafkacluster.Cluster]
	redis shared[*redisserver.Server]
}

// shared starts something once, and keeps the failure too: the tests after the
// first need not wait for it again.
type shared[T any] struct {
	mu    sync.Mutex
	tried bool
	value T
	err   error
}

func (s *shared[T]) get(start func() (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tried {
		s.tried = true
		s.value, s.err = start()
	}
	return s.value, s.err
}

// Run runs a package's tests, ends what was started for them, and returns the
// code to exit with.
func (b *Bed) Run(m interface{ Run() int }) int {
	code := m.Run()
	if err := b.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Kafka returns the shared cluster, started if it is not, and fails the test
// where that can't be done. A test that fails logs the ends of its logs.
func (b *Bed) Kafka(tb testing.TB) *kafkacluster.Cluster {
	tb.Helper()
	k, err := b.kafka.get(func() (*kafkacluster.Cluster, error) {
		// It outlives the test that asked first.
		return kafkacluster.Start(context.WithoutCancel(tb.Context()), b.KafkaOptions)
	})
	if err != nil {
		tb.Fatal(err)
	}
	k.Explain(tb)
	return k
}

// Redis returns the shared server, started if it is not, and fails the test
// where that can't be done. A test that fails logs the end of its log.
func (b *Bed) Redis(tb testing.TB) *redisserver.Server {
	tb.Helper()
	r, err := b.redis.get(func() (*redisserver.Server, error) {
		return redisserver.Start(context.WithoutCancel(tb.Context()), b.RedisOptions)
	})
	if err != nil {
		tb.Fatal(err)
	}
	r.Explain(tb)
	return r
}

// Close ends what was started. [Bed.Run] does it.
func (b *Bed) Close() error {
	b.kafka.mu.Lock()
	defer b.kafka.mu.Unlock()
	b.redis.mu.Lock()
	defer b.redis.mu.Unlock()
	var errs []error
	if b.kafka.value != nil {
		errs = append(errs, b.kafka.value.Close())
	}
	if b.redis.value != nil {
		errs = append(errs, b.redis.value.Close())
	}
	return errors.Join(errs...)
}
