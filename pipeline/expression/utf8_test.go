package expression

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
)

const half800 = `payload.a is text with half of a surrogate pair, such as \ud800`

// TestHalfOfAPairIsNeverRead: any stand-in for it would make two texts one.
func TestHalfOfAPairIsNeverRead(t *testing.T) {
	const value = `{"a":"x\ud800","b":["y\udfff"],"c":1,"\ud801":2}`
	checkValues(t, []one{
		{source: `payload.a`, value: value, err: half800},
		{source: `payload.a ?? "d"`, value: value, err: half800},
		{source: `payload.a == "x\uFFFD"`, value: value, err: half800},
		{source: `payload.a in ["x"]`, value: value, err: half800},
		{source: `payload.a == payload.c`, value: value, err: half800},
		{source: `upper(payload.a)`, value: value, err: half800},
		{source: `payload.b`, value: value, err: `the value holds text with half of a surrogate pair, such as \ud800`},
		{source: `payload.b[0] == "y"`, value: value, err: `payload.b[0] is text with half of a surrogate pair, such as \ud800`},
		{source: `"y" in payload.b`, value: value, err: `text with half of a surrogate pair, such as \ud800 cannot be compared`},
		{source: `join(payload.b)`, value: value, err: `an element of payload.b is text with half of a surrogate pair, such as \ud800: join needs text`},
		{source: `uniq(payload.b)`, value: value, err: `the value holds text with half of a surrogate pair, such as \ud800`},
		{source: `payload.b[payload.c - 1]`, value: value, err: `payload.b[payload.c - 1] is text with half of a surrogate pair, such as \ud800: it has no value`},
		{source: `{"x": 1}[payload.b[0]]`, value: value, err: `payload.b[0] is text with half of a surrogate pair, such as \ud800`},
		{source: `any(payload.b, # in {"x": 1})`, value: value, err: `text with half of a surrogate pair, such as \ud800 is no name`},
		// What is beside it can be read, also of a list or an object used whole.
		{source: `payload.c`, value: value, want: int64(1)},
		{source: `len(payload.b)`, value: value, want: int64(1)},
		{source: `[payload][0].c`, value: value, want: int64(1)},
		{source: `payload["\uFFFD"]`, value: value},
		{source: `"\uFFFD" in payload`, value: value, want: false},
	})
}

// TestTextThatIsAPathKeepsItsBytes: a leaf and a part of a template copy.
func TestTextThatIsAPathKeepsItsBytes(t *testing.T) {
	for _, row := range []struct {
		format              Format
		source              string
		value, key          string
		json, text, jsonErr string
		textErr             string
	}{
		{source: `payload`, value: `{"a":"\ud800"}`, key: "k", json: `{"a":"\ud800"}`, text: `{"a":"\ud800"}`},
		{source: `payload.a`, value: `{"a":"\ud800"}`, key: "k", json: `"\ud800"`, textErr: "${payload.a}: it is " + halfText},
		{source: `payload.a`, value: `{"a":"\u00fc\/"}`, key: "k", json: `"\u00fc\/"`, text: "ü/"},
		{source: `payload.a ?? "x"`, value: `{"a":"\ud83d\ude00"}`, key: "k", json: `"\ud83d\ude00"`, text: "😀"},
		{source: `key`, value: `1`, key: "M\xfcller", jsonErr: "key: text that is not UTF-8 cannot be written as JSON: toBase64(...) can carry it", text: "M\xfcller"},
		{source: `value`, format: FormatBytes, value: "\xff\x00", text: "\xff\x00", jsonErr: "value: text that is not UTF-8 cannot be written as JSON: toBase64(...) can carry it"},
		{source: `payload`, format: FormatText, value: "M\xf6ller", text: "M\xf6ller", jsonErr: "payload: text that is not UTF-8 cannot be written as JSON: toBase64(...) can carry it"},
		{source: `headers.h`, value: `1`, text: "\xfe", jsonErr: "headers.h: text that is not UTF-8 cannot be written as JSON: toBase64(...) can carry it"},
		{source: `payload + "!"`, format: FormatText, value: "M\xf6ller", text: "M\xf6ller!", jsonErr: `payload + "!": text that is not UTF-8 cannot be written as JSON: toBase64(...) can carry it`},
	} {
		s := NewScope(Options{Format: row.format})
		e, found := s.Expression(row.source)
		tmpl, more := s.Template("${"+row.source+"}", PlaceKey)
		if found != nil || tmpl == nil {
			t.Fatal(found, more)
		}
		in := s.NewInput()
		rec := &handlers.Record{Key: []byte(row.key), Value: []byte(row.value), Headers: []handlers.Header{{Key: "h", Value: []byte("\xfe")}}}
		if err := in.Load(rec); err != nil {
			t.Fatal(err)
		}
		if row.source == "payload" && row.format == "" {
			tmpl, _ = s.Template("${payload}", PlaceText)
		}
		leaf, err := e.AppendJSON(nil, in)
		if diff := cmp.Diff(row.json, string(leaf)); diff != "" || text(err) != row.jsonErr {
			t.Errorf("leaf %s: %v %s", row.source, err, diff)
		}
		got, err := tmpl.Text(in)
		if got != row.text || text(err) != row.textErr {
			t.Errorf("template ${%s}: %q %v", row.source, got, err)
		}
		if row.jsonErr != "" {
			if got, err := e.Bytes(in); string(got) != row.text || err != nil {
				t.Errorf("bytes of %s: %q %v", row.source, got, err)
			}
		}
	}
}

