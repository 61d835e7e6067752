package diag

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Region is a range of a file's text; the zero value is none. End is the place
// behind its last character.
type Region struct{ Start, End Place }

// IsZero tells whether the region is none at all.
func (r Region) IsZero() bool { return r.Start.source == nil }

// Edit is a change of one file's text.
type Edit struct {
	Region Region
	Text   string
}

// Edit is the change that mends the problem, where a certain one is known.
func (p Problem) Edit() (Edit, bool) {
	if p.Fix == "" {
		return Edit{}, false
	}
	at := p.FixAt
	if at.IsZero() {
		if p.Place.source == nil {
			return Edit{}, false
		}
		var ok bool
		if at, ok = p.Place.source.Scalar(p.Path); !ok {
			return Edit{}, false
		}
	}
	return Edit{at, p.Fix}, true
}

// Apply makes the changes to the text of a file, as it is on disk. Of changes
// that overlap, the first of the list counts; the others, and those of other
// files, are left out.
func Apply(text []byte, name string, edits []Edit) []byte {
	body, bom := bytes.CutPrefix(text, []byte(byteOrderMark))
	var chosen []Edit
	for _, e := range edits {
		clash := func(o Edit) bool {
			return e.Region.Start.offset < o.Region.End.offset && o.Region.Start.offset < e.Region.End.offset ||
				e.Region.Start.offset == o.Region.Start.offset
		}
		if e.Region.Start.File == name && e.Region.End.offset <= len(body) && !slices.ContainsFunc(chosen, clash) {
			chosen = append(chosen, e)
		}
	}
	slices.SortFunc(chosen, func(a, b Edit) int { return a.Region.Start.offset - b.Region.Start.offset })
	var out []byte
	if bom {
		out = append(out, byteOrderMark...)
	}
	at := 0
	for _, e := range chosen {
		out = append(append(out, body[at:e.Region.Start.offset]...), e.Text...)
		at = e.Region.End.offset
	}
	return append(out, body[at:]...)
}

// Range is the region between two bytes of the text.
func (s *Source) Range(start, end int) Region { return Region{s.At(start), s.At(end)} }

// RestOfLine is the region from a byte of the text to the end of its line,
// without white space at its end.
func (s *Source) RestOfLine(start int) Region {
	rest := s.text[min(start, len(s.text)):]
	if i := bytes.IndexAny(rest, "\r\n"); i >= 0 {
		rest = rest[:i]
	}
	return s.Range(start, start+len(bytes.TrimRight(rest, " \t")))
}

// Written is the text of a region.
func (s *Source) Written(r Region) string { return string(s.text[r.Start.offset:r.End.offset]) }

// Around is the region of a list in brackets that holds only what stands at
// item; zero where something else stands there too.
func (s *Source) Around(list *yaml.Node, item Region) Region {
	start, end := s.NodeOffset(list), item.End.offset
	for end < len(s.text) && space(s.text[end]) {
		end++
	}
	if end == len(s.text) || s.text[end] != ']' {
		return Region{}
	}
	return s.Range(start, end+1)
}

// FromValue is the region from the value at path to the end of its line.
func (s *Source) FromValue(path Path) Region {
	r := s.values[path]
	if r.value == nil {
		return Region{}
	}
	return s.RestOfLine(s.NodeOffset(r.value))
}

// Scalar is where the scalar at path is written, with its quotes and without its
// anchor and tag. Of a block of lines, and of what is no scalar or not written,
// there is none.
func (s *Source) Scalar(path Path) (Region, bool) {
	r, ok := s.values[path]
	if !ok || r.value == nil {
		return Region{}, false
	}
	return s.ScalarNode(r.value)
}

// ScalarNode is Scalar for a node of the source.
func (s *Source) ScalarNode(n *yaml.Node) (Region, bool) {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode || implicit(n) || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return Region{}, false
	}
	start := s.contentStart(n)
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		start--
		end := start + ClosingQuote(s.text[start:]) + 1
		if end == start {
			end = len(s.text)
		}
		return s.Range(start, end), true
	}
	last := n.Value[:len(n.Value)-1]
	for !utf8.RuneStart(n.Value[len(last)]) {
		last = last[:len(last)-1]
	}
	return s.Range(start, s.scalarOffset(n, len(last))+len(n.Value)-len(last)), true
}

// ClosingQuote is where the text in YAML's quotes ends that text begins with, -1 where it
// is never closed.
func ClosingQuote[T string | []byte](text T) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case text[i] != quote:
		case quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return i
		}
	}
	return -1
}

// Spell is how text is written in the place of the scalar at path: in the same
// kind of quotes, and with quotes where it needs them. Of a scalar of several
// lines only the part that differs is replaced. It returns "" where text can't
// be put there.
func (s *Source) Spell(path Path, text string) (string, Region) {
	n := s.values[path].value
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.ScalarNode || text == "" {
		return "", Region{}
	}
	region, ok := s.ScalarNode(n)
	if !ok || region.Start.Line != region.End.Line {
		return s.spellPart(n, text)
	}
	written := string(s.text[region.Start.offset:region.End.offset])
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		return Quote(text), region
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return doubleQuote(text), region
	case readsAs("{a: "+text+"}", text), !readsAs("{a: "+written+"}", n.Value) && readsAs("a: "+text, text):
		return text, region
	default:
		return Quote(text), region
	}
}

// spellPart replaces what differs within a scalar of several lines.
func (s *Source) spellPart(n *yaml.Node, text string) (string, Region) {
	from := 0
	for from < len(text) && from < len(n.Value) && text[from] == n.Value[from] {
		from++
	}
	back := 0
	for back < len(text)-from && back < len(n.Value)-from && text[len(text)-1-back] == n.Value[len(n.Value)-1-back] {
		back++
	}
	for from > 0 && from < len(text) && !utf8.RuneStart(text[from]) {
		from--
	}
	for back > 0 && !utf8.RuneStart(text[len(text)-back]) {
		back--
	}
	part, old := text[from:len(text)-back], n.Value[from:len(n.Value)-back]
	if part == "" && (from == 0 || n.Value[from-1] == '\n') {
		return "", Region{}
	}
	escaped := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && strings.ContainsAny(part+old, "'\"\\")
	if escaped || strings.ContainsAny(part+old, "\n\r") {
		return "", Region{}
	}
	start := s.scalarOffset(n, from)
	if part == "" {
		// Fix is empty where there is none: take the character before along.
		_, size := utf8.DecodeLastRuneInString(n.Value[:from])
		part = n.Value[from-size : from]
		return part, s.Range(start-size, start+len(old))
	}
	return part, s.Range(start, start+len(old))
}

// readsAs tells whether a map's text has the key a with just this text.
func readsAs(document, text string) bool {
	var n yaml.Node
	if yaml.Unmarshal([]byte(document), &n) != nil || len(n.Content) != 1 || len(n.Content[0].Content) != 2 {
		return false
	}
	value := n.Content[0].Content[1]
	return value.Kind == yaml.ScalarNode && value.Value == text && value.Anchor == "" && value.Style == 0 &&
		value.LineComment == ""
}

// Quote is text in single quotes, as YAML writes it.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func doubleQuote(text string) string {
	out, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: text})
	if err != nil || bytes.Count(out, []byte("\n")) != 1 {
		return Quote(text)
	}
	return strings.TrimSuffix(string(out), "\n")
}
