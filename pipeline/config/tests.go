package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Test is one example with what is expected of it.
type Test struct {
	Name     string            `yaml:"name" doc:"What the test shows."`
	Pipeline string            `yaml:"pipeline" required:"true" doc:"The pipeline that the records go through."`
	Env      Env               `yaml:"env" doc:"Variables of this test; they go before those of the environment, and null unsets one."`
	Records  []TestRecord      `yaml:"records" required:"true" doc:"The records, in the form of a record as JSON. Their content is taken as it stands: nothing in it is a template."`
	Expect   []Expect          `yaml:"expect" required:"true" doc:"What becomes of each record, one entry a record."`
	Sinks    map[string]Script `yaml:"sinks" doc:"What sinks answer, call by call, such as http: [fail 503, timeout, ok]; afterwards, and where nothing is written, they take everything."`
	Crash    Crash             `yaml:"crash" doc:"Where the process dies once: after_claim, after_write or after_confirm; {after_write: 2} for the second time that it comes there. What was not finished is read again."`
	Together bool              `yaml:"together" default:"false" doc:"The records come at once, as they do where they have queued up, and not each after the one before is finished."`
}

// Env are variables; nil is one that is not set.
type Env map[string]*string

// DecodeYAML takes a map of names to texts or null.
func (c *Env) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	if !n.IsMap() {
		d.WrongType(n, "a map of names to texts")
		return
	}
	*c = Env{}
	for _, f := range d.Fields(n) {
		switch {
		case f.Node.IsNull() && !f.Node.IsEmpty():
			(*c)[f.Name] = nil
		case f.Node.IsNull():
			d.AtKey(f.Node, diag.CodeEmpty, string(f.Node.Path)+" is empty",
				"write '' for an empty variable, or null for one that is not set")
		case !f.Node.IsScalar():
			d.WrongType(f.Node, "text")
		default:
			if text, _, ok := d.Static(f.Node); ok {
				(*c)[f.Name] = &text
			}
		}
	}
}

// JSONSchema is a map of texts.
func (c *Env) JSONSchema(*yamlconf.Schema) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": scalarSchema("null")}
}

// testKey is one key of a map of the tests' block that is data, not settings.
type testKey struct {
	name, doc string
	schema    map[string]any
}

func namesOf(keys []testKey) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

