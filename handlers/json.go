package handlers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxJSONDepth is how deep a value may be nested to count as JSON, the same as
// in expressions.
const maxJSONDepth = 1000

// timeLayout is RFC 3339 with milliseconds, Kafka's own resolution.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// AppendJSON appends r as one JSON object on one line, without a newline at its
// end, and returns the extended slice. The value's own bytes stand in it as
// `payload` where they are JSON that fits on the line exactly as it is, else as
// `value` where they are text, else as `value_base64`. What is not known is
// left out: an empty topic, a negative partition or offset, the zero time.
// Times are cut to milliseconds; all else comes back exactly from DecodeJSON.
func AppendJSON(dst []byte, r *Record) []byte {
	dst = append(dst, '{')
	if r.Topic != "" {
		dst = append(dst, `"topic":`...)
		dst = append(appendText(dst, []byte(r.Topic)), ',')
	}
	if r.Partition >= 0 {
		dst = append(dst, `"partition":`...)
		dst = append(strconv.AppendInt(dst, int64(r.Partition), 10), ',')
	}
	if r.Offset >= 0 {
		dst = append(dst, `"offset":`...)
		dst = append(strconv.AppendInt(dst, r.Offset, 10), ',')
	}
	if !r.Time.IsZero() {
		dst = append(dst, `"timestamp":`...)
		dst = append(appendTime(dst, r.Time), ',')
	}
	dst = appendKey(dst, r.Key)
	dst = append(dst, `,"headers":`...)
	dst = appendHeaders(dst, r.Headers)
	dst = append(dst, ',')
	dst = appendValue(dst, r.Value)
	return append(dst, '}')
}

// MarshalJSON is AppendJSON. Package encoding/json removes the white space of
// what it is given, so use AppendJSON where the payload's bytes matter.
func (r Record) MarshalJSON() ([]byte, error) { return AppendJSON(nil, &r), nil }

// Show is the record on a line: its topic, key and value.
func (r Record) Show() string {
	_, key, _ := bytes.Cut(appendKey(nil, r.Key), []byte(":"))
	_, value, _ := bytes.Cut(appendValue(nil, r.Value), []byte(":"))
	return r.Topic + "  key " + string(key) + "  " + string(value)
}

func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		// RFC 3339 ends there, while any 64-bit number is a Kafka timestamp.
		return strconv.AppendInt(dst, t.UnixMilli(), 10)
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, timeLayout)
	return append(dst, '"')
}

func appendKey(dst, key []byte) []byte {
	switch {
	case key == nil:
		return append(dst, `"key":null`...)
	case utf8.Valid(key):
		return appendText(append(dst, `"key":`...), key)
	default:
		return appendBase64(append(dst, `"key_base64":`...), key)
	}
}

func appendValue(dst, value []byte) []byte {
	switch {
	case value == nil:
		return append(dst, `"payload":null`...)
	case !utf8.Valid(value):
		return appendBase64(append(dst, `"value_base64":`...), value)
	case standsInLine(value):
		return append(append(dst, `"payload":`...), value...)
	default:
		return appendText(append(dst, `"value":`...), value)
	}
}

// standsInLine tells whether value, put behind `"payload":`, is read back as
// the same bytes: white space around it would be lost, a newline would end the
// line, and null means a tombstone there.
func standsInLine(value []byte) bool {
	if bytes.ContainsAny(value, "\r\n") || len(bytes.TrimSpace(value)) != len(value) {
		return false
	}
	return string(value) != "null" && depthWithin(value, maxJSONDepth) && json.Valid(value)
}

// depthWithin tells whether value nests no deeper than limit, in one pass over
// bytes that need not be JSON.
func depthWithin(value []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}

// appendHeaders writes an object, in the order of the headers, where that can
// hold them, else a list of pairs.
func appendHeaders(dst []byte, headers []Header) []byte {
	asObject := headersFitObject(headers)
	opening, closing := byte('['), byte(']')
	if asObject {
		opening, closing = '{', '}'
	}
	dst = append(dst, opening)
	for i, h := range headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		if asObject {
			dst = append(appendText(dst, []byte(h.Key)), ':')
			dst = appendHeaderText(dst, h.Value)
			continue
		}
		dst = append(appendHeaderText(append(dst, '['), []byte(h.Key)), ',')
		dst = append(appendHeaderText(dst, h.Value), ']')
	}
	return append(dst, closing)
}

// headersFitObject tells whether every header has a name of its own, in UTF-8.
// The object's fields then keep the headers' order, and DecodeJSON keeps theirs.
func headersFitObject(headers []Header) bool {
	var seen map[string]bool
	if len(headers) > fewHeaders {
		seen = make(map[string]bool, len(headers))
	}
	for i, h := range headers {
		if !utf8.ValidString(h.Key) || seen[h.Key] {
			return false
		}
		if seen != nil {
			seen[h.Key] = true
			continue
		}
		for _, earlier := range headers[:i] {
			if earlier.Key == h.Key {
				return false
			}
		}
	}
	return true
}

// fewHeaders is up to how many headers it costs less to compare all than to make a
// set of them.
const fewHeaders = 16

func appendHeaderText(dst, text []byte) []byte {
	switch {
	case text == nil:
		return append(dst, "null"...)
	case utf8.Valid(text):
		return appendText(dst, text)
	default:
		dst = appendBase64(append(dst, `{"base64":`...), text)
		return append(dst, '}')
	}
}

func appendBase64(dst, data []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"')
}

func appendText(dst, text []byte) []byte {
	w := bytes.NewBuffer(dst)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	// Neither a string nor a Buffer can make Encode fail.
	_ = e.Encode(string(text))
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}
