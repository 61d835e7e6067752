package expression

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
)

func TestValueIsCheckedWhole(t *testing.T) {
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	for _, row := range []struct{ value, err string }{
		{`{"a":1}`, ""},
		{` [1, 2] `, ""},
		{`"x"`, ""},
		{deep, ""},
		{`"` + strings.Repeat("[", 5000) + `\""`, ""},
		{``, "the value is empty: that is not valid JSON"},
		{` `, "the value is not valid JSON: it goes wrong at byte 1"},
		{`{"a":1`, "the value is not valid JSON: it goes wrong at byte 6"},
		{`{"a":1}x`, "the value is not valid JSON: it goes wrong at byte 8"},
		{`{"a":01}`, "the value is not valid JSON: it goes wrong at byte 7"},
		{"{\"a\":\"M\xfcller\"}", "the value is not valid JSON: it is not UTF-8 at byte 8"},
		{"{\"a\":\"ü\xed\xa0\x80\"}", "the value is not valid JSON: it is not UTF-8 at byte 9"},
		{`{"z":tru}`, "the value is not valid JSON: it goes wrong at byte 9"},
		{`[` + deep + `]`, "the value is JSON nested deeper than 1000"},
		{strings.Repeat("[", 6_000_000), "the value is JSON nested deeper than 1000"},
	} {
		s := NewScope(Options{})
		e, _ := s.Condition(`payload.a == 1`)
		k, _ := s.Expression(`key`)
		in := s.NewInput()
		err := in.Load(&handlers.Record{Key: []byte("k"), Value: []byte(row.value)})
		if text(err) != row.err {
			t.Fatalf("%.20s: error %q, want %q", row.value, text(err), row.err)
		}
		if row.err == "" {
			continue
		}
		if _, err := e.Bool(in); text(err) != row.err {
			t.Errorf("%.20s: the payload of a broken value: %v", row.value, err)
		}
		if v, err := k.Value(in); v != "k" || err != nil {
			t.Errorf("%.20s: the key of a broken value: %v %v", row.value, v, err)
		}
	}
}

func TestPathsOfPayload(t *testing.T) {
	s := NewScope(Options{})
	for _, source := range []string{
		`payload.a.b == 1`, `payload["a"].b + payload.c[0].d`, `payload?.e?.f`, `len(payload.g) > 0`, `payload.h[payload.i].j`,
		`source.payload.k`, `any(payload.l, .m)`, `payload["x.y"]`, `headers.z`, `let q = payload.n; q.o`,
	} {
		if _, found := s.Expression(source); found != nil {
			t.Fatal(found)
		}
	}
	want := []string{
		"payload.a.b", "payload.c[0].d", "payload.e.f", "payload.g", "payload.h", "payload.i", "payload.k", "payload.l", "payload.n", `payload["x.y"]`,
	}
	if diff := cmp.Diff(want, s.PayloadPaths()); diff != "" {
		t.Fatal(diff)
	}
	if _, found := s.Expression(`payload[key]`); found != nil {
		t.Fatal(found)
	}
	if got := s.PayloadPaths()[0]; got != "payload" {
		t.Fatalf("%q, want the whole payload", got)
	}
}

func TestLastOfRepeatedKeysCounts(t *testing.T) {
	checkValues(t, []one{
		{source: `payload.a`, value: `{"a":1,"a":2}`, want: int64(2)},
		{source: `payload.a.b`, value: `{"a":{"b":1},"a":{"c":2}}`, want: nil},
		{source: `payload.a.b`, value: `{"a":{"b":1},"a":null}`, want: nil},
		{source: `payload.a.b`, value: `{"a":{"b":1},"a":"x"}`, err: "payload.a is text: it has no field b"},
		{source: `payload.a.b`, value: `{"a":"x","a":{"b":1}}`, want: int64(1)},
		{source: `payload.a[1]`, value: `{"a":[1,2],"a":[3]}`, want: nil},
		{source: `[payload.a, payload.a.b]`, value: `{"a":{"b":1,"b":2},"\u0061":{"b":3,"b":4}}`, want: []any{map[string]any{"b": int64(4)}, int64(4)}},
		{source: `[payload][0].a`, value: `{"a":1,"a":2}`, want: int64(2)},
	})
}

func TestKeysThatLookLikePaths(t *testing.T) {
	const value = `{"a.b":1,"a*":2,"#":3,"@this":4,"":5,"a\"b":6,"ä":7,"\ud800":8,"a":{"b":9}}`
	checkValues(t, []one{
		{source: `payload["a.b"]`, value: value, want: int64(1)},
		{source: `payload["a*"]`, value: value, want: int64(2)},
		{source: `payload["#"]`, value: value, want: int64(3)},
		{source: `payload["@this"]`, value: value, want: int64(4)},
		{source: `payload[""]`, value: value, want: int64(5)},
		{source: `payload['a"b']`, value: value, want: int64(6)},
		{source: `payload.ä`, value: value, want: int64(7)},
		{source: `payload["\uFFFD"]`, value: value},
		{source: `payload["\uFFFD"]`, value: `{"\ufffd":1,"\ud800":2}`, want: int64(1)},
		{source: `payload.a.b`, value: value, want: int64(9)},
	})
}

