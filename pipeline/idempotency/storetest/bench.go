package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// Benchmark measures what an effect costs a store: new keys are claimed and
// confirmed, one at a time and 256 in a batch, with 24 batches in flight. One
// operation is one key. The function opens an empty store that it closes itself.
func Benchmark(b *testing.B, durable bool, open func(b *testing.B) idempotency.Store) {
	for _, size := range []int{1, 256} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			store := open(b)
			run := idempotency.NewRun()
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var lanes sync.WaitGroup
			for range 24 {
				lanes.Go(func() {
					claims := make([]idempotency.Claim, size)
					for left.Add(int64(-size)) > int64(-size) {
						for i := range claims {
							claims[i] = newEffect(run, durable)
						}
						if err := once(b, store, claims); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			lanes.Wait()
		})
	}
}

// once claims and confirms a batch.
func once(b *testing.B, store idempotency.Store, claims []idempotency.Claim) error {
	verdicts, err := store.Claim(b.Context(), claims)
	if err != nil {
		return err
	}
	states, err := store.Confirm(b.Context(), claims)
	if err != nil {
		return err
	}
	for i := range claims {
		if verdicts[i].Answer != idempotency.Go || states[i] != idempotency.Held {
			return fmt.Errorf("a new key is answered %v, %v", verdicts[i].Answer, states[i])
		}
	}
	return nil
}

// newEffect claims a key that nobody else asks for, with what a record usually
// brings along.
func newEffect(run *idempotency.Run, durable bool) idempotency.Claim {
	token := run.Next()
	return idempotency.Claim{
		ID:      idempotency.Coordinates("invoice-notifications", "http", 1, token.Run, 3, int64(token.Seq)),
		Token:   token,
		Digest:  idempotency.Digest{byte(token.Seq), byte(token.Seq >> 8), byte(token.Seq >> 16)},
		Holder:  idempotency.Holder{Host: "worker-1.shop.internal", PID: 4711, Run: run.ID()},
		Origin:  idempotency.Origin{Topic: "order_invoices", Partition: 3, Offset: int64(token.Seq)},
		TTL:     8 * 24 * time.Hour,
		Lease:   30 * time.Second,
		Durable: durable,
	}
}
