package handlers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// DecodeJSON reads one record as JSON, in the form of AppendJSON. Topic,
// Partition, Offset and Time are those of defaults where the line does not hold
// them; a missing key is null, missing headers are none, and one of `payload`,
// `value` and `value_base64` must be there. The payload's bytes are taken as
// they stand in the line; a byte order mark before it is skipped. Errors name the field and hold none of its content.
// The record shares no memory with line.
func DecodeJSON(line []byte, defaults Record) (*Record, error) {
	fields, err := readObject(bytes.TrimPrefix(line, byteOrderMark))
	if err != nil {
		return nil, err
	}
	r := &Record{Topic: defaults.Topic, Partition: defaults.Partition, Offset: defaults.Offset, Time: defaults.Time}
	var keyFrom, valueFrom string
	for _, f := range fields {
		switch f.name {
		case "key", "key_base64":
			if keyFrom != "" {
				return nil, fmt.Errorf("fields %q and %q exclude each other", keyFrom, f.name)
			}
			keyFrom = f.name
		case "payload", "value", "value_base64":
			if valueFrom != "" {
				return nil, fmt.Errorf("fields %q and %q exclude each other", valueFrom, f.name)
			}
			valueFrom = f.name
		}
		if err := r.setField(f.name, f.raw); err != nil {
			return nil, err
		}
	}
	if valueFrom == "" {
		return nil, errors.New(`field "payload" is missing (write null for a tombstone)`)
	}
	return r, nil
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// UnmarshalJSON is DecodeJSON without defaults.
func (r *Record) UnmarshalJSON(line []byte) error {
	decoded, err := DecodeJSON(line, Record{})
	if err != nil {
		return err
	}
	*r = *decoded
	return nil
}

func (r *Record) setField(name string, raw json.RawMessage) (err error) {
	switch name {
	case "topic":
		if r.Topic, err = readText(raw); err == nil && r.Topic == "" {
			err = errors.New("must not be empty")
		}
	case "partition":
		var n int64
		n, err = readNumber(raw, 32)
		r.Partition = int32(n)
	case "offset":
		r.Offset, err = readNumber(raw, 64)
	case "timestamp":
		r.Time, err = readTime(raw)
	case "key":
		if !isNull(raw) {
			r.Key, err = readBytes(raw)
		}
	case "key_base64":
		r.Key, err = readBase64(raw)
	case "headers":
		r.Headers, err = readHeaders(raw)
	case "payload":
		if !isNull(raw) {
			r.Value = raw
		}
	case "value":
		r.Value, err = readBytes(raw)
	case "value_base64":
		r.Value, err = readBase64(raw)
	default:
		return fmt.Errorf("unknown field %q", name)
	}
	if err != nil {
		return fmt.Errorf("field %q: %w", name, err)
	}
	return nil
}

type field struct {
	name string
	raw  json.RawMessage
}

// readObject splits a JSON object into its fields, in their order. A repeated
// name is an error: of a record both would be meant.
func readObject(data []byte) ([]field, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil {
		return nil, syntaxError(err)
	} else if start != json.Delim('{') {
		return nil, errors.New("must be a JSON object")
	}
	var fields []field
	seen := map[string]bool{}
	for dec.More() {
		from := dec.InputOffset()
		token, err := dec.Token()
		if err != nil {
			return nil, syntaxError(err)
		}
		name, _ := token.(string)
		if err := exactText(data[from:dec.InputOffset()]); err != nil {
			return nil, fmt.Errorf("the name of a field %w", err)
		}
		if seen[name] {
			return nil, fmt.Errorf("field %q is repeated", name)
		}
		seen[name] = true
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("field %q: %w", name, syntaxError(err))
		}
		fields = append(fields, field{name, raw})
	}
	if _, err := dec.Token(); err != nil {
		return nil, syntaxError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows after the JSON object")
	}
	return fields, nil
}

func syntaxError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends too early")
	}
	return fmt.Errorf("not JSON: %w", err)
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func readText(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", errors.New("must be text")
	}
	if err := exactText(raw); err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", errors.New("must be text")
	}
	return text, nil
}

