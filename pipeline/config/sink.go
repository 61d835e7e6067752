package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Sink is one entry of a list of sinks: a map with the key of one handler
// and the optional siblings of it.
type Sink struct {
	Path diag.Path
	// Kind is the handler's key, empty where the entry is wrong; Handler its
	// decoded config struct.
	Kind    string
	Handler any
	sinkSiblings
}

type sinkSiblings struct {
	Name  string              `yaml:"name" text:"name" doc:"The name of the sink, which is part of the identity of its keys. Without it, its kind."`
	When  handlers.Expression `yaml:"when" doc:"Which records of its route it takes. Without it, all."`
	Retry *Retry              `yaml:"retry" doc:"How a write of this sink that failed is tried again. Without it, as the pipeline says."`
}

// HandlerPath is where the handler's own settings stand.
func (c *Sink) HandlerPath() diag.Path { return c.Path.Field(c.Kind) }

// Inside tells of the keys that stand beside the handler.
func (c Sink) Inside() (string, reflect.Type) { return "", reflect.TypeFor[sinkSiblings]() }

// DecodeYAML takes a map with the key of one handler.
func (c *Sink) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	c.Path = n.Path
	kinds := d.Registry().Kinds()
	switch {
	case n.IsScalar() && slices.Contains(kinds, n.Text()):
		d.AtValue(n, diag.CodeSink, "a sink is a map named after its handler", "write "+n.Text()+": {}")
		return
	case !n.IsMap():
		d.WrongType(n, "a map named after its handler, such as http: {url: …}")
		return
	}
	siblings := map[string]any{"name": &c.Name, "when": &c.When, "retry": &c.Retry}
	var handler, unknown []yamlconf.Field
	for _, f := range d.Fields(n) {
		if into, ok := siblings[f.Name]; ok {
			d.Decode(f.Node, into)
		} else if c.isKind(kinds, f.Name) {
			handler = append(handler, f)
		} else {
			unknown = append(unknown, f)
		}
	}
	switch {
	case len(handler) == 0 && len(unknown) > 0:
		c.unknownHandler(d, unknown, kinds)
		return
	case len(handler) == 0:
		d.AtValue(n, diag.CodeSink, "the sink names no handler", "add one of "+Alternatives(kinds))
		return
	case len(handler) > 1:
		for _, f := range handler {
			d.Unplaced(f.Node)
		}
		d.Add(diag.Problem{Path: n.Path, Place: d.Source().Key(handler[1].Node.Path), Code: diag.CodeSink,
			Message: fmt.Sprintf("a sink has one handler, and this one has %s and %s", handler[0].Name, handler[1].Name),
			Hint:    "start a list item of its own",
			Related: &diag.Related{Place: d.Source().Key(handler[0].Node.Path), Message: "the first handler is here"}})
		return
	}
	c.misplaced(d, n, handler[0], unknown)
	c.decodeHandler(d, handler[0], unknown)
}

func (c *Sink) isKind(kinds []string, name string) bool {
	return slices.Contains(kinds, name) || slices.Contains(NotAvailable().sinkKinds, name)
}

// unknownHandler reports the key that most likely was meant to be a handler.
func (c *Sink) unknownHandler(d *yamlconf.Decoder, unknown []yamlconf.Field, kinds []string) {
	for _, f := range unknown {
		d.Unplaced(f.Node)
	}
	culprit, hint, fix := unknown[0], "the handlers are "+Alternatives(kinds), ""
	for _, f := range unknown {
		if near := diag.Nearest(f.Name, kinds); near != "" {
			culprit, hint, fix = f, "did you mean "+strconv.Quote(near)+"?", near
			break
		}
	}
	d.Add(diag.Problem{Path: c.Path, Place: d.Source().Key(culprit.Node.Path), Code: diag.CodeSink,
		Message: fmt.Sprintf("there is no sink %q", culprit.Name), Hint: hint, Fix: fix, FixAt: d.KeyRegion(culprit)})
}

// misplaced reports the keys beside the handler that are none of its siblings:
// those that belong to the handler at once, since one indentation is wrong.
func (c *Sink) misplaced(d *yamlconf.Decoder, n yamlconf.Node, handler yamlconf.Field, unknown []yamlconf.Field) {
	var own []yamlconf.Field
	var names []string
	for _, f := range unknown {
		if spec, ok := d.Registry()[handler.Name]; ok && yamlconf.HasField(spec.New(), f.Name) {
			d.Unplaced(f.Node)
			own, names = append(own, f), append(names, strconv.Quote(f.Name))
			continue
		}
		d.UnknownKey(n, f, []string{"name", "when", "retry"})
	}
	switch len(own) {
	case 0:
	case 1:
		d.AtKey(own[0].Node, diag.CodeUnknownKey, fmt.Sprintf("unknown key %s in %s", names[0], n.Path),
			fmt.Sprintf("%s is a key of %s: indent it below that", names[0], handler.Name))
	default:
		d.AtKey(own[0].Node, diag.CodeUnknownKey, fmt.Sprintf("unknown keys in %s: %s", n.Path, strings.Join(names, ", ")),
			fmt.Sprintf("they are keys of %s: indent them below that", handler.Name))
	}
}

func (c *Sink) decodeHandler(d *yamlconf.Decoder, f yamlconf.Field, beside []yamlconf.Field) {
	spec, ok := d.Registry()[f.Name]
	if !ok {
		d.Unplaced(f.Node)
		d.Add(NotAvailableProblem(d.Source(), f.Node.Path, true, "the "+f.Name+" sink is"))
		return
	}
	c.Kind, c.Handler = f.Name, spec.New()
	d.DecodeBeside(f.Node, c.Handler, beside)
}

// JSONSchema is a map with one of the registered handlers.
func (c *Sink) JSONSchema(s *yamlconf.Schema) map[string]any {
	return s.Define("sink", func() map[string]any {
		siblings := s.Of(reflect.TypeFor[sinkSiblings]())["properties"].(map[string]any)
		properties := maps.Clone(siblings)
		kinds := s.Registry.Kinds()
		for _, kind := range kinds {
			properties[kind] = handlerSchema(s, kind)
		}
		sink := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
		exactlyOne(sink, "a sink names one handler: "+Alternatives(kinds), kinds...)
		return sink
	})
}

func handlerSchema(s *yamlconf.Schema, kind string) map[string]any {
	spec := s.Registry[kind]
	return s.Define("sink_"+kind, func() map[string]any {
		schema := s.Of(reflect.TypeOf(spec.New()).Elem())
		yamlconf.Describe(schema, spec.Doc, "")
		if required, _ := schema["required"].([]any); len(required) == 0 {
			schema["type"] = []any{"object", "null"}
		}
		return schema
	})
}

// Alternatives are names in a sentence: a, b or c.
func Alternatives(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	if len(names) == 1 {
		return names[0]
	}
	text := names[0]
	for _, n := range names[1 : len(names)-1] {
		text += ", " + n
	}
	return text + " or " + names[len(names)-1]
}
