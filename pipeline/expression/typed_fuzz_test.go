package expression

import (
	"testing"

	"pgregory.net/rapid"
)

// FuzzTyped compiles any expression against a payload of any shape: no panic, no
// end to wait for, at most one finding, which lies within the source.
func FuzzTyped(f *testing.F) {
	for _, source := range []string{
		`payload.a == "p" && payload.a == "q"`, `any(payload.items, .a > 3)`, `map(payload, {a: #})[0].b`, `let x = payload; x.a.b.c`,
		`payload.a in ["p", 1, nil]`, `not payload.a in [1]`, `reduce(payload.a, #acc + #.b, 0)`, `payload.a[0][1]["b"][-1]`,
		`timestamp - payload.a > duration("1h")`, `payload.a.b.length`, `"${payload.a}" == 1`, `payload.a matches "(("`, `payload.a ?? payload.b ?? 5`,
		`{a: payload, b: {c: payload}}.b.c.a`, `1 < payload.a < 3 < payload.b`, `toPairs(payload)[0][1].a`, `payload.a = “b” AND c IS NULL`,
	} {
		f.Add(source, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	}
	f.Fuzz(func(t *testing.T, source string, seed []byte) {
		payload := shapeOf(seed)
		s := NewScope(Options{Constants: testConstants()})
		s.Payload(payload)
		e, found := s.Condition(source)
		within(t, source, found)
		if len(found) > 1 {
			t.Fatalf("%q: %+v", source, found)
		}
		if e == nil {
			return
		}
		s.Assume(e)
		if _, again := s.Expression(source); len(again) > 1 {
			t.Fatalf("%q: %+v", source, again)
		}
		r := s.Result(FormatJSON)
		r.Payload(TransformObject(map[string]Type{"a": e.Type().AsJSON()}))
		_, found = r.Expression(source)
		within(t, source, found)
	})
}

// shapeOf is a type that bytes choose.
func shapeOf(seed []byte) Type {
	return rapid.Custom(func(t *rapid.T) shape { return drawShape(t, 3) }).Example(int(sumOf(seed))).Type
}

func sumOf(seed []byte) uint16 {
	var n uint16
	for _, b := range seed {
		n = n*31 + uint16(b)
	}
	return n
}
