//go:build unix

package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// NeedKafka starts a cluster that ends with the test, and fails the test where
// that can't be done. A test that fails logs the ends of the nodes' logs.
func NeedKafka(tb testing.TB, options KafkaOptions) *Kafka {
	tb.Helper()
	k, err := StartKafka(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := k.Close(); err != nil {
			tb.Error(err)
		}
	})
	k.explain(tb)
	return k
}

// NeedRedis starts a server that ends with the test, and fails the test where
// that can't be done. A test that fails logs the end of the server's log.
func NeedRedis(tb testing.TB, options RedisOptions) *Redis {
	tb.Helper()
	r, err := StartRedis(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	r.explain(tb)
	return r
}

func (k *Kafka) explain(tb testing.TB) {
	tb.Cleanup(func() {
		if tb.Failed() {
			for _, node := range k.nodes {
				tb.Logf("Kafka's node %d:\n%s", node.id, node.Log(20))
			}
		}
	})
}

func (r *Redis) explain(tb testing.TB) {
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("Redis:\n%s", r.Log(20))
		}
	})
}

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
	KafkaOptions KafkaOptions
	RedisOptions RedisOptions

	kafka shared[*Kafka]
	redis shared[*Redis]
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
func (b *Bed) Kafka(tb testing.TB) *Kafka {
	tb.Helper()
	k, err := b.kafka.get(func() (*Kafka, error) {
		// It outlives the test that asked first.
		return StartKafka(context.WithoutCancel(tb.Context()), b.KafkaOptions)
	})
	if err != nil {
		tb.Fatal(err)
	}
	k.explain(tb)
	return k
}

// Redis returns the shared server, started if it is not, and fails the test
// where that can't be done. A test that fails logs the end of its log.
func (b *Bed) Redis(tb testing.TB) *Redis {
	tb.Helper()
	r, err := b.redis.get(func() (*Redis, error) {
		return StartRedis(context.WithoutCancel(tb.Context()), b.RedisOptions)
	})
	if err != nil {
		tb.Fatal(err)
	}
	r.explain(tb)
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