func TestFormats(t *testing.T) {
	s := NewScope(Options{Format: FormatText})
	e, found := s.Condition(`payload contains "x" && value == payload`)
	if found != nil {
		t.Fatal(found)
	}
	in := s.NewInput()
	for value, want := range map[string]bool{"{x": true, "y": false} {
		if err := in.Load(&handlers.Record{Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
		if got, err := e.Bool(in); got != want || err != nil {
			t.Errorf("%s: %v %v", value, got, err)
		}
	}
	for _, row := range []struct {
		options Options
		source  string
		code    string
	}{
		{Options{Format: FormatText}, `payload.a`, CodeType},
		{Options{Format: FormatBytes}, `payload.a`, CodeNotOffered},
		{Options{Format: FormatBytes}, `payload`, CodeNotOffered},
		{Options{Format: FormatBytes}, `source.payload.x`, CodeNotOffered},
		{Options{Format: FormatBytes}, `value`, ""},
		{Options{Request: true}, `partition`, CodeNotOffered},
		{Options{Request: true}, `source.payload.a`, CodeNotOffered},
		{Options{Request: true}, `source.key`, CodeNotOffered},
		{Options{Request: true}, `timestamp.Year()`, CodeNotOffered},
		{Options{Request: true}, `payload.a + headers.b + topic + value + (key ?? "")`, ""},
	} {
		_, found := NewScope(row.options).Expression(row.source)
		code := ""
		if found != nil {
			code = found[0].Code
		}
		if code != row.code {
			t.Errorf("%s: %+v", row.source, found)
		}
	}
}

func TestResultReachesTheSource(t *testing.T) {
	s := NewScope(Options{})
	r := s.Result(FormatJSON)
	tmpl, found := r.Template("${payload.order} ${source.payload.id} ${source.key} ${key} ${source.headers.h} ${source.topic} ${source.payload.n}", PlaceText)
	if found != nil {
		t.Fatal(found)
	}
	original, in := s.NewInput(), r.NewInput()
	in.Follow(original)
	for _, id := range []string{"1", "2"} {
		if err := original.Load(&handlers.Record{
			Topic: "in", Key: []byte("k"), Value: []byte(`{"id":"` + id + `","n":1.0}`), Headers: []handlers.Header{{Key: "h", Value: []byte("v")}},
		}); err != nil {
			t.Fatal(err)
		}
		if err := in.Load(&handlers.Record{Topic: "out", Key: []byte("new"), Value: []byte(`{"order":"o` + id + `"}`)}); err != nil {
			t.Fatal(err)
		}
		want := "o" + id + " " + id + " k new v in 1.0"
		if got, err := tmpl.Text(in); got != want || err != nil {
			t.Fatalf("%q %v, want %q", got, err, want)
		}
	}
	in.Follow(nil)
	if _, err := tmpl.Text(in); err == nil {
		t.Fatal("a result without its source")
	}
	if diff := cmp.Diff([]string{"payload.id", "payload.n"}, s.PayloadPaths()); diff != "" {
		t.Fatal(diff)
	}
	bytes := NewScope(Options{Format: FormatBytes}).Result(FormatJSON)
	if _, found := bytes.Expression("payload.order"); found != nil {
		t.Fatalf("a transformed payload is JSON: %+v", found)
	}
}

func TestInputMadeTooEarly(t *testing.T) {
	s := NewScope(Options{})
	in := s.NewInput()
	e, _ := s.Expression("payload.a")
	if err := in.Load(orderRecord(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Value(in); err == nil {
		t.Fatal("read a path that the input does not know")
	}
}

// TestRepeatedKeysAreGoneIntoTwice has a key over and over: of the values that are
// neither the first nor the last nothing is looked for, however many paths there are.
func TestRepeatedKeysAreGoneIntoTwice(t *testing.T) {
	s := NewScope(Options{})
	e, _ := s.Expression(`[payload.a.b.c, payload.a.d, payload.a.list[1], payload.x]`)
	in := s.NewInput()
	value := `{"a":{"d":1,"b":{"c":1},"list":[1,2]},` + strings.Repeat(`"a":{"b":{"c":2},"b":{"c":3}},`, 1000) + `"x":5,"a":{"b":7,"b":{"c":8},"b":{"c":9}}}`
	if err := in.Load(orderRecord(value)); err != nil {
		t.Fatal(err)
	}
	got, err := e.Value(in)
	if diff := cmp.Diff([]any{int64(9), nil, nil, int64(5)}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if n := in.extraction.objects; n > 6 {
		t.Errorf("%d objects were gone into", n)
	}
}
