package yamlconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
)

// The limits of one file.
const (
	// MaxBytes is how long a file may be.
	MaxBytes = 1 << 20
	// MaxDepth is how deep values may be nested, aliases followed.
	MaxDepth = 64
	// MaxValues is how many keys and values a file may have.
	MaxValues = 100_000
	// MaxAliased is how many values all aliases of a file may stand for.
	MaxAliased = 50_000
	// maxKey is how long a key may be.
	maxKey = 256
)

// Document is one parsed file.
type Document struct {
	// Source knows the places of the file.
	Source *diag.Source
	// root is nil for an empty file.
	root *yaml.Node
	// eaten are the paths of values of which it was reported that they lack quotes.
	eaten      map[*yaml.Node]diag.Path
	vocabulary *Vocabulary
}

// ParseSource parses a file, or a part of one. The problems say what in it is no
// YAML, with the line and column that a person would point to. It returns nil where
// the text can't be used at all; what only lacks quotes is taken as it was meant.
// Excerpts of what is no YAML show no secrets; of a document, MaskSecrets and
// decoding see to that.
func ParseSource(source *diag.Source, v *Vocabulary) (*Document, diag.Problems) {
	document, problems := parse(source)
	if len(problems) > 0 {
		MaskLines(source, problems, v)
	}
	if document != nil {
		document.vocabulary = v
	}
	return document, problems
}

func parse(source *diag.Source) (*Document, diag.Problems) {
	var problems diag.Problems
	if len(source.Text()) > MaxBytes {
		problems.Add(diag.Problem{Place: source.Whole(), Code: diag.CodeTooLarge,
			Message: fmt.Sprintf("the file is larger than %d MiB", MaxBytes>>20),
			Hint:    "split it into several files and give them with repeated -f"})
		return nil, problems
	}
	if at, message := unreadable(source.Text()); at >= 0 {
		problems.Add(diag.Problem{Place: source.At(at), Code: diag.CodeSyntax, Message: message,
			Hint: "save the file as UTF-8 text"})
		return nil, problems
	}
	if at := tooMany(source.Text()); at >= 0 {
		problems.Add(diag.Problem{Place: source.At(at), Code: diag.CodeTooLarge, Message: manyValues,
			Hint: "split the file into several and give them with repeated -f"})
		return nil, problems
	}
	around := eatenTexts{source: source, text: withoutVersion(source.Text()), texts: map[int]eatenText{}}
	var first yaml.Node
	decoder, reader, err := around.decode(&first, &problems)
	if errors.Is(err, io.EOF) {
		return &Document{Source: source}, problems
	} else if err != nil {
		return nil, problems
	}
	eaten, certain := around.restore(first.Content[0], problems)
	if !certain {
		return nil, problems
	}
	if p, ok := secondDocument(source, decoder, reader); ok {
		problems.Add(p)
		return nil, problems
	}
	if p, ok := exceeds(source, first.Content[0]); ok {
		problems.Add(p)
		return nil, problems
	}
	return &Document{Source: source, root: first.Content[0], eaten: eaten}, problems
}

var manyValues = fmt.Sprintf("the file has more than %d keys and values", MaxValues)

// tooMany is where a file is past its number of keys and values, told by colons
// and commas before any memory goes into them; -1 where it is not.
func tooMany(text []byte) int {
	count := 0
	for i, c := range text {
		switch {
		case c == ',':
			count++
		case c == ':' && (i+1 == len(text) || space(text[i+1])):
			count += 2
		}
		if count > MaxValues {
			return i
		}
	}
	return -1
}

// withoutVersion makes a comment of a directive such as %YAML 1.2 on the first
// line, which the parser takes only for 1.1.
func withoutVersion(text []byte) []byte {
	at := bytes.Index(text, []byte("%YAML 1."))
	if at < 0 || len(bytes.TrimLeft(text[:at], " \r\n")) > 0 || at > 0 && text[at-1] != '\n' {
		return text
	}
	text = bytes.Clone(text)
	text[at] = '#'
	return text
}

// Root is the whole document; its IsNull is true for an empty file.
func (doc *Document) Root() Node { return Node{value: doc.root} }

