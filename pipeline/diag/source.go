package diag

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxPaths bounds the memory of recorded paths, in bytes: past it, places are
// those of the nearest recorded parent.
const maxPaths = 16 << 20

// byteOrderMark may stand before all text, and counts as no character.
const byteOrderMark = "\xef\xbb\xbf"

// Source is the text of one configuration file, and where in it each value of
// the configuration stands. It is not safe for concurrent use while values are
// still being recorded.
type Source struct {
	name string
	text []byte
	// shown is the text for excerpts, where text is only a part of it.
	shown []byte
	// lines are the offsets where lines start, for people; yamlLines the same
	// as YAML counts them, which knows more kinds of line breaks.
	lines, yamlLines []int
	// runes are how many characters begin before each stretch of the text.
	runes     []int
	values    map[Path]recorded
	pathBytes int
	masks     []span
	// joined are the masks in order, with those that touch made one, as long as
	// there come no more.
	joined []span
}

// stretch is the length of what is looked through to count characters.
const stretch = 256

type recorded struct{ key, value *yaml.Node }

type span struct{ start, end int }

// Place is a character in a file. A Line of 0 means the file as a whole.
type Place struct {
	File         string
	Line, Column int

	source *Source
	offset int
}

// String is file:line:column.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// NewSource makes a source of a file's text, which must not change afterwards.
// A byte order mark counts as no character.
func NewSource(name string, text []byte) *Source {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	s := &Source{name: name, text: text, shown: text, lines: []int{0}, yamlLines: []int{0}, values: map[Path]recorded{}}
	count := 0
	for i := 0; i < len(text); i++ {
		if i%stretch == 0 {
			s.runes = append(s.runes, count)
		}
		if utf8.RuneStart(text[i]) {
			count++
		}
		switch {
		case text[i] == '\n', text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n'):
			s.lines = append(s.lines, i+1)
			s.yamlLines = append(s.yamlLines, i+1)
		case bytes.HasPrefix(text[i:], []byte("\u0085")):
			s.yamlLines = append(s.yamlLines, i+2)
		case bytes.HasPrefix(text[i:], []byte("\u2028")), bytes.HasPrefix(text[i:], []byte("\u2029")):
			s.yamlLines = append(s.yamlLines, i+3)
		}
	}
	return s
}

// NewPart makes a source of the bytes from start, where a line starts, to end of
// a file's text without a byte order mark. Its places are those of the whole
// file, and its Text has spaces in the place of what stands before the part.
func NewPart(name string, text []byte, start, end int) *Source {
	part := bytes.Clone(text[:end])
	for i, c := range part[:start] {
		if c != '\n' && c != '\r' {
			part[i] = ' '
		}
	}
	s := NewSource(name, part)
	s.shown = text[:end]
	return s
}

// Name is the file's name as it is shown.
func (s *Source) Name() string { return s.name }

// Text is the file's text without a byte order mark. It must not be changed.
func (s *Source) Text() []byte { return s.text }

// Record notes that the value at path stands at value, and its key, where it
// has one, at key.
func (s *Source) Record(path Path, key, value *yaml.Node) {
	if s.pathBytes += len(path); s.pathBytes > maxPaths {
		return
	}
	s.values[path] = recorded{key, value}
}

// Has tells whether the file has a value at path.
func (s *Source) Has(path Path) bool {
	_, ok := s.values[path]
	return ok
}

// Key is the place of the key at path; of a list item, the item's; of a path
// that is not in the file, the nearest key around it.
func (s *Source) Key(path Path) Place {
	r := s.nearest(path)
	if r.key != nil {
		return s.At(s.NodeOffset(r.key))
	}
	if r.value != nil {
		return s.At(s.NodeOffset(r.value))
	}
	return s.At(0)
}

// Value is the place where the value at path starts. Of a value that is not
// written, it is the key's place.
func (s *Source) Value(path Path) Place {
	r, ok := s.values[path]
	if !ok || r.value == nil || implicit(r.value) {
		return s.Key(path)
	}
	return s.At(s.NodeOffset(r.value))
}

// Inside is the place of a byte of the scalar at path, counted in the scalar's
// value: escapes, folded lines and indentation are followed to where that byte
// stands in the file. Where the value is no scalar it is the value's place.
func (s *Source) Inside(path Path, offset int) Place {
	r, ok := s.values[path]
	if !ok || r.value == nil || implicit(r.value) {
		return s.Value(path)
	}
	return s.InsideNode(r.value, offset)
}

// InsideNode is Inside for a node of the source.
func (s *Source) InsideNode(n *yaml.Node, offset int) Place {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return s.At(s.NodeOffset(n))
	}
	return s.At(s.scalarOffset(n, offset))
}

// NodeOffset is the byte of the text where n starts.
func (s *Source) NodeOffset(n *yaml.Node) int {
	if n.Line < 1 {
		return 0
	}
	line := min(n.Line, len(s.yamlLines))
	return s.forward(s.yamlLines[line-1], n.Column-1)
}

// forward moves over count characters, however long the line is.
func (s *Source) forward(offset, count int) int {
	if count <= 0 || offset >= len(s.text) {
		return offset
	}
	want := s.characters(offset) + count
	// The character begins in the last stretch before which there are no more.
	after, _ := slices.BinarySearch(s.runes, want+1)
	at := max(offset, (after-1)*stretch)
	for n := s.characters(at); at < len(s.text); at++ {
		if utf8.RuneStart(s.text[at]) {
			if n == want {
				break
			}
			n++
		}
	}
	return at
}

// characters counts those that begin before a byte.
func (s *Source) characters(offset int) int {
	if len(s.runes) == 0 {
		return 0
	}
	i := min(offset/stretch, len(s.runes)-1)
	n := s.runes[i]
	for _, c := range s.text[i*stretch : offset] {
		if utf8.RuneStart(c) {
			n++
		}
	}
	return n
}

// At is the place of a byte of the text.
func (s *Source) At(offset int) Place {
	offset = max(0, min(offset, len(s.text)))
	line, _ := slices.BinarySearch(s.lines, offset+1)
	column := s.characters(offset) - s.characters(s.lines[line-1]) + 1
	return Place{File: s.name, Line: line, Column: column, source: s, offset: offset}
}

// Whole is the file as a whole, without a line.
func (s *Source) Whole() Place { return Place{File: s.name, source: s} }

func (s *Source) nearest(path Path) recorded {
	for {
		if r, ok := s.values[path]; ok || path == "" {
			return r
		}
		path = path.Parent()
	}
}

// implicit tells whether nothing was written for the value.
func implicit(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" &&
		n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// Comment returns the comment that ends the line of the plain scalar at path:
// its place, the white space before it, and its text from the # on.
func (s *Source) Comment(path Path) (place Place, between, comment string, ok bool) {
	n := s.values[path].value
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.ScalarNode || n.Value == "" || n.Style&^yaml.TaggedStyle != 0 {
		return Place{}, "", "", false
	}
	end := s.scalarOffset(n, len(n.Value)-1) + 1
	rest := s.text[min(end, len(s.text)):]
	if i := bytes.IndexAny(rest, "\r\n"); i >= 0 {
		rest = rest[:i]
	}
	text := bytes.TrimLeft(rest, " \t")
	if len(text) == 0 || text[0] != '#' || len(text) == len(rest) {
		return Place{}, "", "", false
	}
	white := len(rest) - len(text)
	return s.At(end + white), string(rest[:white]), string(bytes.TrimRight(text, " \t")), true
}
