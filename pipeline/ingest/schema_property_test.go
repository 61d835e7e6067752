package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

type oneDocument struct{ document any }

func (d oneDocument) Load(string) (any, error) { return d.document, nil }

// TestSchemaAgreesWithTheLibrary checks values against schemas in both ways: what
// is done here and not by the library has the library's meaning.
func TestSchemaAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &schemaMaker{t: t, draft: rapid.SampledFrom([]string{"", "http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema"}).Draw(t, "draft")}
		schema := map[string]any{"$defs": map[string]any{"a": g.schema(2), "b": g.schema(2)}, "definitions": map[string]any{}}
		for k, v := range g.object(3) {
			schema[k] = v
		}
		if g.draft != "" {
			schema["$schema"] = g.draft
		}
		text, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		compiler.UseLoader(oneDocument{document})
		plain, err := compiler.Compile("file:///schema.json")
		if err != nil {
			t.Skip(err)
		}
		own, err := NewSchema("file:///schema.json", oneDocument{document})
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			value, err := json.Marshal(g.value(3))
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := jsonschema.UnmarshalJSON(strings.NewReader(string(value)))
			if err != nil {
				t.Fatal(err)
			}
			want := plain.Validate(decoded)
			reasons, err := own.check(t.Context(), value)
			if err != nil || (want == nil) != (len(reasons) == 0) {
				t.Fatalf("%s\nagainst %s:\nthe library says %v\nown: %v, %v", value, text, want, reasons, err)
			}
			again, _ := own.check(t.Context(), value)
			if fmt.Sprint(again) != fmt.Sprint(reasons) {
				t.Fatalf("%s against %s: once %v, once %v", value, text, reasons, again)
			}
		}
	})
}

type schemaMaker struct {
	t     *rapid.T
	draft string
}

func (g *schemaMaker) n(limit int) int { return rapid.IntRange(0, limit-1).Draw(g.t, "n") }

func (g *schemaMaker) name() string {
	return rapid.SampledFrom([]string{"a", "b", "aa", "c/d"}).Draw(g.t, "name")
}

func (g *schemaMaker) schema(depth int) any {
	if g.n(12) == 0 {
		return g.n(4) != 0
	}
	return g.object(depth)
}

func (g *schemaMaker) object(depth int) map[string]any {
	s := map[string]any{}
	for range 1 + g.n(3) {
		g.keyword(s, depth)
	}
	return s
}

func (g *schemaMaker) keyword(s map[string]any, depth int) {
	if depth == 0 || g.n(3) == 0 {
		g.leaf(s)
		return
	}
	below := func() any { return g.schema(depth - 1) }
	list := func() []any { return []any{below(), below()} }
	switch g.n(18) {
	case 0, 1:
		s["properties"] = map[string]any{g.name(): below(), g.name(): below()}
	case 2:
		s["patternProperties"] = map[string]any{"^a": below(), "d$": below()}
	case 3:
		s["additionalProperties"] = below()
	case 4:
		s["propertyNames"] = below()
	case 5:
		if g.draft == "" {
			s["prefixItems"] = list()
		} else {
			s["items"], s["additionalItems"] = list(), below()
		}
	case 6:
		s["items"] = below()
	case 7:
		s["contains"] = below()
		if g.n(2) == 0 {
			s["minContains"], s["maxContains"] = g.n(3), 1+g.n(2)
		}
	case 8:
		s["allOf"] = list()
	case 9:
		s["anyOf"] = list()
	case 10:
		s["oneOf"] = list()
	case 11:
		s["not"] = below()
	case 12:
		s["if"], s["then"], s["else"] = below(), below(), below()
	case 13:
		s["dependentSchemas"] = map[string]any{g.name(): below()}
	case 14:
		s["unevaluatedProperties"] = below()
	case 15:
		s["unevaluatedItems"] = below()
	default:
		s["$ref"] = rapid.SampledFrom([]string{"#/$defs/a", "#/$defs/b", "#"}).Draw(g.t, "ref")
	}
}

func (g *schemaMaker) leaf(s map[string]any) {
	switch g.n(8) {
	case 0, 1:
		s["type"] = rapid.SampledFrom([]string{"object", "array", "string", "number", "integer", "null"}).Draw(g.t, "type")
	case 2:
		s["required"] = []any{g.name()}
	case 3:
		s["minimum"] = g.n(3)
	case 4:
		s["maxLength"] = 1
	case 5:
		s["uniqueItems"] = true
	case 6:
		s["enum"] = []any{g.value(1), g.value(0)}
	default:
		s["maxProperties"], s["maxItems"] = g.n(3), g.n(3)
	}
}

func (g *schemaMaker) value(depth int) any {
	kinds := 7
	if depth == 0 {
		kinds = 3
	}
	switch g.n(kinds) {
	case 0:
		return g.n(3)
	case 1:
		return g.name()
	case 2:
		return rapid.SampledFrom([]any{nil, true, 0.5}).Draw(g.t, "other")
	case 3, 4:
		list := make([]any, g.n(4))
		for i := range list {
			list[i] = g.value(depth - 1)
		}
		return list
	default:
		object := map[string]any{}
		for range g.n(4) {
			object[g.name()] = g.value(depth - 1)
		}
		return object
	}
}
