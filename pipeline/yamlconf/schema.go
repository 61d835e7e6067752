package yamlconf

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// Patterns of what static fields take, for editors; the decoder is stricter.
const (
	templatePattern = `\$\{`
	durationPattern = `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h|d|w))+$|^0$|\$\{`
	sizePattern     = `^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|KiB|MiB|GiB)?$|\$\{`
	ratePattern     = `^[0-9]+(\.[0-9]+)? ?/ ?(s|m|h)$|\$\{`
)

// Schema makes JSON Schemas (draft 7, which editors know best) from config
// structs.
type Schema struct {
	// Registry has the sinks that the schema knows.
	Registry handlers.Registry

	definitions map[string]any
}

// Document is the schema of a whole file.
func (s *Schema) Document(id, title string, config any) map[string]any {
	s.definitions = map[string]any{}
	document := s.object(reflect.TypeOf(config))
	document["$schema"] = "http://json-schema.org/draft-07/schema#"
	document["$id"] = id
	document["title"] = title
	document["definitions"] = s.definitions
	return document
}

// Define makes a named definition of what build returns, and refers to it.
func (s *Schema) Define(name string, build func() map[string]any) map[string]any {
	if _, ok := s.definitions[name]; !ok {
		s.definitions[name] = true
		s.definitions[name] = build()
	}
	return map[string]any{"$ref": "#/definitions/" + name}
}

// Of is the schema of a type.
func (s *Schema) Of(t reflect.Type) map[string]any { return s.of(t, field{}) }

// Or allows a further JSON type, such as null.
func (s *Schema) Or(schema map[string]any, jsonType string) map[string]any {
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": jsonType}}}
}

// TextSchema is the schema of text, for which YAML may also read a number or boolean.
func TextSchema(description string) map[string]any {
	return map[string]any{"type": []any{"string", "number", "boolean"}, "description": description}
}

func (s *Schema) of(t reflect.Type, f field) map[string]any {
	if custom, ok := reflect.New(t).Interface().(Custom); ok {
		return custom.JSONSchema(s)
	}
	switch {
	case t == templateType, t == expressionType:
		return map[string]any{"type": []any{"string", "number", "boolean"}}
	case len(f.enum) > 0 && t.Kind() == reflect.String:
		return enumeration(f)
	case t == durationType:
		return map[string]any{"type": []any{"string", "integer"}, "pattern": durationPattern}
	case t == sizeType:
		return map[string]any{"type": []any{"string", "integer"}, "pattern": sizePattern}
	case t == rateType:
		return map[string]any{"type": "string", "pattern": ratePattern}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), f)
	case reflect.Struct:
		return s.object(t)
	case reflect.Slice:
		list := map[string]any{"type": "array", "items": s.of(t.Elem(), f.element())}
		if f.required {
			list["minItems"] = 1
		}
		return list
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem(), f.element())}
	case reflect.Bool:
		return orTemplate(map[string]any{"type": "boolean"})
	case reflect.Float32, reflect.Float64:
		return orTemplate(limited(map[string]any{"type": "number"}, f))
	case reflect.String:
		return map[string]any{"type": []any{"string", "number", "boolean"}}
	default:
		return orTemplate(limited(map[string]any{"type": "integer"}, f))
	}
}

// object is the schema of a config struct.
func (s *Schema) object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	required := []any{}
	for _, f := range fieldsOf(t) {
		if f.hiddenSchema {
			continue
		}
		fieldType := t.Field(f.index).Type
		property := s.of(fieldType, f)
		properties[f.name] = describeProperty(property, fieldType, f)
		if f.required {
			required = append(required, f.name)
		}
	}
	object := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}

// describeProperty adds what an editor shows.
func describeProperty(schema map[string]any, t reflect.Type, f field) map[string]any {
	if _, ref := schema["$ref"]; ref {
		schema = map[string]any{"allOf": []any{schema}}
	}
	text := f.doc
	if kind := Kind(t); kind != "" {
		text = strings.TrimSpace(text + " Kind: " + kind + ".")
	}
	if text != "" {
		schema["description"] = text
	}
	if f.def != "" {
		schema["default"] = defaultValue(t, f.def)
	}
	return schema
}

// Kind is how the text of a field is read: expression, template or static;
// empty for maps and lists.
func Kind(t reflect.Type) string {
	switch {
	case t == templateType:
		return "template"
	case t == expressionType:
		return "expression"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map, t.Kind() == reflect.Slice, t.Kind() == reflect.Pointer:
		return ""
	default:
		return "static"
	}
}

func defaultValue(t reflect.Type, text string) any {
	switch {
	case t == durationType || t == sizeType || t == rateType:
		return text
	case t.Kind() == reflect.Bool:
		return text == "true"
	case t.Kind() == reflect.Slice:
		return strings.Split(text, ",")
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64:
		n, _ := strconv.ParseFloat(text, 64)
		return n
	default:
		return text
	}
}

func enumeration(f field) map[string]any {
	options := make([]any, len(f.enum))
	for i, o := range f.enum {
		options[i] = o
	}
	choice := map[string]any{"enum": options}
	if f.fold {
		choice = map[string]any{"type": "string", "pattern": "^(?:" + strings.Join(foldedPatterns(f.enum), "|") + ")$"}
	}
	return orTemplate(choice)
}

func foldedPatterns(options []string) []string {
	patterns := make([]string, len(options))
	for i, option := range options {
		var b strings.Builder
		for _, r := range option {
			if lower, upper := strings.ToLower(string(r)), strings.ToUpper(string(r)); lower != upper {
				b.WriteString("[" + lower + upper + "]")
			} else {
				b.WriteRune(r)
			}
		}
		patterns[i] = b.String()
	}
	return patterns
}

func limited(schema map[string]any, f field) map[string]any {
	if n, err := strconv.ParseFloat(f.min, 64); err == nil {
		schema["minimum"] = n
	}
	if n, err := strconv.ParseFloat(f.max, 64); err == nil {
		schema["maximum"] = n
	}
	return schema
}

func orTemplate(schema map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "string", "pattern": templatePattern}}}
}
