package yamlconf

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
)

// Node is one value of a document, with its path. Aliases are followed.
type Node struct {
	// Path is where the value stands in the configuration.
	Path diag.Path

	key, value *yaml.Node
}

// Field is one entry of a map.
type Field struct {
	Name string
	Node Node
}

// IsNull tells whether nothing, or `null`, is written.
func (n Node) IsNull() bool {
	v := n.target()
	return v == nil || v.Kind == yaml.ScalarNode && v.Tag == "!!null"
}

// IsEmpty tells whether nothing at all is written, not even `null`.
func (n Node) IsEmpty() bool {
	v := n.target()
	return v == nil || n.IsNull() && v.Value == ""
}

// IsScalar tells whether the value is text, a number or a boolean.
func (n Node) IsScalar() bool {
	v := n.target()
	return v != nil && v.Kind == yaml.ScalarNode && !n.IsNull()
}

// IsMap tells whether the value is a map.
func (n Node) IsMap() bool { v := n.target(); return v != nil && v.Kind == yaml.MappingNode }

// IsList tells whether the value is a list.
func (n Node) IsList() bool { v := n.target(); return v != nil && v.Kind == yaml.SequenceNode }

// IsQuoted tells whether the value is text in quotes.
func (n Node) IsQuoted() bool {
	v := n.target()
	return v != nil && v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
}

// IsDate tells whether YAML takes the value as a date.
func (n Node) IsDate() bool { v := n.target(); return v != nil && v.Tag == "!!timestamp" }

// Text is a scalar's text, as written but for quotes, escapes and folding.
func (n Node) Text() string {
	if v := n.target(); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// What names the kind of the value for messages.
func (n Node) What() string {
	v := n.target()
	switch {
	case n.IsNull():
		return "nothing"
	case v.Kind == yaml.MappingNode:
		return "a map"
	case v.Kind == yaml.SequenceNode:
		return "a list"
	default:
		return "text"
	}
}

func (n Node) target() *yaml.Node {
	v := n.value
	for v != nil && v.Kind == yaml.AliasNode {
		v = v.Alias
	}
	return v
}

// flow tells whether the value is a map or list in brackets.
func (n Node) flow() bool { v := n.target(); return v != nil && v.Style&yaml.FlowStyle != 0 }

// Items are the elements of a list.
func (d *Decoder) Items(n Node) []Node {
	v := n.target()
	if v == nil || v.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Node, len(v.Content))
	for i, child := range v.Content {
		items[i] = Node{Path: n.Path.Item(i), value: child}
		d.source.Record(items[i].Path, nil, child)
	}
	return items
}

// Fields are the entries of a map in the order of the file, those that it
// merges (`<<`) last. Repeated keys, and keys that are no text, are reported and
// left out.
func (d *Decoder) Fields(n Node) []Field {
	v := n.target()
	if v == nil || v.Kind != yaml.MappingNode {
		return nil
	}
	c := fieldCollector{d: d, path: n.Path, seen: map[string]*yaml.Node{}}
	c.collect(v, false)
	for _, f := range c.fields {
		d.source.Record(f.Node.Path, f.Node.key, f.Node.value)
	}
	return c.fields
}

type fieldCollector struct {
	d      *Decoder
	path   diag.Path
	seen   map[string]*yaml.Node
	fields []Field
}

func (c *fieldCollector) collect(v *yaml.Node, merged bool) {
	var merges []*yaml.Node
	own := map[string]bool{}
	for i := 0; i+1 < len(v.Content); i += 2 {
		key, value := v.Content[i], v.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		if !c.legalKey(v, key, value) {
			continue
		}
		name := key.Value
		switch first := c.seen[name]; {
		case first == nil:
			c.seen[name], own[name] = key, true
			c.fields = append(c.fields, Field{name, Node{c.path.Field(name), key, value}})
		case !merged || own[name]:
			c.d.Unplaced(Node{c.path.Field(name), key, value})
			c.d.Add(diag.Problem{Path: c.path.Field(name), Place: c.d.place(key), Code: diag.CodeRepeated,
				Message: fmt.Sprintf("the key %q is repeated", name),
				Related: &diag.Related{Place: c.d.place(first), Message: "it is written here first"}})
		}
	}
	for _, m := range merges {
		c.merge(m)
	}
}

// merge takes over the fields of what stands behind `<<`.
func (c *fieldCollector) merge(value *yaml.Node) {
	n := Node{value: value}
	switch v := n.target(); {
	case n.IsMap():
		c.collect(v, true)
	case n.IsList():
		for _, item := range v.Content {
			if !(Node{value: item}).IsMap() {
				c.badMerge(item)
				continue
			}
			c.merge(item)
		}
	default:
		c.badMerge(value)
	}
}

func (c *fieldCollector) badMerge(value *yaml.Node) {
	c.d.Unplaced(Node{value: value})
	c.d.Add(diag.Problem{Path: c.path, Place: c.d.place(value), Code: diag.CodeType,
		Message: "`<<` takes over the keys of a map, but this is " + Node{value: value}.What(),
		Hint:    "write `<<: *name` with an anchor `&name` on a map"})
}

func (c *fieldCollector) legalKey(parent, key, value *yaml.Node) (legal bool) {
	problem := diag.Problem{Path: c.path, Place: c.d.place(key), Code: diag.CodeBadKey}
	defer func() {
		if !legal {
			c.d.Unplaced(Node{c.path, key, value})
		}
	}()
	switch {
	case key.Kind != yaml.ScalarNode && parent.Style&yaml.FlowStyle != 0:
		problem.Code = diag.CodeEaten
		problem.Message = "YAML reads the braces as a map, and what is in them as its key"
		problem.Hint = "put text that starts with a brace in quotes: '…'"
		problem.Place = c.d.place(parent)
	case key.Kind != yaml.ScalarNode:
		problem.Message = "a key must be text"
	case key.Tag == "!!null" && key.Value == "":
		problem.Message = "a key is missing before the colon"
	case strings.HasPrefix(key.Tag, "!") && !strings.HasPrefix(key.Tag, "!!"):
		c.d.tagProblem(Node{Path: c.path, value: key})
		return false
	case len(key.Value) > maxKey:
		problem.Message = fmt.Sprintf("the key is longer than %d characters", maxKey)
	default:
		return true
	}
	c.d.Add(problem)
	return false
}
