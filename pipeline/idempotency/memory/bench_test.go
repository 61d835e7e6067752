package memory_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/memory"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
)

func BenchmarkClaimConfirm(b *testing.B) {
	storetest.Benchmark(b, false, func(*testing.B) idempotency.Store { return memory.New(time.Now) })
}
