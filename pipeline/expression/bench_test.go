package expression

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/millrace/millrace/handlers"
)

const benchmarkFilter = `payload.amount >= 50 && payload.country in ["DE", "FR", "PL"] && payload.customer.tier == "gold"`

// benchmarkValue is an order of about size bytes, the fields of the filter
// before (head) or behind (tail) the list that fills it.
func benchmarkValue(size int, head bool) []byte {
	fields := `"amount":73.5,"country":"FR","customer":{"id":"c-20391","tier":"gold"}`
	var items []string
	for n := len(fields) + 40; n < size; n += 64 {
		items = append(items, fmt.Sprintf(`{"sku":"sku-%06d","quantity":%d,"price":%d.95,"gift":false}`, n, n%7, n%90))
	}
	list := `"order_id":"o-1","items":[` + strings.Join(items, ",") + `]`
	if head {
		return []byte(`{` + fields + `,` + list + `}`)
	}
	return []byte(`{` + list + `,` + fields + `}`)
}

// BenchmarkFilter reads a record and decides on it, beside expr on a decoded map.
func BenchmarkFilter(b *testing.B) {
	for _, size := range []int{300, 2048, 20480} {
		for _, head := range []bool{true, false} {
			value := benchmarkValue(size, head)
			where := map[bool]string{true: "head", false: "tail"}[head]
			b.Run(fmt.Sprintf("%dB/%s/millrace", size, where), func(b *testing.B) { benchmarkOurs(b, value) })
			b.Run(fmt.Sprintf("%dB/%s/map", size, where), func(b *testing.B) { benchmarkMap(b, value) })
		}
	}
}

func benchmarkOurs(b *testing.B, value []byte) {
	s := NewScope(Options{})
	e, findings := s.Condition(benchmarkFilter)
	if findings != nil {
		b.Fatal(findings)
	}
	in, rec := s.NewInput(), &handlers.Record{Value: value}
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if err := in.Load(rec); err != nil {
			b.Fatal(err)
		}
		if pass, err := e.Bool(in); !pass || err != nil {
			b.Fatal(pass, err)
		}
	}
}

func benchmarkMap(b *testing.B, value []byte) {
	program, err := expr.Compile(benchmarkFilter)
	if err != nil {
		b.Fatal(err)
	}
	var machine vm.VM
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		var payload map[string]any
		if err := json.Unmarshal(value, &payload); err != nil {
			b.Fatal(err)
		}
		if pass, err := machine.Run(program, map[string]any{"payload": payload}); pass != true || err != nil {
			b.Fatal(pass, err)
		}
	}
}

// BenchmarkDecode is how a value is checked, and three paths of it found.
func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{300, 2048, 20480} {
		for _, fields := range []string{"first", "last"} {
			b.Run(fmt.Sprintf("size=%d/fields=%s", size, fields), func(b *testing.B) {
				s := NewScope(Options{})
				if _, findings := s.Condition(benchmarkFilter); findings != nil {
					b.Fatal(findings)
				}
				in, rec := s.NewInput(), &handlers.Record{Value: benchmarkValue(size, fields == "first")}
				b.ReportAllocs()
				b.SetBytes(int64(len(rec.Value)))
				for b.Loop() {
					if err := in.Load(rec); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkKey renders the key of a record that is loaded.
func BenchmarkKey(b *testing.B) {
	s := NewScope(Options{})
	t, findings := s.Template("orders:${payload.order_id}:${payload.customer.id}", PlaceKey)
	if findings != nil {
		b.Fatal(findings)
	}
	in := s.NewInput()
	if err := in.Load(&handlers.Record{Value: benchmarkValue(300, false)}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.Text(in); err != nil {
			b.Fatal(err)
		}
	}
}