// schemaOf is the schema of a map with keys.
func schemaOf(keys []testKey) map[string]any {
	properties := map[string]any{}
	for _, k := range keys {
		property := map[string]any{"description": k.doc}
		for name, value := range k.schema {
			property[name] = value
		}
		properties[k.name] = property
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

func scalarSchema(more ...any) map[string]any {
	return map[string]any{"type": append([]any{"string", "number", "boolean"}, more...)}
}

func headersSchema() map[string]any { return map[string]any{"type": []any{"object", "array"}} }

// recordKeys are those of a record as JSON, and after.
func recordKeys() []testKey {
	return []testKey{
		{"payload", "The value, as YAML; null is a tombstone.", nil},
		{"value", "The value's exact text, in place of payload.", scalarSchema()},
		{"value_base64", "The value's exact bytes, in place of payload.", scalarSchema()},
		{"key", "The record's key; null or left out is no key.", scalarSchema("null")},
		{"key_base64", "The key's exact bytes, in place of key.", scalarSchema()},
		{"headers", "The headers, as a map, or as a list of [name, value] where order or repeats matter.",
			headersSchema()},
		{"topic", "The topic that it comes from; default the pipeline's first.", scalarSchema()},
		{"partition", "The partition; default 0.", map[string]any{"type": "integer", "minimum": 0}},
		{"offset", "The offset; default one more than that of the record before.",
			map[string]any{"type": "integer", "minimum": 0}},
		{"timestamp", "The record's time, RFC 3339 or milliseconds; default the test's clock, which starts at " +
			"2000-01-01T00:00:00Z. It does not move the clock.", map[string]any{"type": []any{"string", "integer"}}},
		{"after", "How long the test's clock runs on before the record arrives, such as 9d.",
			map[string]any{"type": "string"}},
	}
}

// TestRecord is one record of a test.
type TestRecord struct {
	Path diag.Path
	// Line is the record as JSON; what is left out has its default.
	Line  []byte
	After time.Duration
}

// DecodeYAML takes a record as JSON, with after beside it.
func (c *TestRecord) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	c.Path = n.Path
	if !n.IsMap() {
		d.WrongType(n, "a record such as {payload: {order_id: o-1}}")
		return
	}
	c.Line = append(c.Line, '{')
	value, sound := false, true
	for _, f := range d.Fields(n) {
		switch {
		case f.Name == "after":
			d.Decode(f.Node, &c.After)
			continue
		case !slices.Contains(namesOf(recordKeys()), f.Name):
			c.unknown(d, n, f)
			sound = false
			continue
		}
		value = value || f.Name == "payload" || f.Name == "value" || f.Name == "value_base64"
		raw, ok := recordField(d, f)
		if sound = sound && ok; !ok {
			continue
		}
		if len(c.Line) > 1 {
			c.Line = append(c.Line, ',')
		}
		c.Line = append(append(c.Line, yamlconf.JSONText(f.Name)+":"...), raw...)
	}
	c.Line = append(c.Line, '}')
	switch {
	case !sound:
	case !value:
		d.AtValue(n, diag.CodeRequired, string(n.Path)+" has no payload",
			"add payload: {…}, or payload: null for a tombstone")
	default:
		if _, err := handlers.DecodeJSON(c.Line, handlers.Record{}); err != nil {
			d.AtValue(n, diag.CodeExclusive, string(n.Path)+": "+err.Error(), "")
		}
	}
}

// unknown reports a key that a record does not have: most likely it is one of
// its payload.
func (c *TestRecord) unknown(d *yamlconf.Decoder, n yamlconf.Node, f yamlconf.Field) {
	if diag.Nearest(f.Name, namesOf(recordKeys())) != "" {
		d.UnknownKey(n, f, namesOf(recordKeys()))
		return
	}
	d.AtKey(f.Node, diag.CodeUnknownKey, fmt.Sprintf("unknown key %q in %s", f.Name, n.Path),
		fmt.Sprintf("what is in the record's value stands under payload: {%s: …}", f.Name))
}

// JSONSchema describes a record.
func (c *TestRecord) JSONSchema(s *yamlconf.Schema) map[string]any {
	return s.Define("test_record", func() map[string]any { return schemaOf(recordKeys()) })
}

// recordField is one field of a record as JSON, checked; what is text there may
// be any scalar here.
func recordField(d *yamlconf.Decoder, f yamlconf.Field) (raw []byte, ok bool) {
	switch f.Name {
	case "payload":
		if f.Node.IsEmpty() {
			d.AtKey(f.Node, diag.CodeEmpty, string(f.Node.Path)+" is empty", "write null for a tombstone")
			return nil, false
		}
		return d.JSON(f.Node)
	case "headers":
		raw, ok = headersJSON(d, f.Node)
	case "partition", "offset":
		raw, ok = d.JSON(f.Node)
	default:
		raw, ok = textJSON(d, f.Node)
	}
	if !ok {
		return nil, false
	}
	if f.Name == "timestamp" && strings.Trim(string(raw), `"0123456789`) == "" {
		raw = []byte(strings.Trim(string(raw), `"`)) // milliseconds
	}
	line := fmt.Sprintf(`{"payload":null,%q:%s}`, f.Name, raw)
	if strings.HasPrefix(f.Name, "value") {
		line = fmt.Sprintf(`{%q:%s}`, f.Name, raw)
	}
	if _, err := handlers.DecodeJSON([]byte(line), handlers.Record{}); err != nil {
		_, why, _ := strings.Cut(err.Error(), ": ")
		d.AtValue(f.Node, diag.CodeMalformed, fmt.Sprintf("%s: %s", f.Node.Path, why), "")
		return nil, false
	}
	return raw, true
}

// textJSON is a scalar as text, or null.
func textJSON(d *yamlconf.Decoder, n yamlconf.Node) ([]byte, bool) {
	switch {
	case n.IsNull() && !n.IsEmpty():
		return []byte("null"), true
	case n.IsNull():
		d.AtKey(n, diag.CodeEmpty, string(n.Path)+" is empty", "write a value, or remove the key")
		return nil, false
	case !n.IsScalar():
		d.WrongType(n, "text")
		return nil, false
	}
	return []byte(yamlconf.JSONText(n.Text())), true
}

// headersJSON is a map of names to texts, or a list of pairs.
func headersJSON(d *yamlconf.Decoder, n yamlconf.Node) ([]byte, bool) {
	var parts []string
	ok := true
	text := func(n yamlconf.Node) string {
		raw, sound := headerJSON(d, n)
		ok = ok && sound
		return string(raw)
	}
	switch {
	case n.IsMap():
		for _, f := range d.Fields(n) {
			parts = append(parts, yamlconf.JSONText(f.Name)+":"+text(f.Node))
		}
		return []byte("{" + strings.Join(parts, ",") + "}"), ok
	case n.IsList():
		for _, item := range d.Items(n) {
			pair := d.Items(item)
			if len(pair) != 2 {
				d.WrongType(item, "[name, value]")
				return nil, false
			}
			parts = append(parts, "["+text(pair[0])+","+text(pair[1])+"]")
		}
		return []byte("[" + strings.Join(parts, ",") + "]"), ok
	}
	d.WrongType(n, "a map of names to texts, or a list of [name, value]")
	return nil, false
}

func headerJSON(d *yamlconf.Decoder, n yamlconf.Node) ([]byte, bool) {
	if !n.IsMap() {
		return textJSON(d, n)
	}
	fields := d.Fields(n)
	if len(fields) != 1 || fields[0].Name != "base64" {
		d.AtValue(n, diag.CodeType, string(n.Path)+" must be text, null or {base64: …}", "")
		return nil, false
	}
	return d.JSON(n)
}

// Crash is where a test's process dies.
type Crash struct{ plan.Crash }

// DecodeYAML takes a point, or a map of one point and how often.
func (c *Crash) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	c.Path, c.Times = n.Path, 1
	switch fields := d.Fields(n); {
	case n.IsScalar():
		c.point(d, n, n.Text())
	case len(fields) == 1:
		if c.point(d, fields[0].Node, fields[0].Name); c.Point != "" {
			var times struct {
				Value int `yaml:"value" min:"1" max:"100000"`
			}
			d.Decode(fields[0].Node, &times.Value)
			if c.Times = times.Value; c.Times < 1 {
				d.AtValue(fields[0].Node, diag.CodeRange, string(fields[0].Node.Path)+" must be at least 1", "")
			}
		}
	default:
		d.WrongType(n, "one of "+diag.Or(plan.CrashPoints())+", or such as {after_write: 2}")
	}
}

func (c *Crash) point(d *yamlconf.Decoder, n yamlconf.Node, text string) {
	if slices.Contains(plan.CrashPoints(), text) {
		c.Point = plan.CrashPoint(text)
		return
	}
	p := diag.Problem{Path: n.Path, Place: d.Source().Key(n.Path), Code: diag.CodeChoice,
		Message: fmt.Sprintf("crash must be %s, not %q", diag.Or(plan.CrashPoints()), text)}
	if n.Path == c.Path {
		p.Place = d.Source().Value(n.Path)
	}
	d.Add(p.Meant(diag.Nearest(text, plan.CrashPoints())))
}

// JSONSchema is a point, or a map of one.
func (c *Crash) JSONSchema(*yamlconf.Schema) map[string]any {
	points := []any{}
	for _, p := range plan.CrashPoints() {
		points = append(points, p)
	}
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": points},
		map[string]any{"type": "object", "propertyNames": map[string]any{"enum": points}, "minProperties": 1,
			"maxProperties":        1,
			"additionalProperties": map[string]any{"type": "integer", "minimum": 1}},
	}}
}
