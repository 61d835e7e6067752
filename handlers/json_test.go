package handlers_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
)

func TestAppendJSON(t *testing.T) {
	at := time.Date(2026, 1, 31, 9, 30, 0, 123_456_789, time.FixedZone("", 3600))
	unknown := handlers.Record{Partition: -1, Offset: -1}
	with := func(change func(r *handlers.Record)) handlers.Record {
		r := unknown
		change(&r)
		return r
	}
	value := func(v string) handlers.Record {
		return with(func(r *handlers.Record) { r.Value = []byte(v) })
	}
	headers := func(h ...handlers.Header) handlers.Record {
		return with(func(r *handlers.Record) { r.Headers = h })
	}
	deep := strings.Repeat("[", 1001) + strings.Repeat("]", 1001)
	for name, c := range map[string]struct {
		record handlers.Record
		want   string
	}{
		"whole": {
			handlers.Record{Topic: "orders", Partition: 3, Offset: 42, Time: at, Key: []byte("k"), Value: []byte(`{"a": 1}`), Headers: []handlers.Header{{Key: "b", Value: []byte("2")}, {Key: "a", Value: nil}}},
			`{"topic":"orders","partition":3,"offset":42,"timestamp":"2026-01-31T08:30:00.123Z","key":"k","headers":{"b":"2","a":null},"payload":{"a": 1}}`,
		},
		"nothing known":         {unknown, `{"key":null,"headers":{},"payload":null}`},
		"empty key":             {with(func(r *handlers.Record) { r.Key = []byte{} }), `{"key":"","headers":{},"payload":null}`},
		"key that is not text":  {with(func(r *handlers.Record) { r.Key = []byte{0xff} }), `{"key_base64":"/w==","headers":{},"payload":null}`},
		"time past RFC 3339":    {with(func(r *handlers.Record) { r.Time = time.UnixMilli(1 << 50) }), `{"timestamp":1125899906842624,"key":null,"headers":{},"payload":null}`},
		"JSON null":             {value("null"), `{"key":null,"headers":{},"value":"null"}`},
		"empty value":           {value(""), `{"key":null,"headers":{},"value":""}`},
		"text":                  {value("a <b> \"c\"\n"), `{"key":null,"headers":{},"value":"a <b> \"c\"\n"}`},
		"broken JSON":           {value(`{"a":`), `{"key":null,"headers":{},"value":"{\"a\":"}`},
		"repeated keys":         {value(`{"a":1,"a":2}`), `{"key":null,"headers":{},"payload":{"a":1,"a":2}}`},
		"HTML and escapes":      {value(`"<\u003c"`), `{"key":null,"headers":{},"payload":"<\u003c"}`},
		"a long number":         {value(`12345678901234567890.10`), `{"key":null,"headers":{},"payload":12345678901234567890.10}`},
		"white space inside":    {value(`{ "a" :  1 }`), `{"key":null,"headers":{},"payload":{ "a" :  1 }}`},
		"white space around":    {value(` 1`), `{"key":null,"headers":{},"value":" 1"}`},
		"more than one line":    {value("{\n}"), `{"key":null,"headers":{},"value":"{\n}"}`},
		"not UTF-8":             {value("\"\xff\""), `{"key":null,"headers":{},"value_base64":"Iv8i"}`},
		"too deep":              {value(deep), `{"key":null,"headers":{},"value":"` + deep + `"}`},
		"repeated header":       {headers(handlers.Header{Key: "a", Value: []byte("1")}, handlers.Header{Key: "a"}), `{"key":null,"headers":[["a","1"],["a",null]],"payload":null}`},
		"header that's no text": {headers(handlers.Header{Key: "a", Value: []byte{0xff}}), `{"key":null,"headers":{"a":{"base64":"/w=="}},"payload":null}`},
		"name that is no text":  {headers(handlers.Header{Key: "\xff", Value: []byte{}}), `{"key":null,"headers":[[{"base64":"/w=="},""]],"payload":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := handlers.AppendJSON([]byte("> "), &c.record)
			if diff := cmp.Diff("> "+c.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeJSON(t *testing.T) {
	defaults := handlers.Record{Topic: "first", Partition: 1, Offset: 7, Time: time.UnixMilli(5).UTC()}
	for line, want := range map[string]handlers.Record{
		`{"payload": null}`: {Topic: "first", Partition: 1, Offset: 7, Time: time.UnixMilli(5).UTC()},
		` {"value":"null","key":null,"topic":"t","partition":0,"offset":9,"timestamp":1500} `: {
			Topic: "t", Offset: 9, Time: time.UnixMilli(1500).UTC(), Value: []byte("null"),
		},
		`{"payload":  {"a" : 1.0, "a":2 }  ,"timestamp":"2026-01-31T09:30:00.5+01:00","topic":"t","offset":0,"partition":0}`: {
			Topic: "t", Time: time.Date(2026, 1, 31, 8, 30, 0, 500e6, time.UTC), Value: []byte(`{"a" : 1.0, "a":2 }`),
		},
		`{"value_base64":"/w==","key_base64":"","topic":"t","partition":0,"offset":0,"timestamp":0,"headers":{"b":"1","a":null,"c":{"base64":"/w=="}}}`: {
			Topic: "t", Time: time.UnixMilli(0).UTC(), Key: []byte{}, Value: []byte{0xff},
			Headers: []handlers.Header{{Key: "b", Value: []byte("1")}, {Key: "a"}, {Key: "c", Value: []byte{0xff}}},
		},
		`{"value":"","key":"","topic":"t","partition":0,"offset":0,"timestamp":-1,"headers":[["a","1"],["a",""]]}`: {
			Topic: "t", Time: time.UnixMilli(-1).UTC(), Key: []byte{}, Value: []byte{},
			Headers: []handlers.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte{}}},
		},
	} {
		got, err := handlers.DecodeJSON([]byte(line), defaults)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s:\n%s", line, diff)
		}
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	for line, want := range map[string]string{
		``:                          `the JSON ends too early`,
		`[]`:                        `must be a JSON object`,
		`{"payload":1`:              `the JSON ends too early`,
		`{"payload":1} {}`:          `more follows after the JSON object`,
		`{"payload":tru}`:           `field "payload": not JSON: invalid character '}' in literal true (expecting 'e')`,
		`{}`:                        `field "payload" is missing (write null for a tombstone)`,
		`{"payload":1,"paylaod":2}`: `unknown field "paylaod"`,
		`{"payload":1,"payload":2}`: `field "payload" is repeated`,
		`{"payload":1,"value":"x"}`: `fields "payload" and "value" exclude each other`,
		`{"payload":1,"key":"","key_base64":"a"}`:     `fields "key" and "key_base64" exclude each other`,
		`{"payload":1,"topic":""}`:                    `field "topic": must not be empty`,
		`{"payload":1,"partition":-1}`:                `field "partition": must be a whole number from 0 to 2147483647`,
		`{"payload":1,"offset":1.5}`:                  `field "offset": must be a whole number from 0 to 9223372036854775807`,
		`{"payload":1,"timestamp":"today"}`:           `field "timestamp": must be a time like 2026-01-31T09:30:00.000Z, or a number of milliseconds since 1970`,
		`{"payload":1,"key":5}`:                       `field "key": must be text`,
		"{\"payload\":1,\"key\":\"\xff\"}":            `field "key": must be UTF-8; other bytes are written as base64`,
		`{"payload":1,"key":"a\\\ud800"}`:             `field "key": holds half of a surrogate pair, such as \ud800, which is no character`,
		`{"payload":1,"key":"\ud83d\ud83d"}`:          `field "key": holds half of a surrogate pair, such as \ud800, which is no character`,
		`{"payload":1,"headers":{"\udc00":"a"}}`:      `field "headers": the name of a field holds half of a surrogate pair, such as \ud800, which is no character; repeats are written as a list of [name, value]`,
		"{\"payload\":1,\"headers\":{\"\xff\":\"\"}}": `field "headers": the name of a field must be UTF-8; other bytes are written as base64; repeats are written as a list of [name, value]`,
		`{"value":null}`:                              `field "value": must be text`,
		`{"value_base64":"?"}`:                        `field "value_base64": must be base64 (RFC 4648, with padding)`,
		`{"payload":1,"headers":5}`:                   `field "headers": must be a JSON object; repeats are written as a list of [name, value]`,
		`{"payload":1,"headers":{"a":1}}`:             `field "headers": header "a": must be text`,
		`{"payload":1,"headers":{"a":{"b":1}}}`:       `field "headers": header "a": must be text, null or {"base64": "…"}`,
		`{"payload":1,"headers":{"a":"","a":""}}`:     `field "headers": field "a" is repeated; repeats are written as a list of [name, value]`,
		`{"payload":1,"headers":[["a"]]}`:             `field "headers": item 0: must be [name, value]`,
		`{"payload":1,"headers":[[null,""]]}`:         `field "headers": item 0: name must be text`,
	} {
		_, err := handlers.DecodeJSON([]byte(line), handlers.Record{})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", line, err, want)
		}
	}
}

func TestDecodeJSONSkipsAByteOrderMark(t *testing.T) {
	r, err := handlers.DecodeJSON([]byte("\xef\xbb\xbf"+`{"payload":{"a":1}}`), handlers.Record{})
	if err != nil || string(r.Value) != `{"a":1}` {
		t.Errorf("got %v, %v", r, err)
	}
}

// TestJSONRoundTrip is the promise of the form: whatever a record holds, it
// fits on one line and comes back.
func TestJSONRoundTrip(t *testing.T) {
	optional := func(g *rapid.Generator[[]byte]) *rapid.Generator[[]byte] {
		return rapid.OneOf(rapid.Just([]byte(nil)), rapid.Just([]byte{}), g)
	}
	text := rapid.Custom(func(t *rapid.T) []byte { return []byte(rapid.String().Draw(t, "text")) })
	raw := rapid.SliceOfN(rapid.Byte(), 1, 20)
	value := rapid.Custom(func(t *rapid.T) []byte {
		doc := rapid.SampledFrom([]string{"null", "1", " 1", "{}", `{"a":1,"a":[2 , 3]}`, "[1\n]", "[1\r]", `"\u003c<"`, "\"\xff\"", "[", "1e400", "\ufeff1"}).Draw(t, "doc")
		return []byte(doc)
	})
	header := rapid.Custom(func(t *rapid.T) handlers.Header {
		return handlers.Header{
			Key:   string(rapid.OneOf(rapid.SampledFrom([][]byte{[]byte("a"), []byte("b")}), text, raw).Draw(t, "name")),
			Value: optional(rapid.OneOf(text, raw)).Draw(t, "value"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		r := handlers.Record{
			Topic:     "t" + rapid.String().Draw(t, "topic"),
			Partition: rapid.Int32Min(0).Draw(t, "partition"),
			Offset:    rapid.Int64Min(0).Draw(t, "offset"),
			Time:      time.UnixMilli(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "time")).UTC(),
			Key:       optional(rapid.OneOf(text, raw)).Draw(t, "key"),
			Value:     optional(rapid.OneOf(text, raw, value)).Draw(t, "value"),
		}
		r.Headers = append(r.Headers, rapid.SliceOfN(header, 0, 4).Draw(t, "headers")...)
		line := handlers.AppendJSON(nil, &r)
		if !json.Valid(line) || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("not one line of JSON: %q", line)
		}
		got, err := handlers.DecodeJSON(line, handlers.Record{})
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(&r, got); diff != "" {
			t.Fatalf("%s:\n%s", line, diff)
		}
	})
}

func TestRecordMarshals(t *testing.T) {
	r := handlers.Record{Topic: "t", Time: time.UnixMilli(0).UTC(), Value: []byte(`{"a": 1}`)}
	data, err := json.Marshal(map[string]any{"record": r})
	if err != nil {
		t.Fatal(err)
	}
	var back struct{ Record handlers.Record }
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	r.Value = []byte(`{"a":1}`)
	if diff := cmp.Diff(r, back.Record); diff != "" {
		t.Error(diff)
	}
}

// Each name was compared with all before it: 300,000 of them took minutes.
func TestManyHeadersAreWrittenInTheirNumber(t *testing.T) {
	r := handlers.Record{Headers: make([]handlers.Header, 300_000)}
	for i := range r.Headers {
		r.Headers[i].Key = strconv.Itoa(i)
	}
	began := time.Now()
	distinct := handlers.AppendJSON(nil, &r)
	r.Headers[len(r.Headers)-1].Key = "0"
	repeated := handlers.AppendJSON(nil, &r)
	if !bytes.Contains(distinct, []byte(`"headers":{"0":null,`)) || !bytes.Contains(repeated, []byte(`"headers":[["0",null],`)) {
		t.Error("the form does not follow from the names")
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}