// Count is how many entries the value of a key of the outermost level has.
func (doc *Document) Count(key string) int {
	if doc.root == nil || doc.root.Kind != yaml.MappingNode {
		return 0
	}
	for i := 0; i+1 < len(doc.root.Content); i += 2 {
		value := doc.root.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if doc.root.Content[i].Value == key && value.Kind == yaml.MappingNode {
			return len(value.Content) / 2
		}
	}
	return 0
}

// secondDocument looks for anything behind the first document.
func secondDocument(source *diag.Source, decoder *yaml.Decoder, reader *countingReader) (diag.Problem, bool) {
	var second yaml.Node
	err := decode(decoder, &second)
	if errors.Is(err, io.EOF) {
		return diag.Problem{}, false
	}
	if at, ok := documentMark(source); ok {
		return diag.Problem{Place: source.At(at), Code: diag.CodeSecondDocument,
			Message: "a second YAML document starts here",
			Hint:    "keep one document a file; several files can be given with repeated -f"}, true
	}
	if err == nil {
		return diag.Problem{}, false
	}
	p, _, _ := syntaxProblem(source, reader.text, err, reader.read)
	return p, true
}

// documentMark finds the second `---`, or the first that has something before
// it, at the start of a line.
func documentMark(source *diag.Source) (int, bool) {
	content, ended := false, false
	at := 0
	for line := range strings.SplitAfterSeq(string(source.Text()), "\n") {
		switch trimmed := strings.TrimRight(line, "\r\n \t"); {
		case trimmed == "---" || strings.HasPrefix(line, "--- "):
			if content {
				return at, true
			}
			content = true
		case trimmed == "..." && content:
			ended = true
		case trimmed != "" && trimmed != "..." && !strings.HasPrefix(strings.TrimLeft(trimmed, " \t"), "#") &&
			!strings.HasPrefix(trimmed, "%"):
			if ended {
				return at, true
			}
			content = true
		}
		at += len(line)
	}
	return 0, false
}

// exceeds walks the tree with aliases followed, before anything else does.
func exceeds(source *diag.Source, root *yaml.Node) (diag.Problem, bool) {
	w := limiter{}
	w.walk(root, 1, false)
	if w.at == nil {
		return diag.Problem{}, false
	}
	return diag.Problem{Place: source.At(source.NodeOffset(w.at)), Code: diag.CodeTooLarge, Message: w.message}, true
}

type limiter struct {
	values  int
	aliased int
	at      *yaml.Node
	message string
}

func (w *limiter) walk(n *yaml.Node, depth int, aliased bool) {
	switch {
	case w.at != nil:
		return
	case depth > MaxDepth:
		w.at, w.message = n, fmt.Sprintf("values are nested deeper than %d levels", MaxDepth)
		return
	case !aliased:
		if w.values++; w.values > MaxValues {
			w.at, w.message = n, manyValues
			return
		}
	default:
		if w.aliased++; w.aliased > MaxAliased {
			w.at, w.message = n, fmt.Sprintf("aliases stand for more than %d values", MaxAliased)
			return
		}
	}
	if n.Kind == yaml.AliasNode {
		w.walk(n.Alias, depth+1, true)
		if w.at != nil {
			w.at = n
		}
		return
	}
	for _, child := range n.Content {
		w.walk(child, depth+1, aliased)
	}
}

// unreadable finds the first byte that is no text.
func unreadable(text []byte) (int, string) {
	for i, r := range string(text) {
		switch {
		case r == '\uFFFD' && !bytes.HasPrefix(text[i:], []byte("\uFFFD")):
			return i, "the file is not UTF-8 text from here on"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7F, r >= 0x80 && r < 0xA0 && r != 0x85,
			r == '\uFEFF', r == '\uFFFE', r == '\uFFFF':
			return i, fmt.Sprintf("the character U+%04X is not allowed in YAML", r)
		}
	}
	return -1, ""
}

// countingReader hands out one byte at a time, so that what was read when the
// parser gave up is where it stood.
type countingReader struct {
	text []byte
	read int
}

func (r *countingReader) Read(p []byte) (int, error) {
	if r.read == len(r.text) {
		return 0, io.EOF
	}
	n := copy(p[:min(1, len(p))], r.text[r.read:])
	r.read += n
	return n, nil
}

// decode shields from the parser's own panics on odd input.
func decode(decoder *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return decoder.Decode(into)
}
