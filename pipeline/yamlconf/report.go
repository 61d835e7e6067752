package yamlconf

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
)

// maxProblems is how many problems of one file are worth reporting.
const maxProblems = 1000

// Add reports a problem. After the first thousand, further ones are dropped, and
// so are those of values of which it is known that they lack quotes.
func (d *Decoder) Add(p diag.Problem) {
	for _, path := range d.eaten {
		if p.Path == path {
			return
		}
	}
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
	d.Unplaced(n)
	d.wrongType(n, wanted)
}

func (d *Decoder) wrongType(n Node, wanted string) {
	if n.flow() && strings.HasPrefix(d.rest(n), "{{") {
		d.eatenBraces(n)
		return
	}
	p := diag.Problem{Path: n.Path, Place: d.source.Value(n.Path), Code: diag.CodeType,
		Message: fmt.Sprintf("%s must be %s, not %s", name(n.Path), wanted, n.What())}
	items := d.Items(n)
	switch {
	case len(items) == 1 && items[0].IsScalar() && n.flow() && !strings.HasPrefix(wanted, "a "):
		if only, ok := d.source.ScalarNode(items[0].target()); ok {
			p.Fix, p.FixAt = d.source.Written(only), d.source.Around(n.target(), only)
			p.Hint = "write " + clip(p.Fix)
		}
	case n.IsList() && strings.HasPrefix(wanted, "a map"):
		p.Hint = "write the keys of a map: {key: value}, or each on a line of its own"
		if len(items) > 0 && items[0].IsMap() && slices.ContainsFunc(d.Fields(items[0]),
			func(f Field) bool { return f.Name == "name" || f.Name == "id" }) {
			p.Hint = "write each name as a key: {name: {…}}, and no list"
		}
	}
	d.Add(p)
}

// notABlock reports something that must be a map, which may be what its first key
// takes.
func (d *Decoder) notABlock(n Node, t reflect.Type) {
	count := len(d.problems)
	fields := fieldsOf(t)
	meant := n.IsScalar() && len(fields) > 0 && slices.Contains([]string{"topic", "key", "url"}, fields[0].name)
	if !n.IsScalar() || !holdsNoSecret(t, 0) && !(meant && (fields[0].name != "url" ||
		strings.Contains(n.Text(), "://"))) {
		d.Unplaced(n)
	}
	d.wrongType(n, "a map")
	if !meant || len(d.problems) != count+1 {
		return
	}
	if at, ok := d.source.ScalarNode(n.target()); ok && at.Start.Line == at.End.Line {
		d.problems[count].Hint = fmt.Sprintf("write {%s: %s}", fields[0].name, clip(d.source.Written(at)))
	}
}

// condition reports a list or map in the place of a condition, as other tools
// write them.
func (d *Decoder) condition(n Node, f field) bool {
	if f.name != "filter" && f.name != "when" || strings.HasPrefix(d.rest(n), "{{") {
		return false
	}
	var parts []string
	for _, item := range d.Items(n) {
		if !item.IsScalar() {
			return false
		}
		parts = append(parts, item.Text())
	}
	if n.IsMap() {
		for _, entry := range d.Fields(n) {
			if !entry.Node.IsScalar() {
				return false
			}
			value := entry.Node.Text()
			if _, err := strconv.ParseFloat(value, 64); err != nil && value != "true" && value != "false" {
				value = strconv.Quote(value)
			}
			parts = append(parts, entry.Name+" == "+value)
		}
	}
	if len(parts) == 0 {
		return false
	}
	d.Add(diag.Problem{Path: n.Path, Place: d.place(n.target()), Code: diag.CodeType,
		Message: fmt.Sprintf("%s must be an expression, not %s", name(n.Path), n.What()),
		Hint:    "write one expression: '" + clip(strings.Join(parts, " and ")) + "'"})
	return true
}

// notAList reports something that must be a list.
func (d *Decoder) notAList(n Node, element reflect.Type) {
	if !n.IsScalar() {
		d.Unplaced(n)
	}
	p := diag.Problem{Path: n.Path, Place: d.source.Value(n.Path), Code: diag.CodeType,
		Message: fmt.Sprintf("%s must be a list, not %s", name(n.Path), n.What())}
	switch at, ok := d.source.ScalarNode(n.target()); {
	case n.IsScalar() && element.Kind() == reflect.String && ok && at.Start.Line == at.End.Line:
		p.Fix, p.FixAt = "["+d.source.Written(at)+"]", at
		p.Hint = "write it as a list: " + clip(p.Fix)
	case n.IsMap() && len(n.target().Content) > 0 && strings.HasPrefix(n.target().Content[0].Value, "-"):
		dash := d.source.NodeOffset(n.target().Content[0]) + 1
		p.Code, p.Place, p.Message = diag.CodeSyntax, d.source.At(dash),
			"a space is missing after the dash of a list item"
		p.Fix, p.FixAt = " ", d.source.Range(dash, dash)
	case n.IsMap():
		p.Hint = "begin each item with a dash: - …"
	}
	d.Add(p)
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
	return at+1 < len(text) && text[at] == '!' && text[at+1] != '!' &&
		v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
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
func (d *Decoder) emptyProblem(n Node, t reflect.Type, f field) {
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
	must := f.required && f.name != ""
	switch isBlock := t.Kind() == reflect.Struct && !isExpression; {
	case must && isBlock:
		hint = fmt.Sprintf("write what it holds: %s: {%s: …}", f.name, fieldsOf(t)[0].name)
	case must && t.Kind() == reflect.Slice:
		hint = "write at least one item"
	case must:
		hint = "write a value"
	case isBlock:
		hint = "remove the key, or write {} to take the defaults"
	}
	d.AtKey(n, diag.CodeEmpty, name(n.Path)+" is empty", hint)
}

func (d *Decoder) eatenBraces(n Node) {
	d.Add(diag.Problem{Path: n.Path, Place: d.place(n.target()), Code: diag.CodeEaten,
		Message: "YAML reads text that starts with { as a map",
		Hint:    "put it in single quotes: '…'; a template's parts are written ${ … }"})
}

// maxRest is how much of a line is looked at that a value stands on.
const maxRest = 4 << 10

// rest is what stands in the file from a value to the end of its line.
func (d *Decoder) rest(n Node) string {
	text := d.source.Text()[d.source.NodeOffset(n.target()):]
	text, _, _ = bytes.Cut(text[:min(maxRest, len(text))], []byte("\n"))
	return strings.TrimRight(string(text), " \t\r")
}

// quotedFix is the rest of the line in quotes, for values that end with it.
func (d *Decoder) quotedFix(n Node) string {
	at := d.source.NodeOffset(n.target())
	line := d.source.At(at)
	whole, _ := d.source.Line(line.Line)
	rest := d.rest(n)
	before := strings.TrimSuffix(strings.TrimRight(whole, " \t"), rest)
	if strings.ContainsAny(before, "[{") || strings.Contains(rest, " #") || len(rest) >= maxRest {
		return ""
	}
	return diag.Quote(rest)
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
