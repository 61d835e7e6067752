package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// appendValue appends v's JSON: keys sorted, no white space. Text that is not
// UTF-8 is an error, since JSON cannot carry it.
func appendValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		if v {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case string:
		return appendText(dst, v)
	case int, int64, float64, json.Number:
		return appendNumber(dst, scalarOf(v)), nil
	case time.Time, time.Duration, *time.Location:
		return appendText(dst, plainTextOf(v))
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendValue(dst, e); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendText(dst, k); err != nil {
				return dst, err
			}
			if dst, err = appendValue(append(dst, ':'), v[k]); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	default:
		return dst, fmt.Errorf("%s cannot be written as JSON", kindOf(v))
	}
}

var errNotUTF8 = errors.New("text that is not UTF-8 cannot be written as JSON: toBase64(...) can carry it")

const hex = "0123456789abcdef"

func appendText(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return dst, errNotUTF8
	}
	return append(appendEscaped(append(dst, '"'), s), '"'), nil
}

// appendEscaped appends the inside of a JSON string that says s.
func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, s[from:]...)
}

// appendHalves appends the JSON string that decodeText has read s from, each half
// of a surrogate pair as the escape that it came as.
func appendHalves(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for s != "" {
		at := badByte([]byte(s))
		if dst = appendEscaped(dst, s[:at]); at == len(s) {
			break
		}
		r := 0xD000 | rune(s[at+1]&0x3F)<<6 | rune(s[at+2]&0x3F)
		dst = append(dst, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		s = s[at+3:]
	}
	return append(dst, '"')
}

// plainTextOf is the text of a value that JSON has no form for: a time as RFC
// 3339, with milliseconds where that is all it has, a duration as Go writes it.
func plainTextOf(v any) string {
	switch v := v.(type) {
	case time.Time:
		if v.Nanosecond()%int(time.Millisecond) == 0 {
			return v.Format("2006-01-02T15:04:05.000Z07:00")
		}
		return v.Format(time.RFC3339Nano)
	case time.Duration:
		return v.String()
	case *time.Location:
		return v.String()
	default:
		return ""
	}
}

// textOf is a value as text: text as it is, numbers and booleans as JSON writes
// them, lists and objects as JSON.
func textOf(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return append(dst, v...), nil
	case time.Time, time.Duration, *time.Location:
		return append(dst, plainTextOf(v)...), nil
	default:
		return appendValue(dst, v)
	}
}

// appendCanonical appends valid JSON with the keys of objects sorted, the last
// of a repeated key kept, no white space, and the text of numbers as it is.
func appendCanonical(dst, raw []byte) []byte {
	dst, _ = canonicalAt(dst, raw, skipSpace(raw, 0))
	return dst
}

func canonicalAt(dst, data []byte, i int) ([]byte, int) {
	switch data[i] {
	case '{':
		return canonicalObject(dst, data, i)
	case '[':
		dst = append(dst, '[')
		for i = skipSpace(data, i+1); data[i] != ']'; {
			dst, i = canonicalAt(dst, data, i)
			if i = skipSpace(data, i); data[i] == ',' {
				dst = append(dst, ',')
				i = skipSpace(data, i+1)
			}
		}
		return append(dst, ']'), i + 1
	case '"':
		end := stringEnd(data, i)
		text, _ := decodeText(data[i:end])
		return appendHalves(dst, text), end
	default:
		end := valueEnd(data, i)
		return append(dst, data[i:end]...), end
	}
}

func canonicalObject(dst, data []byte, i int) ([]byte, int) {
	fields := map[string]int{}
	for i = skipSpace(data, i+1); data[i] != '}'; {
		end := stringEnd(data, i)
		key, _ := decodeText(data[i:end])
		i = skipSpace(data, skipSpace(data, end)+1)
		fields[key] = i
		if i = skipSpace(data, valueEnd(data, i)); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	dst = append(dst, '{')
	for n, key := range slices.Sorted(maps.Keys(fields)) {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst, _ = canonicalAt(append(appendHalves(dst, key), ':'), data, fields[key])
	}
	return append(dst, '}'), i + 1
}
