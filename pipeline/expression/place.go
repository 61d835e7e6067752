package expression

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
)

// Place is where a template's text goes: it decides what is escaped and refused.
type Place string

// The places of templates. A tag `place:"…"` on a handlers.Template names one.
const (
	PlaceText   Place = "text"   // as it is; objects and lists as JSON
	PlaceURL    Place = "url"    // parts escaped for path or query; no objects or lists; host and scheme constant
	PlaceTopic  Place = "topic"  // must render to a legal topic name
	PlaceHeader Place = "header" // a header's value, exact bytes
	PlaceName   Place = "name"   // a file or object name; no objects or lists
	PlaceQuery  Place = "query"  // the value of a URL's parameter, escaped by the sink; no objects or lists
	PlaceKey    Place = "key"    // an idempotency key: parts never null or empty; at least one part
)

// takesJSON tells whether objects and lists may stand in the text.
func (p Place) takesJSON() bool {
	return p != PlaceURL && p != PlaceTopic && p != PlaceName && p != PlaceQuery && p != PlaceKey
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
	case PlaceKey:
		return "a key"
	default:
		return "text"
	}
}

// position is where in a URL a part stands.
type position uint8

const (
	inPath   position = iota // one segment of the path, or a part of one
	segment                  // the beginning of a segment of the path
	inQuery                  // after the ?
	inHost                   // the host
	inScheme                 // the very beginning
)

// urlPosition is where the next part of a URL stands.
func (t *template) urlPosition() position {
	var before strings.Builder
	for _, p := range t.pieces {
		if p.part != nil {
			before.WriteByte('x')
		}
		before.WriteString(p.text)
	}
	text := before.String()
	// What is not known yet, at the beginning, may be scheme and host in one.
	open := strings.HasPrefix(text, Unknown) || len(t.pieces) > 0 && t.pieces[0].part != nil
	scheme, after, found := strings.Cut(text, "://")
	switch {
	case found && !strings.ContainsAny(scheme, "/?#"):
		if !strings.ContainsAny(after, "/?#") && !strings.Contains(after, Unknown) {
			return inHost
		}
	case !open:
		return inScheme
	}
	switch {
	case strings.Contains(text, "?"):
		return inQuery
	case strings.HasSuffix(text, "/"):
		return segment
	default:
		return inPath
	}
}

// fit escapes or refuses what a part has appended behind from.
func (p Place) fit(dst []byte, from int, at position) ([]byte, error) {
	part := dst[from:]
	switch p {
	case PlaceKey:
		if len(part) == 0 {
			return dst, errors.New("it is empty: a part of a key must not be")
		}
	case PlaceName:
		if bytes.ContainsAny(part, "/\\\x00") || string(part) == "." || string(part) == ".." {
			return dst, errors.New("a part of a name must not hold / or \\, nor be . or ..")
		}
	case PlaceURL:
		return fitURL(dst, from, at)
	}
	return dst, nil
}

func fitURL(dst []byte, from int, at position) ([]byte, error) {
	part := string(dst[from:])
	switch at {
	case inQuery:
		return append(dst[:from], url.QueryEscape(part)...), nil
	case inScheme:
		return dst, nil
	case inHost:
		for _, c := range part {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".-_:[]", c)) {
				return dst, errors.New("it cannot be a part of a host")
			}
		}
		return dst, nil
	case segment:
		// Servers take these for a step up or for nothing, escaped or not.
		if part == "." || part == ".." {
			return dst, errors.New("it is . or .., which a URL's path cannot hold")
		}
	}
	return append(dst[:from], url.PathEscape(part)...), nil
}

// whole checks what a template has rendered to.
func (p Place) whole(text []byte) error {
	switch {
	case p == PlaceTopic && !legalTopic(text):
		return errors.New("it renders to no legal topic name, which has 1 to 249 letters, digits, '.', '_' and '-'")
	case p == PlaceName && len(text) == 0:
		return errors.New("it renders to an empty name")
	}
	return nil
}

func legalTopic(name []byte) bool {
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 249 && string(name) != "." && string(name) != ".."
}
