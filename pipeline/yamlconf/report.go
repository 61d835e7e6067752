package yamlconf

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
)

// maxProblems is how many problems of one file are worth reporting.
const maxProblems = 1000

// Add reports a problem. After the first thousand, further ones are dropped.
func (d *Decoder) Add(p diag.Problem) {
	if len(d.problems) < maxProblems {
		d.problems.Add(p)
	}
}

// Source knows the places of the document.
func (d *Decoder) Source() *diag.Source { return d.source }

// AtKey reports something wrong with a key.
func (d *Decoder) AtKey(n Node, code diag.Code, message, hint string) {
	d.Add(diag.Problem{Path: n.Path, Place: d.source.Key(n.Path), Code: code, Message: message, Hint: hint})
}

// AtValue reports something wrong with a value.
func (d *Decoder) AtValue(n Node, code diag.Code, message, hint string) {
	d.Add(diag.Problem{Path: n.Path, Place: d.source.Value(n.Path), Code: code, Message: message, Hint: hint})
}

// WrongType reports that n is not what was wanted.
func (d *Decoder) WrongType(n Node, wanted string) {
	if n.flow() && strings.HasPrefix(d.rest(n), "{{") {
		d.eatenBraces(n)
		return
	}
	d.AtValue(n, diag.CodeType, fmt.Sprintf("%s must be %s, not %s", name(n.Path), wanted, n.What()), "")
}

// UnknownKey reports a key that is none of those known at n, and returns the
// one that was probably meant.
func (d *Decoder) UnknownKey(n Node, entry Field, known []string) string {
	if word, ok := d.badColon(n, entry, known); ok {
		return word
	}
	p := diag.Problem{Path: entry.Node.Path, Place: d.place(entry.Node.key), Code: diag.CodeUnknownKey,
		Message: fmt.Sprintf("unknown key %q in %s", clip(entry.Name), name(n.Path))}
	if n.Path == "" {
		p.Message = fmt.Sprintf("unknown key %q", clip(entry.Name))
	}
	p.Fix = diag.Nearest(entry.Name, known)
	p.FixAt, _ = d.source.ScalarNode(entry.Node.key)
	var hints []string
	if p.Fix != "" {
		hints = append(hints, fmt.Sprintf("did you mean %q?", p.Fix))
	}
	if levels := d.options.Levels[entry.Name]; len(levels) > 0 {
		hints = append(hints, fmt.Sprintf("%q stands %s", entry.Name, levelList(levels)))
	}
	if len(hints) == 0 && len(known) > 0 && len(known) <= 16 {
		hints = append(hints, "the keys here are "+strings.Join(known, ", "))
	}
	p.Hint = strings.Join(hints, " ")
	d.Add(p)
	return p.Fix
}

// badColon reports a known key whose colon is missing, or has no space after it,
// so that YAML took what follows for a part of the key.
func (d *Decoder) badColon(n Node, entry Field, known []string) (word string, ok bool) {
	i := strings.IndexAny(entry.Name, " :")
	if i < 0 || i+1 == len(entry.Name) || !slices.Contains(known, entry.Name[:i]) {
		return "", false
	}
	word = entry.Name[:i]
	p := diag.Problem{Path: n.Path.Field(word), Place: d.source.InsideNode(entry.Node.key, i), Code: diag.CodeSyntax,
		Message: fmt.Sprintf("the colon after %q is missing", word), Hint: fmt.Sprintf("write %s: …", word), Fix: ":"}
	if entry.Name[i] == ':' {
		p.Place = d.source.InsideNode(entry.Node.key, i+1)
		p.Message, p.Fix = "a space is missing after the colon", " "
	}
	p.FixAt = diag.Region{Start: p.Place, End: p.Place}
	d.Add(p)
	return word, true
}

// KeyRegion is where the key of an entry is written.
func (d *Decoder) KeyRegion(entry Field) diag.Region {
	at, _ := d.source.ScalarNode(entry.Node.key)
	return at
}

