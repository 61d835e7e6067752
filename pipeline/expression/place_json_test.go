package expression

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
)

// TestBodiesHoldWhatIsPutIn: whatever a record puts into JSON is there as it was,
// and nothing else.
func TestBodiesHoldWhatIsPutIn(t *testing.T) {
	s := NewScope(Options{})
	body, found := s.Template(`{"a": "-${payload.a}-", "${payload.a}": ${payload.b}, "k": ["${key}", ${payload.a + "!"}], "j": ${toJSON(payload.b)}}`, PlaceBody)
	if found != nil {
		t.Fatal(found)
	}
	in := s.NewInput()
	rapid.Check(t, func(t *rapid.T) {
		// Names of the body's own would repeat a key.
		a := "x" + rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`", "total": 0, "x": "`, `\`, "\x00\u2028", `{"a":[1]}`})).Draw(t, "a")
		key := rapid.String().Draw(t, "key")
		b := any(rapid.OneOf(rapid.Map(rapid.Int64Range(-1<<50, 1<<50), func(n int64) any { return float64(n) }),
			rapid.Map(rapid.String(), func(s string) any { return []any{s, map[string]any{s: s}} }), rapid.Map(rapid.String(), func(s string) any { return s })).Draw(t, "b"))
		value, err := json.Marshal(map[string]any{"a": a, "b": b})
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Load(&handlers.Record{Key: []byte(key), Value: value}); err != nil {
			t.Fatal(err)
		}
		text, err := body.Text(in)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want := map[string]any{"a": "-" + a + "-", a: b, "k": []any{key, a + "!"}, "j": b}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %s", text, diff)
		}
	})
}

func TestFormOfBodies(t *testing.T) {
	for source, want := range map[string]Place{
		`{"a": ${payload.a}}`: PlaceJSON, `[${payload.a}, "${payload.b}"]`: PlaceJSON, `"${payload.a}"`: PlaceJSON, `${toJSON(payload)}`: PlaceJSON,
		" {\n}\n": PlaceJSON, `{${payload.a}: 1}`: PlaceJSON, `{"a": "\"${payload.a}"}`: PlaceJSON, `{"a": ${env.PORT}}`: PlaceJSON, `5`: PlaceJSON,
		`${payload.a}`: PlaceText, `${payload}`: PlaceText, `a ${payload.a}`: PlaceText, `[${topic}] ${payload.a}`: PlaceText, `1${payload.a}`: PlaceText,
		`${payload.a} ${payload.b}`: PlaceText, `${toJSON(payload.a)}${toJSON(payload.b)}`: PlaceText, `"\${payload.a}"`: PlaceText, `"${payload.a}`: PlaceText,
	} {
		s := NewScope(Options{Constants: testConstants()})
		if body, found := s.Template(source, PlaceBody); body == nil || body.place != want || found != nil {
			t.Errorf("%s: %+v %v", source, body, found)
		}
	}
	for source, want := range map[string]finding{
		`{"a": ${payload.a},}`:             {at: `}`},
		`{"a": ${payload.a} ${payload.b}}`: {at: `payload.b`},
		`{"a": "${payload.a}}`:             {at: `}`},
		`{{"a": ${payload.a}}}`:            {at: `{`},
		`[${payload.a} ${payload.b}]`:      {at: `payload.b`},
	} {
		_, found := NewScope(Options{}).Template(source, PlaceBody)
		typed, errs := NewScope(Options{}).Template(source, PlaceJSON)
		if len(found) != 1 || !found[0].Warning || found[0].Code != CodeNotJSON || source[found[0].Offset:found[0].End] != want.at {
			t.Errorf("%s: %+v", source, found)
		}
		if typed != nil || len(errs) != 1 || errs[0].Warning || errs[0].Offset != found[0].Offset {
			t.Errorf("%s as JSON: %+v", source, errs)
		}
	}
	for source, want := range map[string]string{
		`{"a": "${env.LINES}", "b": ${env.LEVEL}, "c": ${int(env.LEVEL)}, "d": ${toJSON(env.LINES)}}`: `{"a": "abc\n", "b": "5", "c": 5, "d": "abc\n"}`,
	} {
		body, found := NewScope(Options{Constants: testConstants()}).Template(source, PlaceBody)
		if found != nil {
			t.Fatal(found)
		}
		if text, constant := body.Constant(); text != want || !constant {
			t.Errorf("%s: %s", source, text)
		}
	}
}
