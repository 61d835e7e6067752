package expression

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

// appendResult is appendValue for where no VM runs.
func (in *input) appendResult(dst []byte, v any) ([]byte, error) {
	return protect(func() ([]byte, error) { return in.appendValue(dst, v) })
}

// appendValue appends v's JSON: keys sorted, no white space. Text that is not
// UTF-8 is an error, since JSON cannot carry it.
func (in *input) appendValue(dst []byte, v any) ([]byte, error) {
	in.step(stepsOfJSON)
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		if v {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case string:
		return in.appendText(dst, v)
	case int, int64, float64, json.Number:
		return appendNumber(dst, scalarOf(v)), nil
	case time.Time, time.Duration, *time.Location:
		return in.appendText(dst, plainTextOf(v))
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = in.appendValue(dst, e); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, k := range in.sortedKeys(v) {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = in.appendText(dst, k); err != nil {
				return dst, err
			}
			if dst, err = in.appendValue(append(dst, ':'), v[k]); err != nil {
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

// sortedKeys are the keys of an object in order.
func (in *input) sortedKeys(object map[string]any) []string {
	keys := slices.AppendSeq(make([]string, 0, len(object)), maps.Keys(object))
	text := 0
	for _, k := range keys {
		text += len(k)
	}
	in.made(32 * len(keys))
	in.sorting(len(keys), text)
	slices.Sort(keys)
	return keys
}

func (in *input) appendText(dst []byte, s string) ([]byte, error) {
	in.step(len(s))
	in.made(len(s))
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
		at := badByte(s)
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
func (in *input) textOf(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		in.made(len(v))
		return append(dst, v...), nil
	case time.Time, time.Duration, *time.Location:
		in.step(stepsOfJSON)
		return append(dst, plainTextOf(v)...), nil
	default:
		return in.appendValue(dst, v)
	}
}

// appendAsText is textOf for where no VM runs.
func (in *input) appendAsText(dst []byte, v any) ([]byte, error) {
	return protect(func() ([]byte, error) { return in.textOf(dst, v) })
}

// appendCanonical appends valid JSON with the keys of objects sorted, the last
// of a repeated key kept, no white space, and the text of numbers as it is.
func (in *input) appendCanonical(dst, raw []byte) []byte {
	raw = raw[skipSpace(raw, 0):]
	c := canonical{input: in, data: raw, fields: in.fields[:0]}
	if k := kindAt(raw[0]); k == kindList || k == kindObject {
		c.containers, _ = in.outlined(raw)
	}
	in.step(3 * len(raw))
	in.made(len(raw))
	dst, _, _ = c.value(dst, 0, 0)
	clear(c.fields[:c.most])
	in.fields = kept(c.fields)
	return dst
}

// canonical is a walk through valid JSON. Where it stands is an index into the
// text, and the number of the next container that begins.
type canonical struct {
	*input
	data       []byte
	containers []container
	// fields are those of the objects that are open, most how many there were.
	fields []field
	most   int
}

// field is one of an object: its name and where its value stands.
type field struct {
	name     string
	at, next int
}

func (c *canonical) value(dst []byte, i, next int) ([]byte, int, int) {
	data := c.data
	switch data[i] {
	case '{':
		return c.object(dst, i, next)
	case '[':
		dst, next = append(dst, '['), next+1
		for i = skipSpace(data, i+1); data[i] != ']'; {
			dst, i, next = c.value(dst, i, next)
			if i = skipSpace(data, i); data[i] == ',' {
				dst = append(dst, ',')
				i = skipSpace(data, i+1)
			}
		}
		return append(dst, ']'), i + 1, next
	case '"':
		end := stringEnd(data, i)
		if _, plain := plainText(data[i:end]); plain {
			return append(dst, data[i:end]...), end, next
		}
		c.step(2 * stepsOfEscaped * (end - i))
		text, _ := decodeText(data[i:end])
		return appendHalves(dst, text), end, next
	default:
		end := valueEnd(data, i)
		return append(dst, data[i:end]...), end, next
	}
}

// object lists the fields first, passing over their values: each is looked into
// once, when its turn has come.
func (c *canonical) object(dst []byte, i, next int) ([]byte, int, int) {
	data, own := c.data, c.containers[next]
	end, behind, first, names := int(own.end), int(own.next), len(c.fields), 0
	next++
	for i = skipSpace(data, i+1); data[i] != '}'; {
		stop := stringEnd(data, i)
		var name string
		if inside, plain := plainText(data[i:stop]); plain {
			name = view(inside)
		} else {
			name, _ = decodeText(data[i:stop])
		}
		names += len(name)
		i = skipSpace(data, skipSpace(data, stop)+1)
		c.fields = append(c.fields, field{name, i, next})
		if data[i] == '{' || data[i] == '[' {
			i, next = int(c.containers[next].end), int(c.containers[next].next)
		} else {
			i = valueEnd(data, i)
		}
		if i = skipSpace(data, i); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	last := len(c.fields)
	c.most = max(c.most, last)
	c.made(int(unsafe.Sizeof(field{})) * (last - first))
	c.sorting(last-first, names)
	slices.SortFunc(c.fields[first:], func(a, b field) int {
		return cmp.Or(strings.Compare(a.name, b.name),
			cmp.Compare(a.at, b.at))
	})
	dst = append(dst, '{')
	for n := first; n < last; n++ {
		f := c.fields[n]
		if n+1 < last && c.fields[n+1].name == f.name {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst, _, _ = c.value(append(appendHalves(dst, f.name), ':'), f.at, f.next)
	}
	c.fields = c.fields[:first]
	return append(dst, '}'), end, behind
}