func levelList(levels []string) string {
	var words []string
	for _, l := range levels {
		word := "under " + l
		if l == "" {
			word = "at the top of the file"
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) > 3 {
		words = words[:3]
	}
	return strings.Join(words, " or ")
}

// unknownKey tells a key that has no meaning from the rest of a text that YAML
// ended at a comma. It returns the key that was probably meant.
func (d *Decoder) unknownKey(n Node, entry Field, previous *Field, fields []field) string {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.name
	}
	if word, ok := d.badColon(n, entry, known); ok {
		return word
	}
	if n.flow() && entry.Node.IsEmpty() && previous != nil && previous.Node.IsScalar() && !previous.Node.IsQuoted() {
		key := d.source.NodeOffset(entry.Node.key)
		if comma := bytes.LastIndexByte(d.source.Text()[:key], ','); comma > 0 {
			d.Add(diag.Problem{Path: previous.Node.Path, Place: d.source.At(comma), Code: diag.CodeEaten,
				Message: fmt.Sprintf("inside of brackets YAML ends the text %q at this comma", clip(previous.Node.Text())),
				Hint:    quoteHint})
			return ""
		}
	}
	return d.UnknownKey(n, entry, known)
}

// hasTag tells whether a tag of its own stands before a value.
func (d *Decoder) hasTag(n Node) bool {
	v := n.target()
	if v == nil || v.Kind == 0 {
		return false
	}
	switch v.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map", "!!timestamp", "!!merge":
	default:
		return true
	}
	at, text := d.source.NodeOffset(v), d.source.Text()
	return at+1 < len(text) && text[at] == '!' && text[at+1] != '!' && v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

func (d *Decoder) tagProblem(n Node) {
	text := d.rest(n)
	tag, _, _ := strings.Cut(text, " ")
	d.Add(diag.Problem{Path: n.Path, Place: d.place(n.target()), Code: diag.CodeEaten,
		Message: fmt.Sprintf("YAML takes %q as a tag, not as part of the text", clip(strings.TrimRight(tag, ",]}"))),
		Hint:    quoteHint, Fix: d.quotedFix(n), FixAt: d.source.RestOfLine(d.source.NodeOffset(n.target()))})
}

var commentAfter = regexp.MustCompile(`^[ \t]*#`)

// emptyProblem reports a key without a value, or whose value YAML took for a
// comment.
func (d *Decoder) emptyProblem(n Node, t reflect.Type) {
	isExpression := t == expressionType || t == templateType
	if v := n.target(); isExpression && v != nil && n.IsEmpty() {
		at := d.source.NodeOffset(v)
		rest, _, _ := bytes.Cut(d.source.Text()[at:], []byte("\n"))
		if at > 0 && at < len(d.source.Text()) && d.source.Text()[at] == ':' {
			rest, at = rest[1:], at+1
		}
		if m := commentAfter.Find(rest); m != nil {
			d.Add(diag.Problem{Path: n.Path, Place: d.source.At(at + len(m) - 1), Code: diag.CodeEaten,
				Message: name(n.Path) + " is empty: YAML takes what follows # as a comment", Hint: quoteHint})
			return
		}
	}
	hint := "write a value, or remove the key"
	if t.Kind() == reflect.Struct && !isExpression {
		hint = "remove the key, or write {} to take the defaults"
	}
	d.AtKey(n, diag.CodeEmpty, name(n.Path)+" is empty", hint)
}

func (d *Decoder) eatenBraces(n Node) {
	d.Add(diag.Problem{Path: n.Path, Place: d.place(n.target()), Code: diag.CodeEaten,
		Message: "YAML reads text that starts with { as a map",
		Hint:    "put it in single quotes: '…'; a template's parts are written ${ … }"})
}

// rest is what stands in the file from a value to the end of its line.
func (d *Decoder) rest(n Node) string {
	text, _, _ := bytes.Cut(d.source.Text()[d.source.NodeOffset(n.target()):], []byte("\n"))
	return strings.TrimRight(string(text), " \t\r")
}

// quotedFix is the rest of the line in quotes, for values that end with it.
func (d *Decoder) quotedFix(n Node) string {
	at := d.source.NodeOffset(n.target())
	line := d.source.At(at)
	whole, _ := d.source.Line(line.Line)
	rest := d.rest(n)
	before := strings.TrimSuffix(strings.TrimRight(whole, " \t"), rest)
	if strings.ContainsAny(before, "[{") || strings.Contains(rest, " #") {
		return ""
	}
	return "'" + strings.ReplaceAll(rest, "'", "''") + "'"
}

// name is how messages call the value at a path: its last part, with what holds
// it.
func name(path diag.Path) string {
	if path == "" {
		return "the configuration"
	}
	return string(path)
}

// lowerFirst makes a sentence a part of another.
func lowerFirst(sentence string) string {
	if len(sentence) < 2 || sentence[1] >= 'A' && sentence[1] <= 'Z' {
		return strings.TrimSuffix(sentence, ".")
	}
	return strings.ToLower(sentence[:1]) + strings.TrimSuffix(sentence[1:], ".")
}
