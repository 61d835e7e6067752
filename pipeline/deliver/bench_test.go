package deliver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/memory"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// BenchmarkDeliver is what deliver itself costs: lane batches of new keys, to a
// sink that takes one call at a time and to one that takes a whole batch. The
// figure is per record.
func BenchmarkDeliver(b *testing.B) {
	for name, limit := range map[string]int{"one call at a time": 1, "whole batches": maxRun} {
		b.Run(name, func(b *testing.B) {
			sink := &quiet{limit: limit}
			planned := keyedOnValue(b)
			planned.Routes[0].Sinks = []plan.Sink{{Name: "s", Kind: "quiet", Retry: plan.Retry{Attempts: 5, Initial: time.Second, Max: time.Minute}}}
			d := New(b.Context(), planned, Deps{
				Sinks: []handlers.Sink{sink}, Store: memory.New(time.Now), Run: idempotency.NewRun(), Producer: &letterbox{}, Observer: events.Observers{},
				Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Stop: func(err error) { b.Error(err) },
			})
			defer d.Close()
			const size = 256
			records := make([]*handlers.Record, size)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += size {
				for i := range records {
					key := fmt.Sprint(n + i)
					records[i] = &handlers.Record{Topic: "in", Offset: int64(n + i), Key: []byte(key), Value: []byte(key)}
				}
				batch := kafka.NewBatch("in", 0, [16]byte{1}, 0, records, func(int) {})
				if err := d.Handle(kafka.NewMessage(b.Context(), batch)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// quiet is a sink that takes everything and keeps nothing.
type quiet struct{ limit int }

func (q *quiet) Render(v handlers.View) (any, error)          { return v.Record(), nil }
func (q *quiet) MaxBatch() int                                { return q.limit }
func (q *quiet) Write(context.Context, []handlers.Call) error { return nil }
func (q *quiet) Close(context.Context) error                  { return nil }
