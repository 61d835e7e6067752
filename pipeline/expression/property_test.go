package expression

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
)

// jsonText draws JSON as it comes in the wild: white space, escapes, repeated
// keys, every notation of numbers, halves of surrogate pairs.
func jsonText(depth int) *rapid.Generator[string] {
	space := rapid.SampledFrom([]string{"", "", "", " ", "\n\t"})
	scalar := rapid.OneOf(
		rapid.SampledFrom([]string{
			"null", "true", "false", "0", "-0", "1", "5", "-7", "1.0", "1.50", "1e2", "1E+2", "0.1", "-0.0", "1e400", "1e-400",
			"9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551616",
			`""`, `"a"`, `"b"`, `"5"`, `"\u0061"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\n\/\\\""`, `"ä"`,
		}),
		rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) }),
		rapid.Map(rapid.Float64(), func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }),
	)
	if depth == 0 {
		return scalar
	}
	inner := jsonText(depth - 1)
	key := rapid.SampledFrom([]string{`"a"`, `"b"`, `"c"`, `"\u0061"`, `"a.b"`, `""`, `"\ufffd"`, `"\ud800"`})
	list := rapid.Custom(func(t *rapid.T) string {
		var parts []string
		for _, v := range rapid.SliceOfN(inner, 0, 3).Draw(t, "items") {
			parts = append(parts, space.Draw(t, "s")+v+space.Draw(t, "s"))
		}
		return "[" + strings.Join(parts, ",") + space.Draw(t, "s") + "]"
	})
	object := rapid.Custom(func(t *rapid.T) string {
		var parts []string
		for range rapid.IntRange(0, 5).Draw(t, "fields") {
			parts = append(parts, space.Draw(t, "s")+key.Draw(t, "key")+space.Draw(t, "s")+":"+space.Draw(t, "s")+inner.Draw(t, "value"))
		}
		return "{" + strings.Join(parts, ",") + space.Draw(t, "s") + "}"
	})
	return rapid.OneOf(scalar, list, object, object, object)
}

// steps draws a path as expr writes it.
func drawPath(t *rapid.T, most int) string {
	path := ""
	for range rapid.IntRange(0, most).Draw(t, "steps") {
		path += rapid.SampledFrom([]string{".a", ".b", ".c", "[0]", "[1]", `["a.b"]`, `[""]`, `["\uFFFD"]`}).Draw(t, "step")
	}
	return path
}

// oracle reads JSON with encoding/json and brings its numbers to our types.
func oracle(t *rapid.T, text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return oracleNumbers(v)
}

func oracleNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(string(v), ".eE") {
			return f
		}
		return v
	case []any:
		for i := range v {
			v[i] = oracleNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = oracleNumbers(v[k])
		}
	}
	return v
}

func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := jsonText(4).Draw(t, "json")
		if err := checkJSON([]byte(text)); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		// encoding/json has a stand-in for halves of pairs, we have none.
		text = strings.NewReplacer(`"\ud83d"`, `"half"`, `"\ud800"`, `"another"`).Replace(text)
		if diff := cmp.Diff(oracle(t, text), aside().decode([]byte(text))); diff != "" {
			t.Fatalf("%q: -want +got\n%s", text, diff)
		}
	})
}

func TestCanonicalKeepsTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := jsonText(3).Draw(t, "json")
		canonical := aside().appendCanonical(nil, []byte(text))
		if diff := cmp.Diff(aside().decode([]byte(text)), aside().decode(canonical)); diff != "" {
			t.Fatalf("%q became %q: %s", text, canonical, diff)
		}
		if again := aside().appendCanonical(nil, canonical); !bytes.Equal(again, canonical) || !json.Valid(canonical) {
			t.Fatalf("%q became %q", canonical, again)
		}
	})
}

func TestValidityAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(jsonText(3).Draw(t, "json"))
		if len(text) > 0 {
			text[rapid.IntRange(0, len(text)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		text = text[:rapid.IntRange(0, len(text)).Draw(t, "end")]
		if got, want := checkJSON(text) == nil, json.Valid(text) && utf8.Valid(text); got != want {
			t.Fatalf("%q: %v, encoding/json says %v", text, got, want)
		}
	})
}

// TestExtractionAgreesWithDecoding evaluates paths in one pass over the text,
// several in one scope, and on the decoded value.
func TestExtractionAgreesWithDecoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewScope(Options{})
		type pair struct {
			path               string
			extracted, decoded *Expression
		}
		var pairs []pair
		whole := NewScope(Options{})
		for range rapid.IntRange(1, 5).Draw(t, "paths") {
			path := drawPath(t, 4)
			e, found := s.Expression("payload" + path)
			d, more := whole.Expression("[payload][0]" + path)
			if found != nil || more != nil {
				t.Fatal(path, found, more)
			}
			pairs = append(pairs, pair{path, e, d})
		}
		in, other := s.NewInput(), whole.NewInput()
		for range 3 {
			rec := &handlers.Record{Value: []byte(jsonText(4).Draw(t, "json"))}
			if in.Load(rec) != nil || other.Load(rec) != nil {
				t.Fatalf("%q cannot be loaded", rec.Value)
			}
			for _, p := range pairs {
				got, err := p.extracted.Value(in)
				want, wantErr := p.decoded.Value(other)
				if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (wantErr == nil) {
					t.Fatalf("payload%s of %q: %v, want %v\n%s", p.path, rec.Value, err, wantErr, diff)
				}
				raw, copyErr := p.extracted.AppendJSON(nil, in)
				if err == nil && (copyErr != nil || !cmp.Equal(aside().decode(raw), got)) {
					t.Fatalf("payload%s of %q: copied %q", p.path, rec.Value, raw)
				}
			}
		}
	})
}

// TestFusedOperatorsAgree compares the operators that read the record's text with
// those that take values.
func TestFusedOperatorsAgree(t *testing.T) {
	constants := []string{
		"nil", "true", "false", "0", "5", "-7", "1.0", "1.5", "100", "9007199254740993", "9007199254740992.0", "9223372036854775807",
		"18446744073709551616", `""`, `"a"`, `"5"`, `[1, "a", nil]`, `[]`, `{a: 1}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		path := "payload" + drawPath(t, 2)
		op := rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">=", "in", "not in"}).Draw(t, "op")
		constant := rapid.SampledFrom(constants).Draw(t, "constant")
		fused, slow := fmt.Sprintf("%s %s %s", path, op, constant), fmt.Sprintf("[%s][0] %s [%s][len(payload) - len(payload)]", path, op, constant)
		if rapid.Bool().Draw(t, "swap") && !strings.Contains(op, "in") {
			fused, slow = fmt.Sprintf("%s %s %s", constant, op, path), fmt.Sprintf("[%s][len(payload) - len(payload)] %s [%s][0]", constant, op, path)
		}
		s := NewScope(Options{})
		f, found := s.Condition(fused)
		g, _ := s.Condition(slow)
		if found != nil || g == nil {
			return
		}
		in := s.NewInput()
		rec := &handlers.Record{Value: []byte("{" + `"a":` + jsonText(2).Draw(t, "a") + `,"b":` + jsonText(1).Draw(t, "b") + "}")}
		if err := in.Load(rec); err != nil {
			t.Fatal(err)
		}
		got, err := f.Bool(in)
		want, wantErr := g.Bool(in)
		if got != want || (err == nil) != (wantErr == nil) {
			t.Fatalf("%s on %s: %v %v, want %v %v", fused, rec.Value, got, err, want, wantErr)
		}
	})
}
