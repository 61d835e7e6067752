package decide

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
)

// BenchmarkDecide is what a record costs before anything happens: it is checked, three
// paths of it are read, and with a key that is rendered and the content digested. The
// fields come first in the value, or behind the list that fills it.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []int{300, 2048, 20480} {
		for _, fields := range []string{"first", "last"} {
			rec := &handlers.Record{Topic: "orders", Key: []byte("c-20391"), Value: benchmarkValue(size, fields == "first")}
			for _, keyed := range []bool{false, true} {
				b.Run(fmt.Sprintf("size=%d/fields=%s/key=%t", size, fields, keyed), func(b *testing.B) {
					d := NewDecider(benchmarkPlan(b, keyed), []handlers.Sink{plain{}})
					b.ReportAllocs()
					b.SetBytes(int64(len(rec.Value)))
					for b.Loop() {
						if dec := d.Decide(rec); len(dec.Writes) != 1 || dec.Err != nil {
							b.Fatal(dec)
						}
					}
				})
			}
		}
	}
}

func benchmarkPlan(b *testing.B, keyed bool) *plan.Pipeline {
	b.Helper()
	scope := expression.NewScope(expression.Options{})
	filter, findings := scope.Condition(
		`payload.amount >= 50 && payload.country in ["DE", "FR", "PL"] && payload.customer.tier == "gold"`)
	if len(findings) > 0 {
		b.Fatal(findings)
	}
	p := &plan.Pipeline{Name: "p", Scope: scope, Result: scope, Filter: filter, OnError: plan.ActionDeadLetter,
		Routes: []plan.Route{{Sinks: []plan.Sink{{Name: "s", Kind: "plain"}}}}}
	p.Source.MaxRecordBytes = 16 << 20
	if keyed {
		key, findings := scope.Template("order:${payload.order_id}", expression.PlaceKey)
		if len(findings) > 0 {
			b.Fatal(findings)
		}
		p.Idempotency = &plan.Idempotency{Key: key}
	}
	return p
}

// benchmarkValue is an order of about size bytes.
func benchmarkValue(size int, first bool) []byte {
	fields := `"order_id":"o-4711","amount":73.5,"country":"FR","customer":{"id":"c-20391","tier":"gold"}`
	var items []string
	for n := len(fields) + 16; n < size; n += 64 {
		items = append(items, fmt.Sprintf(`{"sku":"sku-%06d","quantity":%d,"price":%d.95,"gift":false}`, n, n%7, n%90))
	}
	list := `"items":[` + strings.Join(items, ",") + `]`
	if first {
		return []byte(`{` + fields + `,` + list + `}`)
	}
	return []byte(`{` + list + `,` + fields + `}`)
}

// plain is a sink that asks for the record as it is.
type plain struct{}

func (plain) Render(v handlers.View) (any, error)          { return v.Record(), nil }
func (plain) Write(context.Context, []handlers.Call) error { return nil }
func (plain) Close(context.Context) error                  { return nil }
