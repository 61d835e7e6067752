package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// locateJSON tells where in JSON each part stands: within the quotes of a text,
// or where a value does. A body without a type is JSON where its own text, with
// values in the places of its parts, has the form of it.
func (t *template) locateJSON(parts []templatePart) ([]location, []Finding) {
	at := make([]location, len(parts))
	starts := make([]int, len(parts))
	var form strings.Builder
	quoted, own := false, false
	for i := range parts {
		p := &parts[i]
		starts[i] = form.Len()
		switch {
		case !p.expr:
			quoted = quotedAfter(p.text, quoted)
			own = own || strings.TrimSpace(p.text) != ""
			form.WriteString(p.text)
		case quoted:
			at[i].position = inText
			form.WriteByte('x')
		default:
			at[i].position = asValue
			form.WriteString(`"x"`)
		}
	}
	wrong := wrongAt([]byte(form.String()), t.place == PlaceJSONLines)
	if t.place == PlaceBody {
		if wrong < 0 && (own || alreadyJSON(parts)) {
			t.place = PlaceJSON
			return at, nil
		}
		t.place, at = PlaceText, make([]location, len(parts))
		text := strings.TrimSpace(form.String())
		list := strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]")
		if !list && !strings.HasPrefix(text, "{") {
			return at, nil
		}
	}
	if wrong < 0 {
		return at, nil
	}
	f := Finding{Code: CodeNotJSON, Message: "this is no JSON, which the type of the body says",
		Hint: "correct the text, or the Content-Type"}
	if t.place == PlaceText {
		f.Message = "this looks like JSON and is none: it goes as text, and what is put into it is not escaped"
		f.Warning, f.Hint = true, "correct it; where text is meant, a Content-Type says so"
	}
	i := len(parts) - 1
	for starts[i] > wrong {
		i--
	}
	if f.Offset, f.End = parts[i].span(wrong-starts[i], wrong-starts[i]+1); parts[i].expr {
		f.Offset, f.End = parts[i].inside()
	}
	return at, []Finding{f}
}

// alreadyJSON tells that nothing but toJSON(…) makes a text.
func alreadyJSON(parts []templatePart) bool {
	for i := range parts {
		if parts[i].expr && parts[i].made.outermost != toJSONName {
			return false
		}
	}
	return true
}

const toJSONName = "toJSON"

// quotedAfter tells whether a text of JSON ends within quotes.
func quotedAfter(text string, quoted bool) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '\\' && quoted:
			i++
		}
	}
	return quoted
}

// wrongAt is the index where text stops to be JSON, or a JSON value on each
// line; -1 where it is.
func wrongAt(text []byte, lines bool) int {
	if !lines {
		if checkJSON(text) == nil {
			return -1
		}
		var whole json.RawMessage
		if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(text, &whole)); ok {
			return max(0, min(int(e.Offset), len(text))-1)
		}
		return 0
	}
	from := 0
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) > 0 {
			if at := wrongAt(line, false); at >= 0 {
				return from + at
			}
		}
		from += len(line)
	}
	return -1
}

// appendToJSON appends a part of a JSON text. What is just a path is copied as
// the record has it.
func (e *expression) appendToJSON(dst []byte, in *input, at position, oneLine bool) ([]byte, error) {
	v, raw, err := e.copied(in)
	switch {
	case err != nil:
		return dst, err
	case raw == nil && v == nil:
		return dst, errors.New("it is null: toJSON(…) makes it a value")
	case at == inText && raw != nil && raw[0] == '"':
		return append(dst, raw[1:len(raw)-1]...), nil
	case at == inText:
		if raw == nil {
			if raw, err = in.appendAsText(nil, v); err != nil {
				return dst, err
			}
		}
		if !utf8.Valid(raw) {
			return dst, errNotUTF8
		}
		return appendEscaped(dst, string(raw)), nil
	case raw != nil && oneLine && bytes.ContainsAny(raw, "\r\n"):
		var line bytes.Buffer
		if err := json.Compact(&line, raw); err != nil {
			return dst, fmt.Errorf("it is no JSON: %w", err)
		}
		return append(dst, line.Bytes()...), nil
	case raw != nil:
		return append(dst, raw...), nil
	}
	if text, ok := v.(string); ok && e.outermost == toJSONName {
		return append(dst, text...), nil
	}
	return in.appendResult(dst, v)
}
