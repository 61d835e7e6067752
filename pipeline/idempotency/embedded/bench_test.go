package embedded

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
)

// BenchmarkClaimConfirm is on a disk that syncs.
func BenchmarkClaimConfirm(b *testing.B) {
	for _, durable := range []bool{false, true} {
		b.Run(fmt.Sprintf("durable=%t", durable), func(b *testing.B) {
			storetest.Benchmark(b, durable, func(b *testing.B) idempotency.Store {
				store, err := Open(b.TempDir(), Options{Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { store.Close() })
				return store
			})
		})
	}
}
