package yamlconf

import (
	"bytes"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
)

// Unplaced keeps out of excerpts what stands where it has no place: behind a key that
// nobody knows, or in another form than a value has. What is behind a key that is
// secret nowhere is shown, and what is harmless by what it is.
func (d *Decoder) Unplaced(n Node) {
	if at := segments(n.Path); len(at) > 0 && at[0] == "tests" || slices.Contains(at, "transform") {
		return // data, and what makes it
	}
	m := unplaced{d: d, seen: map[*yaml.Node]bool{}}
	name := lastName(n.Path)
	if n.key != nil {
		name = n.key.Value
		if m.keyText(n.key) {
			return
		}
		if n.IsEmpty() && !strings.ContainsAny(name, " :") && !hasColon(d.source, n.key) &&
			d.options.Vocabulary.slip(name) == "" {
			m.value(n.key, unknown) // it may be a value
		}
	}
	m.value(n.value, m.of(name))
}

// hasColon tells whether there is a colon behind a key, which there need not be in
// braces.
func hasColon(source *diag.Source, key *yaml.Node) bool {
	at, ok := source.ScalarNode(key)
	if !ok {
		return true
	}
	behind := source.NodeOffset(key) + len(source.Written(at))
	return bytes.HasPrefix(bytes.TrimLeft(source.Text()[min(behind, len(source.Text())):], " \t"), []byte(":"))
}

// unknownParameters keeps what a URL has behind its ? out of excerpts, but for what
// is harmless.
func (d *Decoder) unknownParameters(n Node) {
	for _, at := range queryPart.FindAllStringSubmatchIndex(n.Text(), -1) {
		if !d.options.Vocabulary.harmless(n.Text()[at[6]:at[7]]) {
			d.source.MaskPart(n.target(), at[6], at[7])
		}
	}
}

// lastName is that of a value by its path, of an item that of its list.
func lastName(path diag.Path) string {
	if names := segments(path); len(names) > 0 {
		return strings.Trim(names[len(names)-1], `"`)
	}
	return ""
}

type unplaced struct {
	d    *Decoder
	seen map[*yaml.Node]bool
}

func (m unplaced) of(name string) holds {
	if other := m.d.options.Spellings[strings.ToLower(name)]; other != "" || len(m.d.problems) >= maxProblems {
		return max(m.d.options.Vocabulary.keys[name], m.d.options.Vocabulary.keys[other])
	}
	return m.d.options.Vocabulary.of(name)
}

// below is of, for a key in what a key holds: what nobody knows may be a query.
func (m unplaced) below(what holds, name string) holds {
	if what == unknown && handlers.SecretParameter(name) {
		return unknown
	}
	return m.of(name)
}

func (m unplaced) value(n *yaml.Node, what holds) {
	if n == nil || m.seen[n] {
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		m.seen[n] = true
		m.value(n.Alias, what)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !m.keyText(n.Content[i]) {
				m.value(n.Content[i+1], m.below(what, n.Content[i].Value))
			}
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			m.value(item, what)
		}
	default:
		if what != open && (what != named || strings.Contains(n.Value, " ")) &&
			!m.d.options.Vocabulary.harmless(n.Value) {
			(masker{m.d.source}).all(n)
		}
	}
}

// keyText hides what stands in a key behind its first word: a value whose colon is
// missing. It tells whether that is more than a text, so that the line was gone
// through as one that is no YAML.
func (m unplaced) keyText(key *yaml.Node) (whole bool) {
	if key.Kind != yaml.ScalarNode {
		m.value(key, unknown)
		return false
	}
	i := strings.IndexAny(key.Value, " :")
	if i > 0 && strings.ContainsAny(key.Value, "[{") {
		m.d.maskLine(key)
		return true
	}
	if i > 0 && !m.d.options.Vocabulary.harmless(key.Value[i+1:]) {
		m.d.source.MaskPart(key, i+1, len(key.Value))
	}
	return false
}

// maskLine goes through the line of a node as through those of a file that is no
// YAML.
func (d *Decoder) maskLine(n *yaml.Node) {
	if d.lines[n.Line] {
		return
	}
	d.lines[n.Line] = true
	text, at := d.source.Text(), d.source.NodeOffset(n)
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	line, _, _ := bytes.Cut(text[start:], []byte("\n"))
	m := &lineMasker{source: d.source, vocabulary: d.options.Vocabulary}
	m.line(strings.TrimRight(string(line), "\r"), start, lineSpot{holds: block})
}
