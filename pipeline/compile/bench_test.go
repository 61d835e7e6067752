package compile_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
)

// BenchmarkLoad is a file of 1,000 pipelines, each typed against a schema with
// references, a filter, a key, a transform and two routes.
func BenchmarkLoad(b *testing.B) {
	b.Chdir(b.TempDir())
	var text strings.Builder
	text.WriteString("topics:\n  orders: {schema: order.json}\npipelines:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, `  p%d:
    source: {topic: orders}
    filter: payload.status == "purchased" && any(payload.items, .price > %d)
    idempotency: {key: "orders:${payload.order_id}", ttl: 8d}
    transform:
      payload: {order: payload.order_id, cents: int(round(payload.total * 100)), rows: "map(payload.items, ({sku: .sku, n: .quantity}))"}
    routes:
      - when: payload.cents > 100 && any(payload.rows, .n > 1)
        sinks: [{kafka: {topic: "large_${source.payload.status}"}, name: large}]
      - sinks: [{kafka: {topic: "small_${source.payload.status}"}, name: small}]
`, i, i)
	}
	for name, data := range map[string]string{"pipelines.yaml": text.String(), "order.json": benchmarkSchema} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	registry := builtin.Registry()
	for b.Loop() {
		if _, problems := compile.Load([]string{"pipelines.yaml"}, config.Options{}, registry); problems.HasErrors() {
			b.Fatal(problems[0])
		}
	}
}

const benchmarkSchema = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["order_id", "status", "total"],
  "properties": {
    "order_id": {"type": "string"},
    "status": {"enum": ["created", "purchased", "cancelled"]},
    "total": {"type": "number"},
    "items": {"type": "array", "items": {"$ref": "#/$defs/item"}}
  },
  "$defs": {"item": {"type": "object", "additionalProperties": false, "properties": {
    "sku": {"type": "string"}, "price": {"type": "number"}, "quantity": {"type": "integer"}}}}
}`