// TestWorkOnCharactersNeedsThem: what a function makes of bytes that are no
// characters would be the same for different ones.
func TestWorkOnCharactersNeedsThem(t *testing.T) {
	s := NewScope(Options{Format: FormatText})
	in := s.NewInput()
	if err := in.Load(&handlers.Record{Value: []byte("M\xfcller")}); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		`upper(payload)`:               "payload is text that is not UTF-8: upper cannot take it",
		`lower(payload)`:               "payload is text that is not UTF-8: lower cannot take it",
		`payload[0:3]`:                 "payload is text that is not UTF-8: [:] cannot take it",
		`trim(payload, "\uFFFD")`:      "payload is text that is not UTF-8: trim cannot take it",
		`trim("x", payload)`:           "payload is text that is not UTF-8: trim cannot take it",
		`trim(payload) + "!"`:          "",
		`replace(payload, "", "-")`:    "",
		`join(split(payload, ""), "")`: "",
	} {
		e, found := s.Expression(source)
		if found != nil {
			t.Fatal(found)
		}
		got, err := e.Value(in)
		if text(err) != want {
			t.Errorf("%s: %v %v", source, got, err)
		}
		if v, ok := got.(string); want == "" && (!ok || v[1] != '\xfc' && v[3] != '\xfc') {
			t.Errorf("%s: %q lost a byte", source, got)
		}
	}
}

// TestDigestsOfHalvesDiffer: what counts as content is compared, not read.
func TestDigestsOfHalvesDiffer(t *testing.T) {
	for value, want := range map[string]string{
		`{"a":"\ud800\u0041"}`:         `{"a":"\ud800A"}`,
		`{"a":"\uD801\uDFFF\uDFFF"}`:   "{\"a\":\"\U000107FF\\udfff\"}",
		`{"\udfff":1,"\uD800":"\""}`:   `{"\ud800":"\"","\udfff":1}`,
		`{"\ud800":1,"\uD800":"\n\/"}`: `{"\ud800":"\n/"}`,
	} {
		if got := string(aside().appendCanonical(nil, []byte(value))); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

// TestComparingHalvesIsPure: which of a difference and a half is met first is for
// the order of a map to say.
func TestComparingHalvesIsPure(t *testing.T) {
	s := NewScope(Options{})
	e, found := s.Condition("payload.x == payload.y")
	if found != nil {
		t.Fatal(found)
	}
	in := s.NewInput()
	for range 50 {
		for _, value := range []string{`{"x":{"a":1,"b":2,"c":3},"y":{"a":2,"b":"\ud800","c":4}}`, `{"y":{"a":1,"b":2,"c":3},"x":{"a":2,"b":"\ud800","c":4}}`} {
			if err := in.Load(&handlers.Record{Value: []byte(value)}); err != nil {
				t.Fatal(err)
			}
			if equal, err := e.Bool(in); err == nil {
				t.Fatalf("%s: %v, want an error", value, equal)
			}
		}
	}
}