// exactText tells whether encoding/json reads the text in raw without a stand-in
// for what is not UTF-8, or half of a surrogate pair: with one, two keys would
// become one.
func exactText(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("must be UTF-8; other bytes are written as base64")
	}
	for rest := raw; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 || i+1 >= len(rest) {
			return nil
		}
		escape := rest[i+1]
		rest = rest[i+2:]
		if escape != 'u' {
			continue
		}
		first, low := hexRune(rest), rune(utf8.RuneError)
		if !utf16.IsSurrogate(first) {
			continue
		}
		if rest = rest[4:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
			low = hexRune(rest[2:])
		}
		if utf16.DecodeRune(first, low) == utf8.RuneError {
			return errors.New("holds half of a surrogate pair, such as \\ud800, which is no character")
		}
		rest = rest[6:]
	}
}

// hexRune is the number of the four hexadecimal digits that text begins with.
func hexRune(text []byte) rune {
	n, err := strconv.ParseUint(string(text[:min(4, len(text))]), 16, 32)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

// readBytes never returns nil without an error: empty text is not null.
func readBytes(raw json.RawMessage) ([]byte, error) {
	text, err := readText(raw)
	if err != nil {
		return nil, err
	}
	return append([]byte{}, text...), nil
}

func readBase64(raw json.RawMessage) ([]byte, error) {
	text, err := readText(raw)
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("must be base64 (RFC 4648, with padding)")
	}
	return append([]byte{}, data...), nil
}

func readNumber(raw json.RawMessage, bits int) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, bits)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("must be a whole number from 0 to %d", uint64(1)<<(bits-1)-1)
	}
	return n, nil
}

func readTime(raw json.RawMessage) (time.Time, error) {
	if ms, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), nil
	}
	text, err := readText(raw)
	if err == nil {
		var t time.Time
		if t, err = time.Parse(time.RFC3339, text); err == nil {
			return time.UnixMilli(t.UnixMilli()).UTC(), nil
		}
	}
	return time.Time{}, errors.New("must be a time like 2026-01-31T09:30:00.000Z, or a number of milliseconds since " +
		"1970")
}

func readHeaders(raw json.RawMessage) ([]Header, error) {
	if isNull(raw) {
		return nil, nil
	}
	if raw[0] == '[' {
		return readHeaderList(raw)
	}
	fields, err := readObject(raw)
	if err != nil {
		return nil, fmt.Errorf("%w; repeats are written as a list of [name, value]", err)
	}
	var headers []Header
	for _, f := range fields {
		value, err := readHeaderText(f.raw)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", f.name, err)
		}
		headers = append(headers, Header{f.name, value})
	}
	return headers, nil
}

func readHeaderList(raw json.RawMessage) ([]Header, error) {
	var pairs [][]json.RawMessage
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return nil, errors.New("must be an object or a list of [name, value]")
	}
	var headers []Header
	for i, pair := range pairs {
		if len(pair) != 2 {
			return nil, fmt.Errorf("item %d: must be [name, value]", i)
		}
		name, err := readHeaderText(pair[0])
		if err != nil {
			return nil, fmt.Errorf("item %d: name %w", i, err)
		}
		if name == nil {
			return nil, fmt.Errorf("item %d: name must be text", i)
		}
		value, err := readHeaderText(pair[1])
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		headers = append(headers, Header{string(name), value})
	}
	return headers, nil
}

// readHeaderText reads text, null, or {"base64": …}.
func readHeaderText(raw json.RawMessage) ([]byte, error) {
	if isNull(raw) {
		return nil, nil
	}
	if len(raw) == 0 || raw[0] != '{' {
		return readBytes(raw)
	}
	fields, err := readObject(raw)
	if err != nil || len(fields) != 1 || fields[0].name != "base64" {
		return nil, errors.New(`must be text, null or {"base64": "…"}`)
	}
	return readBase64(fields[0].raw)
}
