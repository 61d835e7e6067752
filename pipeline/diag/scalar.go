package diag

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// scalarOffset finds the byte of the text that the byte at offset of the
// scalar's value came from.
func (s *Source) scalarOffset(n *yaml.Node, offset int) int {
	start := s.contentStart(n)
	w := scalarWalk{text: s.text, at: start, style: n.Style}
	for v := 0; v < offset && v < len(n.Value); {
		v += w.step(n.Value[v:])
	}
	if offset < len(n.Value) && !space(n.Value[offset]) {
		w.skipSpace()
	}
	return min(w.at, len(s.text))
}

// contentStart is where the first character of a scalar's value can stand:
// behind its anchor, tag, quote or block header.
func (s *Source) contentStart(n *yaml.Node) int {
	at := s.NodeOffset(n)
	for at < len(s.text) && (n.Anchor != "" && s.text[at] == '&' ||
		n.Style&yaml.TaggedStyle != 0 && s.text[at] == '!') {
		for at < len(s.text) && !space(s.text[at]) {
			at++
		}
		for at < len(s.text) && space(s.text[at]) {
			at++
		}
	}
	switch {
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return at + 1
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		if end := bytes.IndexAny(s.text[min(at, len(s.text)):], "\r\n"); end >= 0 {
			return at + end
		}
	}
	return at
}

// scalarWalk follows a scalar's value through the text that it was read from.
// White space is matched loosely, since folding and indentation change it; all
// other characters exactly.
type scalarWalk struct {
	text  []byte
	at    int
	style yaml.Style
}

// step moves over what the next character of the value came from and returns
// that character's length in the value.
func (w *scalarWalk) step(value string) int {
	_, size := utf8.DecodeRuneInString(value)
	double := w.style&yaml.DoubleQuotedStyle != 0
	for double && w.continuation() {
	}
	if !space(value[0]) {
		w.skipSpace()
	}
	switch {
	case w.at >= len(w.text):
	case double && w.text[w.at] == '\\':
		w.at += escapeLength(w.text[w.at:])
	case space(value[0]):
		if space(w.text[w.at]) {
			w.at += breakLength(w.text[w.at:])
		}
	case w.style&yaml.SingleQuotedStyle != 0 && bytes.HasPrefix(w.text[w.at:], []byte("''")):
		w.at += 2
	case bytes.HasPrefix(w.text[w.at:], []byte(value[:size])):
		w.at += size
	}
	return size
}

func (w *scalarWalk) skipSpace() {
	for w.at < len(w.text) && space(w.text[w.at]) {
		w.at++
	}
	if w.style&yaml.DoubleQuotedStyle != 0 && w.continuation() {
		w.skipSpace()
	}
}

// continuation skips a backslash at the end of a line and the next line's
// indentation, which leave nothing in the value.
func (w *scalarWalk) continuation() bool {
	rest := w.text[min(w.at, len(w.text)):]
	if len(rest) < 2 || rest[0] != '\\' || rest[1] != '\n' && rest[1] != '\r' {
		return false
	}
	w.at += 1 + breakLength(rest[1:])
	for w.at < len(w.text) && (w.text[w.at] == ' ' || w.text[w.at] == '\t') {
		w.at++
	}
	return true
}

// escapeLength is the length of the escape sequence that text starts with.
func escapeLength(text []byte) int {
	if len(text) < 2 {
		return len(text)
	}
	digits := 0
	switch text[1] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	}
	length := min(2+digits, len(text))
	if digits == 4 && surrogatePair(text) {
		length = 12
	}
	return length
}

func surrogatePair(text []byte) bool {
	if len(text) < 12 || text[6] != '\\' || text[7] != 'u' {
		return false
	}
	high, err := strconv.ParseUint(string(text[2:6]), 16, 32)
	return err == nil && high >= 0xD800 && high < 0xDC00
}

func breakLength(text []byte) int {
	if bytes.HasPrefix(text, []byte("\r\n")) {
		return 2
	}
	return 1
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
