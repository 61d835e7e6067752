package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Start is where a topic begins: earliest, latest, a time, or offsets.
type Start struct{ kafka.Start }

// DecodeYAML takes text or a map.
func (c *Start) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	const takes = "earliest, latest, an RFC 3339 time such as 2026-01-31T08:00:00Z, or {offsets: {0: 120}}"
	if n.IsMap() {
		c.offsets(d, n)
		return
	}
	if !n.IsScalar() {
		d.WrongType(n, takes)
		return
	}
	text, known, ok := d.Static(n)
	if !ok || !known {
		return
	}
	switch text {
	case "earliest", "latest":
		c.Kind = kafka.StartKind(text)
		return
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err == nil {
		c.Kind, c.Time = kafka.StartTime, at
		return
	}
	p := diag.Problem{Path: n.Path, Place: d.Source().Value(n.Path), Code: diag.CodeMalformed,
		Message: string(n.Path) + " must be " + takes + ", not " + strconv.Quote(text)}
	if p.Fix = startMeant(text); p.Fix != "" {
		p.Hint = "did you mean " + p.Fix + "?"
	}
	d.Add(p)
}

// startMeant is what a text most likely means as a start, "" where that is not
// known.
func startMeant(text string) string {
	switch strings.ToLower(text) {
	case "begin", "beginning", "first", "oldest", "start", "smallest", "0", "all":
		return "earliest"
	case "end", "last", "newest", "now", "largest":
		return "latest"
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04",
		"2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Format(time.RFC3339)
		}
	}
	return diag.Nearest(text, []string{"earliest", "latest"})
}

func (c *Start) offsets(d *yamlconf.Decoder, n yamlconf.Node) {
	var written startOffsets
	d.Decode(n, &written)
	c.Kind, c.Offsets = kafka.StartOffsets, written.Offsets
}

type startOffsets struct {
	Offsets map[int32]int64 `yaml:"offsets" required:"true" min:"0" doc:"The offset to begin with, by partition."`
}

