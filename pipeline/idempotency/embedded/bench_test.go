package embedded

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// BenchmarkClaimConfirm is what an effect costs the store: new keys are claimed
// and confirmed, on a disk that syncs, by so many callers at once.
func BenchmarkClaimConfirm(b *testing.B) {
	for _, durable := range []bool{false, true} {
		for _, size := range []int{1, 64, 1024} {
			for _, callers := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("durable=%t/batch=%d/callers=%d", durable, size, callers), func(b *testing.B) {
					claimConfirm(b, durable, size, callers)
				})
			}
		}
	}
}

func claimConfirm(b *testing.B, durable bool, size, callers int) {
	store, err := Open(b.TempDir(), Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	run := idempotency.NewRun()
	var mu sync.Mutex
	left := b.N
	take := func() bool {
		mu.Lock()
		defer mu.Unlock()
		left--
		return left >= 0
	}
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	var lanes sync.WaitGroup
	for range callers {
		lanes.Go(func() {
			claims := make([]idempotency.Claim, size)
			for take() {
				for i := range claims {
					claims[i] = aClaim(run, durable)
				}
				if _, err := store.Claim(b.Context(), claims); err != nil {
					b.Error(err)
				}
				if _, err := store.Confirm(b.Context(), claims); err != nil {
					b.Error(err)
				}
			}
		})
	}
	lanes.Wait()
	b.ReportMetric(float64(b.N)*float64(size)/time.Since(start).Seconds(), "pairs/s")
}
