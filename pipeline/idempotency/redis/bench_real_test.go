//go:build real

package redis

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// Keys claimed and confirmed, in batches as lanes make them, from 48 lanes.
func BenchmarkRealPairs(b *testing.B) {
	for name, size := range map[string]int{"batch=1": 1, "batch=100": 100, "batch=1000": 1000} {
		b.Run(name, func(b *testing.B) {
			server := startServer(b)
			store := open(b, server.url(""), Options{})
			run := idempotency.NewRun()
			var left atomic.Int64
			left.Store(int64(b.N))
			var lanes sync.WaitGroup
			b.ResetTimer()
			for range 48 {
				lanes.Go(func() {
					for left.Add(int64(-size)) > int64(-size) {
						claims := make([]idempotency.Claim, size)
						for i := range claims {
							token := run.Next()
							claims[i] = idempotency.Claim{
								ID: idempotency.Identity("p", "s", 1, token.String()), Token: token, TTL: 8 * 24 * time.Hour, Lease: time.Minute,
								Origin: idempotency.Origin{Topic: "orders", Offset: int64(i)}, Holder: idempotency.Holder{Host: "host", PID: 1, Run: run.ID()},
							}
						}
						if _, err := store.Claim(b.Context(), claims); err != nil {
							b.Error(err)
							return
						}
						if _, err := store.Confirm(b.Context(), claims); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			lanes.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
			b.ReportMetric(store.serverMicros(b)/float64(b.N), "server-µs/pair")
		})
	}
}

// serverMicros is how long the server has run scripts.
func (s *Store) serverMicros(b *testing.B) (micros float64) {
	info, err := s.client.Do(b.Context(), s.client.B().Info().Section("commandstats").Build()).ToString()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Sscanf(strings.ReplaceAll(infoField(info, "cmdstat_evalsha"), ",", " "), "calls=%d usec=%f", new(int), &micros); err != nil {
		b.Fatal(err)
	}
	return micros
}