// JSONSchema is text or a map of offsets.
func (c *Start) JSONSchema(s *yamlconf.Schema) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": []any{"earliest", "latest"}},
		map[string]any{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]|\$\{`},
		s.Of(reflect.TypeFor[startOffsets]()),
	}}
}

// DeadLetter is where records go that can't be delivered.
type DeadLetter struct {
	// Off blocks the pipeline instead.
	Off bool
	// Topic is empty for the default.
	Topic string
}

// DecodeYAML takes `off` or a map with a topic.
func (c *DeadLetter) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	switch {
	case n.IsMap():
		var written deadLetterTopic
		d.Decode(n, &written)
		c.Topic = written.Topic
	case n.IsScalar(), n.IsNull():
		text, known, ok := d.Static(n)
		c.Off = ok && known && text == "off"
		if ok && known && !c.Off {
			c.notOff(d, n, text)
		}
	default:
		d.WrongType(n, "{topic: …} or off")
	}
}

// notOff reports a text that is not `off`, by what it may mean.
func (c *DeadLetter) notOff(d *yamlconf.Decoder, n yamlconf.Node, text string) {
	p := diag.Problem{Path: n.Path, Place: d.Source().Value(n.Path), Code: diag.CodeType,
		Message: string(n.Path) + " must be {topic: …} or off, not " + strconv.Quote(text)}
	switch strings.ToLower(text) {
	case "no", "false", "none", "never", "null", "~", "disabled", "disable", "off", "0":
		p.Hint, p.Fix = "write off to block instead of writing dead letters", "off"
	case "yes", "true", "on", "default", "enabled":
		p.Hint = "remove the key: dead letters are written unless it is off"
	default:
		p.Hint, p.Fix = "write {topic: "+n.Text()+"} to name the topic", "{topic: "+n.Text()+"}"
		if !plan.LegalTopic.MatchString(n.Text()) {
			p.Hint, p.Fix = "write {topic: …} to name the topic", ""
		}
	}
	if text != n.Text() {
		p.Fix = "" // what is wrong is the variable
	}
	d.Add(p)
}

type deadLetterTopic struct {
	Topic string `yaml:"topic" required:"true" text:"topic" doc:"The topic for records that can't be delivered."`
}

// JSONSchema is `off` or a map with a topic.
func (c *DeadLetter) JSONSchema(s *yamlconf.Schema) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": []any{"off"}},
		map[string]any{"type": "string", "pattern": `\$\{`},
		s.Of(reflect.TypeFor[deadLetterTopic]()),
	}}
}

// Headers are the headers that a transform sets, in the order of the file.
type Headers []Header

// Header is one header that a transform sets.
type Header struct {
	Name  string
	Path  diag.Path
	Value handlers.Expression
}

// DecodeYAML takes a map of expressions.
func (c *Headers) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	if !n.IsMap() {
		d.WrongType(n, "a map")
		return
	}
	for _, f := range d.Fields(n) {
		h := Header{Name: f.Name, Path: f.Node.Path}
		if decodeLeaf(d, f.Node, &h.Value) {
			*c = append(*c, h)
		}
	}
}

// JSONSchema is a map of expressions.
func (c *Headers) JSONSchema(*yamlconf.Schema) map[string]any {
	leaf := map[string]any{"type": []any{"string", "number", "boolean", "null"},
		"description": "A value, computed by an expression."}
	return map[string]any{"type": "object", "additionalProperties": leaf}
}

// Payload is a tree of what a transform makes the payload of.
type Payload struct {
	Path   diag.Path
	Leaf   handlers.Expression
	Fields []PayloadField
	Items  []*Payload
	Kind   payloadKind
}

// PayloadField is one field of an object of a Payload.
type PayloadField struct {
	Name  string
	Value *Payload
}

type payloadKind int

// What a payload, or a part of one, is made of.
const (
	_ payloadKind = iota // a leaf
	// PayloadObject has Fields, PayloadList Items; else it is a leaf.
	PayloadObject
	PayloadList
)

// DecodeYAML takes a map, a list or an expression.
func (c *Payload) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	c.Path = n.Path
	switch {
	case n.IsMap():
		c.Kind = PayloadObject
		for _, f := range d.Fields(n) {
			child := new(Payload)
			d.Decode(f.Node, child)
			c.Fields = append(c.Fields, PayloadField{f.Name, child})
		}
	case n.IsList():
		c.Kind = PayloadList
		for _, item := range d.Items(n) {
			child := new(Payload)
			d.Decode(item, child)
			c.Items = append(c.Items, child)
		}
	default:
		decodeLeaf(d, n, &c.Leaf)
	}
}

// JSONSchema is a tree of expressions.
func (c *Payload) JSONSchema(s *yamlconf.Schema) map[string]any {
	return s.Define("payload", func() map[string]any {
		self := map[string]any{"$ref": "#/definitions/payload"}
		return map[string]any{"anyOf": []any{
			map[string]any{"type": []any{"string", "number", "boolean", "null"},
				"description": "A value, computed by an expression."},
			map[string]any{"type": "object", "additionalProperties": self},
			map[string]any{"type": "array", "items": self},
		}}
	})
}

// decodeLeaf takes one expression of a transform, where `null` is written as
// YAML has it.
func decodeLeaf(d *yamlconf.Decoder, n yamlconf.Node, into *handlers.Expression) bool {
	switch {
	case n.IsNull() && !n.IsEmpty():
		into.Source = "nil"
		return true
	case n.IsDate():
		d.AtValue(n, diag.CodeEaten, string(n.Path)+" looks like a date, but is read as an expression: a subtraction",
			`put text in quotes within quotes: '"`+n.Text()+`"'`)
		return false
	}
	d.Decode(n, into)
	return into.Source != ""
}
