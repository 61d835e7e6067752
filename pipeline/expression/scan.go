package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"
)

// checkJSON tells whether data is one JSON value, before anything of it is
// read. The depth comes first, since gjson's check is recursive and a stack
// overflow cannot be recovered from.
func checkJSON(data []byte) error {
	if len(data) == 0 {
		return errors.New("the value is empty: that is not valid JSON")
	}
	if !shallow(data) {
		return fmt.Errorf("the value is JSON nested deeper than %d", maxDepth)
	}
	if gjson.ValidBytes(data) {
		return nil
	}
	var whole json.RawMessage
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(data, &whole)); ok {
		return fmt.Errorf("the value is not valid JSON: it goes wrong at byte %d", e.Offset)
	}
	return errors.New("the value is not valid JSON")
}

func shallow(data []byte) bool {
	// Few brackets are the usual case, and counting them is far cheaper than
	// telling those in strings apart.
	if bytes.Count(data, []byte{'['})+bytes.Count(data, []byte{'{'}) <= maxDepth {
		return true
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = stringEnd(data, i) - 1
		case '[', '{':
			if depth++; depth > maxDepth {
				return false
			}
		case ']', '}':
			depth--
		}
	}
	return true
}

// stringEnd is the index after the string that begins at i, or the length of
// data where it never ends.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(data)
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// valueEnd is the index after the valid JSON value that begins at i.
func valueEnd(data []byte, i int) int {
	switch data[i] {
	case '"':
		return stringEnd(data, i)
	case '{', '[':
		depth := 0
		for ; i < len(data); i++ {
			switch data[i] {
			case '"':
				i = stringEnd(data, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return i
	default:
		for i < len(data) && !ends[data[i]] {
			i++
		}
		return i
	}
}

// ends are the bytes that a number, true, false or null ends at.
var ends = [256]bool{',': true, '}': true, ']': true, ':': true, ' ': true, '\n': true, '\r': true, '\t': true}

// plainText returns the inside of a quoted JSON string where that is the text
// itself: no escapes, and UTF-8.
func plainText(quoted []byte) ([]byte, bool) {
	inside := quoted[1 : len(quoted)-1]
	ascii := true
	for _, c := range inside {
		if c == '\\' {
			return nil, false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return inside, ascii || utf8.Valid(inside)
}

// decodeText is the text of a quoted JSON string, read as encoding/json does:
// what is not UTF-8 and lone surrogates become U+FFFD.
func decodeText(quoted []byte) string {
	if inside, ok := plainText(quoted); ok {
		return string(inside)
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return ""
	}
	return s
}

// decodeNumber reads a JSON number: an integer of 64 bits exactly, a larger one
// as its digits, a fraction as a float64.
func decodeNumber(text []byte) scalar {
	s := view(text)
	whole := true
	for i := range text {
		if c := text[i]; c == '.' || c == 'e' || c == 'E' {
			whole = false
			break
		}
	}
	if whole {
		if len(s) < 19 {
			return scalar{kind: kindNumber, i: smallInt(text)}
		}
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return scalar{kind: kindNumber, i: i}
		}
		return scalar{kind: kindNumber, form: formBig, s: s}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return scalar{kind: kindNumber, form: formBig, s: s}
	}
	return scalar{kind: kindNumber, form: formFloat, f: f}
}

func smallInt(text []byte) int64 {
	var n int64
	negative := false
	for _, c := range text {
		if c == '-' {
			negative = true
			continue
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		return -n
	}
	return n
}

// view is b as a string without a copy, for use while the record is loaded.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// decodeScalar reads a valid JSON value without an allocation where it is plain
// text, a number, true, false or null; of a list or object it tells the kind.
func decodeScalar(raw []byte) scalar {
	switch raw[0] {
	case 'n':
		return scalar{kind: kindNull}
	case 't':
		return scalar{kind: kindBool, b: true}
	case 'f':
		return scalar{kind: kindBool}
	case '"':
		if inside, ok := plainText(raw); ok {
			return scalar{kind: kindText, s: view(inside)}
		}
		return scalar{kind: kindText, s: decodeText(raw)}
	case '{':
		return scalar{kind: kindObject}
	case '[':
		return scalar{kind: kindList}
	default:
		return decodeNumber(raw)
	}
}

// kindAt is the kind of the valid JSON value that begins with c.
func kindAt(c byte) kind {
	switch c {
	case '{':
		return kindObject
	case '[':
		return kindList
	case '"':
		return kindText
	case 't', 'f':
		return kindBool
	case 'n':
		return kindNull
	default:
		return kindNumber
	}
}

// decode reads one valid JSON value whole; nothing in it refers to raw.
func decode(raw []byte) any {
	v, _ := decodeAt(raw, skipSpace(raw, 0))
	return v
}

func decodeAt(data []byte, i int) (any, int) {
	switch data[i] {
	case '{':
		return decodeObject(data, i)
	case '[':
		list := []any{}
		for i = skipSpace(data, i+1); data[i] != ']'; {
			var v any
			v, i = decodeAt(data, i)
			list = append(list, v)
			if i = skipSpace(data, i); data[i] == ',' {
				i = skipSpace(data, i+1)
			}
		}
		return list, i + 1
	case '"':
		end := stringEnd(data, i)
		return decodeText(data[i:end]), end
	default:
		end := valueEnd(data, i)
		s := decodeScalar(data[i:end])
		if s.form == formBig {
			return json.Number(string(data[i:end])), end
		}
		return s.value(), end
	}
}

func decodeObject(data []byte, i int) (any, int) {
	object := map[string]any{}
	for i = skipSpace(data, i+1); data[i] != '}'; {
		end := stringEnd(data, i)
		key := decodeText(data[i:end])
		i = skipSpace(data, skipSpace(data, end)+1)
		object[key], i = decodeAt(data, i)
		if i = skipSpace(data, i); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	return object, i + 1
}
