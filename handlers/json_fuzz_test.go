package handlers_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
)

// FuzzAppendJSON writes any record as JSON and reads it back: it is one line of
// JSON, and the record is the same.
func FuzzAppendJSON(f *testing.F) {
	f.Add(byte(0), []byte("k"), []byte(`{"a": [1, null]}`), "trace", []byte("t-1"), int64(1_700_000_000_000))
	f.Add(byte(0xff), []byte{}, []byte("null"), "", []byte{}, int64(-62_135_596_800_000))
	f.Add(byte(0x0c), []byte("\xff"), []byte(" 1\n"), "a", []byte("\u2028"), int64(1<<62))
	f.Add(byte(0x07), []byte("\x00"), []byte(`{"a":1,"a":"\ud800"}`), "base64", []byte("\xff"), int64(253_402_300_800_000))
	f.Fuzz(func(t *testing.T, flags byte, key, value []byte, name string, header []byte, millis int64) {
		null := func(bit int, b []byte) []byte {
			if flags&(1<<bit) != 0 {
				return nil
			}
			return slices.Clone(b)
		}
		in := &handlers.Record{Topic: "t", Partition: int32(flags), Offset: max(0, millis), Time: time.UnixMilli(millis).UTC(), Key: null(0, key), Value: null(1, value)}
		for bit := 2; bit < 2+int(flags>>5); bit++ {
			in.Headers = append(in.Headers, handlers.Header{Key: name, Value: null(bit, header)})
			name += "x"[:bit%2]
		}
		line := handlers.AppendJSON(nil, in)
		if bytes.ContainsAny(line, "\r\n") || !json.Valid(line) {
			t.Fatalf("%q is not one line of JSON", line)
		}
		out, err := handlers.DecodeJSON(line, handlers.Record{})
		if err != nil {
			t.Fatalf("%s can't be read back: %v", line, err)
		}
		if in.Time.IsZero() {
			in.Time = out.Time // It counts as not known.
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Errorf("%s\nwritten (-), read (+):\n%s", line, diff)
		}
	})
}

// FuzzDecodeJSON reads any line: what is read, is read the same again from what
// AppendJSON makes of it.
func FuzzDecodeJSON(f *testing.F) {
	for _, line := range []string{
		`{"payload": {"a": 1}}`, `{"value": "x", "headers": [["a", null], ["a", {"base64": "/w=="}]]}`, `{"payload": null, "key": "k", "partition": 3}`,
		`{"timestamp": 1700000000000, "value_base64": "/w==", "key_base64": ""}`, `{"timestamp": "2026-01-31T08:00:00.5+01:00", "payload": 1}`,
		`{"topic": "a", "topic": "b", "payload": "\ud800"}`, `{"payload":1,"value":"1"}`, `[`, `{"headers": {"a": 1}, "payload": 1}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		given := handlers.Record{Topic: "d", Partition: -1, Offset: -1}
		first, err := handlers.DecodeJSON(line, given)
		if err != nil {
			return
		}
		again := handlers.AppendJSON(nil, first)
		second, err := handlers.DecodeJSON(again, given)
		if err != nil {
			t.Fatalf("%q was read, and written as %q, which is not: %v", line, again, err)
		}
		first.Time = first.Time.Truncate(time.Millisecond)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%q read (-), written as %q and read (+):\n%s", line, again, diff)
		}
	})
}
