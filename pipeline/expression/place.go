package expression

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Place is where a template's text goes: it decides what is escaped and refused.
type Place string

// The places of templates. A tag `place:"…"` on a handlers.Template names one.
const (
	PlaceText   Place = "text"   // as it is; objects and lists as JSON
	PlaceURL    Place = "url"    // parts escaped for path or query; no objects or lists; host and scheme constant
	PlaceTopic  Place = "topic"  // must render to a legal topic name
	PlaceHeader Place = "header" // a header's value: no line breaks or other control characters
	PlaceBytes  Place = "bytes"  // the value of a record's header, exact bytes
	PlaceName   Place = "name"   // a file or object name; no objects or lists
	PlaceQuery  Place = "query"  // the value of a URL's parameter, escaped by the sink; no objects or lists
	PlaceKey    Place = "key"    // an idempotency key: parts never null or empty; at least one part
	PlaceBound  Place = "bound"  // a statement: every part, also a constant one, is a value of its own, and never text
	PlaceBody   Place = "body"   // JSON where the template has its form, else text
	// What a body is where its type is written.
	PlaceJSON      Place = "json"       // one JSON value: parts escaped within quotes, else made values
	PlaceJSONLines Place = "json_lines" // the same, a value on each line
	PlaceForm      Place = "form"       // application/x-www-form-urlencoded: parts escaped
)

// PlaceOf is the place of a body of a media type, PlaceText for one that parts
// are not escaped for.
func PlaceOf(contentType string) Place {
	kind, _, _ := strings.Cut(contentType, ";")
	switch kind = strings.ToLower(strings.TrimSpace(kind)); {
	case kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json"):
		return PlaceJSON
	case slices.Contains([]string{"application/x-ndjson", "application/ndjson", "application/jsonl",
		"application/x-jsonlines"}, kind):
		return PlaceJSONLines
	case kind == "application/x-www-form-urlencoded":
		return PlaceForm
	default:
		return PlaceText
	}
}

// takesJSON tells whether objects and lists may stand in the text.
func (p Place) takesJSON() bool {
	return p != PlaceURL && p != PlaceTopic && p != PlaceName && p != PlaceQuery && p != PlaceKey && p != PlaceForm
}

func (p Place) noun() string {
	switch p {
	case PlaceURL:
		return "a URL"
	case PlaceTopic:
		return "a topic name"
	case PlaceName:
		return "a name"
	case PlaceQuery:
		return "a query parameter"
	case PlaceForm:
		return "a form"
	case PlaceKey:
		return "a key"
	default:
		return "text"
	}
}

// position is where in a URL, or in JSON, a part stands.
type position uint8

const (
	inPath   position = iota // one segment of the path, or a part of one
	segment                  // a whole segment of the path
	inQuery                  // after the ?
	inHost                   // the host
	inUser                   // before the @ of the host
	inScheme                 // the very beginning
	inText                   // within the quotes of a JSON text
	asValue                  // where a JSON value stands
)

// location is the position of a part, and of text in a URL where its host ends.
type location struct {
	position position
	host     int
}

// locate tells where each part stands, and makes PlaceBody the place that the
// template's form asks for.
func (t *template) locate(parts []templatePart) ([]location, []Finding) {
	switch t.place {
	case PlaceURL:
		return locateURL(parts), nil
	case PlaceBody, PlaceJSON, PlaceJSONLines:
		return t.locateJSON(parts)
	default:
		return make([]location, len(parts)), nil
	}
}

// literal is text as its place writes it, or what is wrong with it.
func (p Place) literal(part *templatePart, at location) (string, *Finding) {
	from, message, hint := -1, "", ""
	text := part.text
	switch p {
	case PlaceURL:
		text, from = urlText(part.text, at.host)
		message = "a URL has no such %: it stands before two hexadecimal digits"
		hint = "the character itself is written %25"
		if from >= 0 && part.text[from] != '%' {
			message, hint = "a URL holds no control characters", ""
		}
	case PlaceHeader:
		from = strings.IndexFunc(part.text, isControl)
		message = "a header's value holds no line break or other control character"
	}
	if from < 0 {
		return text, nil
	}
	f := &Finding{Code: CodeNeverTaken, Message: message, Hint: hint}
	f.Offset, f.End = part.span(from, from+1)
	return text, f
}

// isControl tells what no header's value holds.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// fit escapes or refuses what a part has appended behind from.
func (p Place) fit(dst []byte, from int, of piece) ([]byte, error) {
	part := dst[from:]
	switch p {
	case PlaceKey:
		if len(part) == 0 {
			return dst, errors.New("it is empty: a part of a key must not be")
		}
	case PlaceName:
		// What is written, or configured, may lead into a folder.
		if !of.part.term.constant && (bytes.ContainsAny(part, "/\\\x00") || string(part) == "." ||
			string(part) == "..") {
			return dst, errors.New("a part of a name must not hold / or \\, nor be . or ..")
		}
	case PlaceHeader:
		if bytes.ContainsFunc(part, isControl) {
			return dst, errors.New("it holds a line break or another control character: a header's value has none")
		}
	case PlaceForm:
		if of.part.outermost != urlEncodeName {
			return append(dst[:from], url.QueryEscape(string(part))...), nil
		}
	case PlaceURL:
		return fitURL(dst, from, of)
	}
	return dst, nil
}

// whole checks what a template has rendered to.
func (p Place) whole(text []byte) error {
	switch {
	case p == PlaceTopic && !legalTopic(text):
		return errors.New("it renders to no legal topic name, which has 1 to 249 letters, digits, '.', '_' and '-'")
	case p == PlaceName && len(text) == 0:
		return errors.New("it renders to an empty name")
	case p == PlaceJSON:
		if err := checkJSON(text); err != nil {
			return fmt.Errorf("what it renders to is no JSON: %w", err)
		}
	case p == PlaceJSONLines && wrongAt(text, true) >= 0:
		return errors.New("what it renders to is no JSON on each line")
	}
	return nil
}

func inTopic(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

func legalTopic(name []byte) bool {
	for _, c := range name {
		if !inTopic(rune(c)) {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 249 && string(name) != "." && string(name) != ".."
}
