//go:build real

package redis

import (
	"context"
	"strconv"
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
)

// BenchmarkClaimConfirm is on a Redis of its own that writes its append-only file.
func BenchmarkClaimConfirm(b *testing.B) {
	storetest.Benchmark(b, true, func(b *testing.B) idempotency.Store {
		server := startServer(b, "--appendonly", "yes", "--appendfsync", "everysec")
		store := open(b, server.url(""), Options{})
		before := store.serverSeconds(b)
		b.Cleanup(func() {
			b.ReportMetric((store.serverSeconds(b)-before)*1e6/float64(b.N), "server-µs/op")
		})
		return store
	})
}

// serverSeconds is how much of a processor the server has used.
func (s *Store) serverSeconds(b *testing.B) (seconds float64) {
	info, err := s.client.Do(context.WithoutCancel(b.Context()), s.client.B().Info().Section("cpu").Build()).ToString()
	if err != nil {
		b.Fatal(err)
	}
	for _, field := range []string{"used_cpu_user", "used_cpu_sys"} {
		used, err := strconv.ParseFloat(infoField(info, field), 64)
		if err != nil {
			b.Fatal(err)
		}
		seconds += used
	}
	return seconds
}
