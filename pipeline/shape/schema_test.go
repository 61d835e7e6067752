package shape

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
)

// drawSchema draws a JSON Schema in the words of several drafts.
func drawSchema(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 16).Draw(t, "kind")
	if depth == 0 {
		kind = min(kind, 6)
	}
	sub := func() any { return drawSchema(t, depth-1) }
	switch kind {
	case 0:
		return rapid.SampledFrom([]any{true, map[string]any{}, map[string]any{"type": []any{"string", "null"}}}).Draw(t, "open")
	case 1:
		return map[string]any{"enum": rapid.SampledFrom([][]any{{"p", "q"}, {"p", nil}, {1, 2.5, "p"}, {true}, {[]any{}, "q"}}).Draw(t, "enum")}
	case 2:
		return map[string]any{"const": rapid.SampledFrom([]any{"p", 1, nil, true}).Draw(t, "const")}
	case 3:
		return map[string]any{"type": rapid.SampledFrom([]string{"string", "boolean", "null", "array", "object"}).Draw(t, "type")}
	case 4, 5:
		return map[string]any{"type": "number", "minimum": rapid.IntRange(-2, 2).Draw(t, "minimum"), "exclusiveMaximum": 4.5}
	case 6:
		return map[string]any{"$ref": rapid.SampledFrom([]string{"#/$defs/a", "#/$defs/b", "#"}).Draw(t, "ref")}
	case 7:
		return map[string]any{rapid.SampledFrom([]string{"anyOf", "oneOf", "allOf"}).Draw(t, "of"): []any{sub(), sub()}}
	case 8:
		return map[string]any{"if": sub(), "then": sub(), "else": sub()}
	case 9:
		return map[string]any{"prefixItems": []any{sub()}, "items": sub()}
	case 10:
		return map[string]any{"allOf": []any{drawObject(t, depth), drawObject(t, depth)}, "unevaluatedProperties": false}
	case 11:
		o := drawObject(t, depth)
		o["dependentSchemas"] = map[string]any{"a": sub()}
		return o
	case 12:
		return map[string]any{"type": "array", "items": sub()}
	default:
		return drawObject(t, depth)
	}
}

func drawObject(t *rapid.T, depth int) map[string]any {
	properties := map[string]any{}
	for _, name := range []string{"a", "b", "c"}[:rapid.IntRange(0, 3).Draw(t, "fields")] {
		properties[name] = drawSchema(t, depth-1)
	}
	o := map[string]any{"properties": properties}
	if rapid.Bool().Draw(t, "typed") {
		o["type"] = "object"
	}
	if rapid.Bool().Draw(t, "required") {
		o["required"] = []any{rapid.SampledFrom([]string{"a", "b", "d"}).Draw(t, "name")}
	}
	switch rapid.IntRange(0, 4).Draw(t, "additional") {
	case 0, 1:
		o["additionalProperties"] = false
	case 2:
		o["additionalProperties"] = drawSchema(t, depth-1)
	case 3:
		o["patternProperties"] = map[string]any{"^[cd]": drawSchema(t, depth-1)}
	}
	return o
}

func drawDocument(t *rapid.T) map[string]any {
	document, ok := drawSchema(t, 3).(map[string]any)
	if !ok {
		document = map[string]any{}
	}
	document["$defs"] = map[string]any{"a": drawSchema(t, 2), "b": drawSchema(t, 1)}
	return document
}

func compiledSchema(t *rapid.T, document any) *jsonschema.Schema {
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("file:///s.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("file:///s.json")
	if err != nil {
		t.Skipf("no schema: %v", err)
	}
	return schema
}

// drawValue draws a value that has a chance to be valid for a schema.
func drawValue(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 9).Draw(t, "value")
	if depth == 0 {
		kind = min(kind, 4)
	}
	switch kind {
	case 0:
		return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "constant")
	case 1, 2:
		return rapid.SampledFrom([]string{"p", "q", "", "x"}).Draw(t, "text")
	case 3, 4:
		return rapid.SampledFrom([]float64{1, 2.5, -2, 4.5, 0, 100}).Draw(t, "number")
	case 5:
		list := []any{}
		for range rapid.IntRange(0, 2).Draw(t, "items") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	}
	object := map[string]any{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if rapid.IntRange(0, 2).Draw(t, "there") > 0 {
			object[name] = drawValue(t, depth-1)
		}
	}
	return object
}

