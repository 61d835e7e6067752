package scenario

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFirstDifference(t *testing.T) {
	const same = "same"
	for _, c := range []struct{ want, got, at string }{
		{`{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1}`, same},
		{`{"a":1}`, `{"a":1.0}`, same},
		{`1e2`, `100`, same},
		{`12345678901234567890`, `12345678901234567890.0`, same},
		{`12345678901234567890`, `12345678901234567891`, "x"},
		{`1e999999999`, `1e999999998`, "x"},
		{`1e999999999`, `1e999999999`, same},
		{`{"a":{"b":[1,{"c":2}]}}`, `{"a":{"b":[1,{"c":3}]}}`, "x.a.b[1].c"},
		{`{"a":1,"b":2}`, `{"a":1}`, "x.b"},
		{`{"a":1}`, `{"a":1,"b":2}`, "x"},
		{`[1]`, `[1,2]`, "x"},
		{`{"a b":1}`, `{"a b":2}`, `x."a b"`},
		{`"1"`, `1`, "x"},
		{`1`, `"1"`, "x"},
		{`null`, `null`, same},
		{`null`, `0`, "x"},
		{`{"a":null}`, `{}`, "x.a"},
		{`true`, `false`, "x"},
		{`{}`, `[]`, "x"},
	} {
		at := same
		if path, ok := firstDifference("x", parse([]byte(c.want)), parse([]byte(c.got))); ok {
			at = string(path)
		}
		if at != c.at {
			t.Errorf("%s and %s: got %s, want %s", c.want, c.got, at, c.at)
		}
	}
}

func TestNearMiss(t *testing.T) {
	for _, c := range []struct{ want, got, hint string }{
		{`"a"`, `"A"`, "they differ in upper and lower case"},
		{`"a"`, `"a "`, "they differ in white space"},
		{`"5"`, `5`, "text is expected, and it is none: leave the quotes out"},
		{`5`, `"5"`, "it is text: put the expected value in quotes"},
		{`{"id":"5"}`, `{"id":5}`, "id: text is expected, and it is none: leave the quotes out"},
		{`{"orderId":5}`, `{"order_id":5}`, "it has order_id, not orderId"},
		{`{"a":1}`, `{"a":1,"b":2}`, "it compares whole, and it has b too"},
		{`1`, `2`, ""},
		{`{"a":1}`, `[1]`, ""},
	} {
		if got := nearMiss([]byte(c.want), []byte(c.got)); got != c.hint {
			t.Errorf("%s and %s: got %q, want %q", c.want, c.got, got, c.hint)
		}
	}
}

func TestWriteDiff(t *testing.T) {
	long := strings.Repeat("x", 70)
	for name, c := range map[string]struct{ want, got, shown string }{
		"short":  {`1`, `"2"`, "> expected  1\n> got       \"2\"\n"},
		"none":   {"", "", ""},
		"extra":  {"", "{\n  1\n}", "> got\n> {\n>   1\n> }\n"},
		"beside": {"{\n  \"a\": 1,\n  \"b\": 2\n}", "{\n  \"a\": 1.0,\n  \"c\": 2,\n  \"d\": 3\n}", "> expected    got\n> {           {\n>   \"a\": 1,     \"a\": 1.0,\n>   \"b\": 2  |   \"c\": 2,\n>           >   \"d\": 3\n> }           }\n"},
		"stacked": {"[\n  \"" + long + "\"\n]", "[\n  1\n]",
			"> - expected\n> + got\n>   [\n> -   \"" + long + "\"\n> +   1\n>   ]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			writeDiff(&out, "> ", c.want, c.got, false)
			if diff := cmp.Diff(c.shown, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
