package expression

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/handlers"
)

// FuzzExpression compiles and runs anything: no panic, findings within the
// source, and JSON that is JSON.
func FuzzExpression(f *testing.F) {
	for _, source := range []string{
		`payload.total > 100 && payload.country in ["DE", "FR"]`, `any(payload.items, .n > 1 and # != nil)`, `env.X ?? "d"`,
		`payload.a ?? 18446744073709551615`, `sortBy(payload.items, .n, "desc")[0:1] | map(#.n ** 2)`, `let x = payload; x["a"][-1]`,
		`reduce(1..9, #acc + #index, 0) / 0`, `timestamp.In(timezone("Europe/Berlin")).Format("15")`, `if payload.a { 1 } else { "é" }`,
		`"ü" == '\u{1F600}' ? payload?.a : b'x'`, `1 < payload.n < 3`, `{a: [payload, {}], "b": -payload.n}`, `a = “b”`, `${x}`, `#`, `$env`,
		`toJSON(payload) matches "^.{1,5}$"`, `source.headers["h"] not in {a: 1}`, "payload.a\xff", `groupBy(payload.items, string(.n))`,
	} {
		f.Add(source, []byte(`{"a":[1,"x"],"n":2,"total":5e2,"items":[{"n":1.50},{"n":2}]}`))
	}
	f.Add(`payload`, []byte("{\"\\ud800\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, source string, value []byte) {
		s := NewScope(Options{Constants: testConstants()})
		e, found := s.Expression(source)
		within(t, source, found)
		if e == nil {
			return
		}
		in := s.NewInput()
		// A value that cannot be read is one of the cases.
		_ = in.Load(&handlers.Record{Topic: "t", Value: value, Headers: []handlers.Header{{Key: "h", Value: value}}})
		_, _ = e.Bool(in)
		_, _ = e.Bytes(in)
		out, err := e.AppendJSON(nil, in)
		if err == nil && !json.Valid(out) {
			t.Fatalf("%q makes %q", source, out)
		}
		if canonical, err := e.AppendCanonical(nil, in); err == nil && (!json.Valid(canonical) || !utf8.Valid(canonical)) {
			t.Fatalf("%q makes %q", source, canonical)
		}
	})
}

// FuzzTemplate compiles and renders anything in every place.
func FuzzTemplate(f *testing.F) {
	for _, source := range []string{
		`notification:invoices:${payload.order_id}`, `$${x} ${payload.a ?? "}"} $`, `http://h/${payload.a}?q=${payload.n}#${key}`,
		`${HOME}/${PORT:-8080}`, `${`, `${}`, `${{a: 1}.a}`, "${`}`}", `${/* } */ 1}`, `logs_${payload.a}`, `ü${paylod}`,
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		for _, place := range []Place{PlaceText, PlaceURL, PlaceTopic, PlaceHeader, PlaceName, PlaceQuery, PlaceKey} {
			s := NewScope(Options{Constants: testConstants()})
			tmpl, found := s.Template(source, place)
			within(t, source, found)
			if tmpl == nil {
				continue
			}
			in := s.NewInput()
			if err := in.Load(orderRecord(`{"a":"x/y","n":1.50,"order_id":"o-1"}`)); err != nil {
				t.Fatal(err)
			}
			out, err := tmpl.Text(in)
			if err == nil && place == PlaceTopic && !legalTopic([]byte(out)) {
				t.Fatalf("%q makes the topic %q", source, out)
			}
		}
		_, _, found := Static(source, testConstants())
		within(t, source, found)
	})
}

func within(t *testing.T, source string, found []Finding) {
	t.Helper()
	for _, f := range found {
		if f.Offset < 0 || f.End < f.Offset || f.End > len(source) || f.Code == "" || f.Message == "" {
			t.Fatalf("%q: %+v", source, f)
		}
	}
}
