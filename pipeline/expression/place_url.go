package expression

import (
	"bytes"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// locateURL tells where in a URL each part stands, and each text from where on
// it is behind scheme and host. What is constant is escaped as any other part,
// but where it begins the URL: there it is one, or the beginning of one.
func locateURL(parts []templatePart) []location {
	at := make([]location, len(parts))
	before := ""
	// Where a record, or what is not known yet, begins the URL, it is scheme and
	// host in one.
	open := len(parts) > 0 && parts[0].expr && (!parts[0].made.term.constant || parts[0].made.term.isUnknown())
	for i := range parts {
		p := &parts[i]
		text := p.text
		if p.expr {
			at[i].position = urlPosition(before, textAround(parts[i+1:]), open && i > 0)
			text = "x"
			if at[i].position == inScheme && p.made.term.constant && !p.made.term.isUnknown() {
				constant, _ := p.made.appendPart(nil, aside(), PlaceURL, inScheme)
				text = string(constant)
			}
		}
		at[i].host = max(0, hostEnd(before+text, open && i > 0)-len(before))
		before += text
	}
	return at
}

// textAround is a template's text with an x for each part.
func textAround(parts []templatePart) string {
	var shape strings.Builder
	for i := range parts {
		if parts[i].expr {
			shape.WriteByte('x')
		} else {
			shape.WriteString(parts[i].text)
		}
	}
	return shape.String()
}

// urlPosition is where in a URL a part stands between two texts.
func urlPosition(before, after string, open bool) position {
	scheme, rest, found := strings.Cut(before, "://")
	switch {
	case found && !strings.ContainsAny(scheme, "/?#"):
		if !strings.ContainsAny(rest, "/?#") {
			if end := strings.IndexAny(after, "/?#"); end >= 0 {
				after = after[:end]
			}
			if strings.Contains(after, "@") {
				return inUser
			}
			return inHost
		}
	case !open:
		return inScheme
	}
	switch {
	case strings.Contains(before, "?"):
		return inQuery
	case strings.HasSuffix(before, "/") && (after == "" || strings.IndexByte("/?#", after[0]) >= 0):
		return segment
	default:
		return inPath
	}
}

// hostEnd is where in a URL's text scheme and host end.
func hostEnd(text string, open bool) int {
	scheme, rest, found := strings.Cut(text, "://")
	switch {
	case found && !strings.ContainsAny(scheme, "/?#"):
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			return len(text) - len(rest) + end
		}
	case open:
		return 0
	}
	return len(text)
}

// urlText is text of a URL with what no URL may hold escaped, from host on. Bad
// is the index of what can't be, -1 where all can.
func urlText(text string, host int) (escaped string, bad int) {
	var out strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c < ' ' || c == 0x7f:
			return text, i
		case i < host:
			out.WriteByte(c)
		case c == '%' && !isEscape(text[i:]):
			return text, i
		case c == ' ' || c >= 0x80 || strings.IndexByte("\"<>\\^`{|}", c) >= 0:
			out.WriteString(escape(c))
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), -1
}

// userText is a part of what stands before the @ of a host. Its colon parts a
// name from a password.
func userText(part string) string {
	var out strings.Builder
	for i := range len(part) {
		if c := part[i]; inTopic(rune(c)) || c == '~' || c == ':' {
			out.WriteByte(c)
		} else {
			out.WriteString(escape(c))
		}
	}
	return out.String()
}

func isEscape(text string) bool {
	const digits = "0123456789abcdefABCDEF"
	return len(text) >= 3 && strings.IndexByte(digits, text[1]) >= 0 && strings.IndexByte(digits, text[2]) >= 0
}

func escape(c byte) string { return string([]byte{'%', upperHex[c>>4], upperHex[c&15]}) }

const upperHex = "0123456789ABCDEF"

func fitURL(dst []byte, from int, of piece) ([]byte, error) {
	part := string(dst[from:])
	encoded := of.part.outermost == urlEncodeName
	switch of.position {
	case inQuery:
		if encoded {
			return dst, nil
		}
		return append(dst[:from], url.QueryEscape(part)...), nil
	case inScheme:
		return dst, nil
	case inUser:
		return append(dst[:from], userText(part)...), nil
	case inHost:
		for _, c := range part {
			international := c >= 0x80 && of.part.term.constant
			if !inTopic(c) && !international && !strings.ContainsRune(":[]", c) {
				return dst, errors.New("it cannot be a part of a host")
			}
		}
		return dst, nil
	case segment:
		if slices.Contains(noSegments, part) {
			return dst, errors.New("it is " + noSegment)
		}
	}
	if encoded {
		return dst, nil
	}
	return append(dst[:from], url.PathEscape(part)...), nil
}

// urlEncodeName is the function whose text stands as it is where text is encoded.
const urlEncodeName = "urlEncode"

// noSegments are segments that servers take for nothing or for a step up, escaped
// or not, so that the request would be another one.
var noSegments = []string{"", ".", ".."}

const noSegment = "empty, . or .., which no segment of a URL's path can be"

// checkSegments looks at the segments of a rendered URL's path that several pieces
// have made. Ends are where the pieces end in it.
func (t *template) checkSegments(text []byte, ends []int) error {
	for i, p := range t.pieces {
		if p.part == nil || p.position != inPath {
			continue
		}
		from := bytes.LastIndexByte(text[:ends[i]], '/') + 1
		made := text[from:]
		if end := bytes.IndexAny(made, "/?#"); end >= 0 {
			made = made[:end]
		}
		if slices.Contains(noSegments, string(made)) {
			return errors.New("a segment of the path is " + noSegment)
		}
	}
	return nil
}
