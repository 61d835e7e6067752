package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
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
		if utf8.Valid(data) {
			return nil
		}
		// RFC 8259 knows no other text. Read with a stand-in for what is not
		// UTF-8, two values would become one.
		return fmt.Errorf("the value is not valid JSON: it is not UTF-8 at byte %d", badByte(view(data))+1)
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

// badByte is the index of the first byte that is not UTF-8.
func badByte(text string) int {
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	return at
}

// plainText returns the inside of a quoted JSON string where that is the text
// itself: no escapes.
func plainText(quoted []byte) ([]byte, bool) {
	inside := quoted[1 : len(quoted)-1]
	return inside, bytes.IndexByte(inside, '\\') < 0
}

// half is in the place of text that holds one half of a surrogate pair, such as
// "\ud800": it names no character. It can be passed on and copied, and is an
// error wherever it is read, since any stand-in would make two texts one.
type half struct{}

// halfText is what an error says of it.
const halfText = "text with half of a surrogate pair, such as \\ud800"

// decodeText is the text of a quoted JSON string. Half of a surrogate pair, for
// which whole is false, is in it as its three bytes, which are not UTF-8: so the
// text differs from all others.
func decodeText(quoted []byte) (text string, whole bool) {
	if inside, ok := plainText(quoted); ok {
		return string(inside), true
	}
	out, whole := unescape(make([]byte, 0, len(quoted)), quoted)
	return string(out), whole
}

// unescape appends what decodeText returns.
func unescape(dst, quoted []byte) (out []byte, whole bool) {
	whole = true
	inside := quoted[1 : len(quoted)-1]
	for {
		i := bytes.IndexByte(inside, '\\')
		if i < 0 {
			return append(dst, inside...), whole
		}
		dst = append(dst, inside[:i]...)
		c := inside[i+1]
		inside = inside[i+2:]
		if c != 'u' {
			dst = append(dst, unescaped(c))
			continue
		}
		r := hexRune(inside)
		inside = inside[4:]
		if utf16.IsSurrogate(r) {
			pair := utf8.RuneError
			if len(inside) >= 6 && inside[0] == '\\' && inside[1] == 'u' {
				pair = utf16.DecodeRune(r, hexRune(inside[2:]))
			}
			if pair == utf8.RuneError {
				dst, whole = append(dst, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F), false
				continue
			}
			r, inside = pair, inside[6:]
		}
		dst = utf8.AppendRune(dst, r)
	}
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

// hexRune is the number of the four hexadecimal digits at the start of text.
func hexRune(text []byte) rune {
	var r rune
	for _, c := range text[:4] {
		switch {
		case c >= 'a':
			c -= 'a' - 10
		case c >= 'A':
			c -= 'A' - 10
		default:
			c -= '0'
		}
		r = r<<4 | rune(c)
	}
	return r
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

// scalarAt is decodeScalar, and charges it.
func (in *input) scalarAt(raw []byte) scalar {
	switch raw[0] {
	case '"':
		in.step(len(raw) / scannedAStep)
		if _, plain := plainText(raw); !plain {
			in.step(stepsOfEscaped * len(raw))
			in.made(2 * len(raw))
		}
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		s := decodeNumber(raw)
		in.parsed(s, len(raw))
		return s
	}
	return decodeScalar(raw)
}

// parsed charges a number that was read from n bytes of text.
func (a *account) parsed(s scalar, n int) {
	switch {
	case s.form == formBig:
		// Its digits are kept as text, and an error is made on the way.
		a.step(2 * (stepsOfFraction + n))
		a.made(sizeOfText(3 * n))
	case s.form == formInt:
	case s.f != 0 && math.Abs(s.f) < smallestExact || s.f == 0 && n > len("-0.0"):
		a.step(stepsOfTiny)
	case n > 15:
		a.step(stepsOfDigits)
	default:
		a.step(stepsOfFraction)
	}
}

// smallestExact is the smallest float64 with all of its digits. Smaller ones, and
// what becomes 0, are read by long division.
const smallestExact = 0x1p-1022

// decodeScalar reads a valid JSON value without an allocation where it is plain
// text, a number, true, false or null; of a list, an object or a half it tells
// the kind.
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
		text, whole := decodeText(raw)
		if !whole {
			return scalar{kind: kindHalf}
		}
		return scalar{kind: kindText, s: text}
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
