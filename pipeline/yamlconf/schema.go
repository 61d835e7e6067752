package yamlconf

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// Patterns of what fields take, for editors; the decoder and compiling are
// stricter. What has a ${} in it is taken for a template.
const (
	templatePattern   = `\$\{`
	expressionPattern = `\S`
	durationPattern   = `^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w))+$|^0$|\$\{`
	sizePattern       = `^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|KiB|MiB|GiB)?$|\$\{`
	ratePattern       = `^[0-9]+(\.[0-9]+)? ?/ ?(s|m|h)$|\$\{`
)

// notation is how the text of a field looks, and what an editor says of one that
// does not look so.
type notation struct{ pattern, message string }

// notationOf tells by the tags `text` and `place`; the zero notation is any text.
func notationOf(f field) notation {
	n := notationOfRequired(f)
	if f.text != "" && !f.required {
		n.pattern += "|^$" // as if it were not written
	}
	return n
}

func notationOfRequired(f field) notation {
	switch {
	case f.text == "name":
		return notation{`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$|\$\{`,
			"a name has letters, digits, dots, dashes and underscores, and starts with a letter or digit"}
	case f.text == "topic" || f.place == "topic":
		return notation{`^[A-Za-z0-9._-]{1,249}$|\$\{`, "a topic's name has letters, digits, dots, dashes and " +
			"underscores"}
	case f.text == "address":
		return notation{`^[^/@ ]*:[0-9]{1,5}$|\$\{`, "write host:port, such as 127.0.0.1:8080"}
	case f.text == "store":
		return notation{`^rediss?://|^embedded$|\$\{`, "write redis://host:6379/0, rediss://… for TLS, or embedded"}
	case f.text == "urlpath":
		return notation{`^/[^?# {}]*$|\$\{`, "a path starts with /"}
	case f.place == "key":
		return notation{templatePattern, "a key must depend on the record: use ${…}, such as order:${payload.order_id}"}
	case f.place == "url":
		usual := "https"
		if len(f.schemes) > 0 {
			usual = f.schemes[len(f.schemes)-1]
		}
		return notation{`^[A-Za-z][A-Za-z0-9+.-]*://|\$\{`, "write a URL with its scheme, such as " + usual +
			"://example.com/"}
	case f.required:
		return notation{expressionPattern, "it must not be empty"}
	default:
		return notation{}
	}
}

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

// Refined is implemented by config structs, not pointers to them, whose schema
// says more than the tags of their fields.
type Refined interface {
	RefineSchema(schema map[string]any)
}

func (s *Schema) of(t reflect.Type, f field) map[string]any {
	if custom, ok := reflect.New(t).Interface().(Custom); ok {
		return custom.JSONSchema(s)
	}
	switch {
	case t == expressionType:
		return text(notation{expressionPattern, "an expression must not be empty"})
	case t == templateType:
		return text(notationOf(f))
	case len(f.enum) > 0 && t.Kind() == reflect.String:
		return enumeration(f)
	case t == durationType:
		const message = "write a number with a unit: 250ms, 10s, 5m, 2h, 8d, 1w"
		schema := looksLike(notation{durationPattern, message}, "string", "integer")
		schema["if"] = map[string]any{"type": "integer"}
		schema["then"] = map[string]any{"const": 0, "errorMessage": message}
		return schema
	case t == sizeType:
		return looksLike(notation{sizePattern, "write bytes with a unit: 512B, 64kB, 1MB, 64KiB, 16MiB, 1GiB"},
			"string", "number")
	case t == rateType:
		return looksLike(notation{ratePattern, "write a number a second, minute or hour: 500/s, 30/m, 10/h"}, "string")
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
		return text(notationOf(f))
	default:
		return orTemplate(limited(map[string]any{"type": "integer"}, f))
	}
}

// text is the schema of text, for which YAML may also read a number or boolean.
// A pattern says nothing of those.
func text(n notation) map[string]any {
	return looksLike(n, "string", "number", "boolean")
}

// looksLike is one of JSON types whose text follows a notation.
func looksLike(n notation, types ...any) map[string]any {
	schema := map[string]any{"type": types}
	if n.pattern != "" {
		schema["pattern"], schema["patternErrorMessage"] = n.pattern, n.message
	}
	return schema
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
	if refined, ok := reflect.Zero(t).Interface().(Refined); ok {
		refined.RefineSchema(object)
	}
	return object
}

// describeProperty adds what an editor shows.
func describeProperty(schema map[string]any, t reflect.Type, f field) map[string]any {
	if _, ref := schema["$ref"]; ref {
		schema = map[string]any{"allOf": []any{schema}}
	}
	Describe(schema, f.doc, kindOf(t))
	if found := example.FindStringSubmatch(f.doc); found != nil && t.Kind() != reflect.Slice &&
		t.Kind() != reflect.Map {
		schema["examples"] = []any{found[1]}
	}
	if f.def != "" {
		schema["default"] = defaultValue(t, f.def)
	}
	return schema
}

var example = regexp.MustCompile(`such as '([^']+)'`)

// Describe sets what an editor shows of a schema: a doc tag's text, and how the
// text is read.
func Describe(schema map[string]any, doc, kind string) {
	markdown := Markdown(doc)
	if kind != "" {
		doc += " Kind: " + kind + "."
		markdown += "\n\nKind: *" + kind + "*."
	}
	schema["description"], schema["markdownDescription"] = doc, markdown
}

// kindOf is the kind of a field, or of what its list or map holds.
func kindOf(t reflect.Type) string {
	return described(t, field{}).Kind
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