// TestSchemaTypesHoldWhatIsValid: every value that a schema allows is of the type
// that is read from it, so that nothing that follows from the type is wrong of a
// valid record. What an expression yields without the schema is of the type that
// is inferred with it, and a path that the schema's type refuses is null.
func TestSchemaTypesHoldWhatIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		document := drawDocument(t)
		schema := compiledSchema(t, document)
		is := TypeOf(schema)
		path := "payload"
		for range rapid.IntRange(0, 3).Draw(t, "steps") {
			path += rapid.SampledFrom([]string{".a", ".b", ".c", ".d", "[0]", "[1]"}).Draw(t, "step")
		}
		for range 5 {
			value := drawValue(t, 3)
			if schema.Validate(value) != nil {
				continue
			}
			if !is.Holds(value) {
				t.Fatalf("%v is valid, and not of the type\n%s", value, asText(document))
			}
			checkPath(t, is, path, value, asText(document))
		}
	})
}

func checkPath(t *rapid.T, is expression.Type, path string, value any, schema string) {
	plain, typed := expression.NewScope(expression.Options{}), expression.NewScope(expression.Options{})
	typed.Payload(is)
	e, found := plain.Expression(path)
	if found != nil {
		t.Fatal(found)
	}
	in := plain.NewInput()
	if err := in.Load(&handlers.Record{Value: []byte(asText(value))}); err != nil {
		t.Fatal(err)
	}
	v, err := e.Value(in)
	if err != nil {
		return
	}
	checked, found := typed.Expression(path)
	if len(found) > 0 && !found[0].Warning {
		if v != nil {
			t.Fatalf("%s of %v is %v, and %+v\n%s", path, value, v, found, schema)
		}
		return
	}
	if !checked.Type().Holds(v) {
		t.Fatalf("%s of %v is %v, and not of the type %v\n%s", path, value, v, checked.Type(), schema)
	}
}

func asText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text)
}

// FuzzTyped compiles any expression against any JSON Schema: no panic, no end to
// wait for, at most one finding.
func FuzzTyped(f *testing.F) {
	for _, schema := range []string{
		`{"properties": {"a": {"$ref": "#"}}, "additionalProperties": false}`, `{"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}], "$defs": {"x": {"anyOf": [{"$ref": "#"}, {"type": "object"}]}}}`,
		`{"type": ["string", "null"], "enum": ["p", 1e400, null, {}]}`, `{"minimum": 1e999, "exclusiveMaximum": -0.1}`, `false`,
		`{"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}], "additionalItems": false}`,
		`{"if": {"required": ["a"]}, "then": {"properties": {"b": false}}, "unevaluatedProperties": false}`, `{"$dynamicRef": "#x", "$defs": {"y": {"$dynamicAnchor": "x"}}}`,
	} {
		f.Add(schema, `payload.a.b[0].c == "p" && any(payload.a, .b in ["q"]) || payload.x < 5`)
	}
	f.Fuzz(func(t *testing.T, schema, source string) {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
		if err != nil {
			return
		}
		compiler := jsonschema.NewCompiler()
		if compiler.AddResource("file:///s.json", value) != nil {
			return
		}
		compiled, err := compiler.Compile("file:///s.json")
		if err != nil {
			return
		}
		s := expression.NewScope(expression.Options{})
		s.Payload(TypeOf(compiled))
		if _, found := s.Condition(source); len(found) > 1 {
			t.Fatalf("%q: %+v", source, found)
		}
	})
}
