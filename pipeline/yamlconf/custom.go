package yamlconf

import (
	"reflect"

	"github.com/millrace/millrace/pipeline/diag"
)

// Custom is implemented by pointers to config types that decode themselves,
// because the file may write them in more than one form.
type Custom interface {
	// DecodeYAML takes over n, for which something is written, if only `null`, and
	// reports problems to d.
	DecodeYAML(d *Decoder, n Node)
	// JSONSchema describes what DecodeYAML takes. It is called on a zero value.
	JSONSchema(s *Schema) map[string]any
}

// Outline is implemented by Custom types, not pointers to them, that hold
// further config structs: it tells where the keys of those stand.
type Outline interface {
	// Inside is how the path goes on, such as <name>, and the type there.
	Inside() (label string, inner reflect.Type)
}

// Entries is a map of names to values that keeps the order of the file.
type Entries[T any] []Entry[T]

// Entry is one name and its value.
type Entry[T any] struct {
	Name  string
	Path  diag.Path
	Value T
}

// DecodeYAML takes every field of a map; an entry of which only the name is
// written has an empty value.
func (e *Entries[T]) DecodeYAML(d *Decoder, n Node) {
	if !n.IsMap() {
		d.WrongType(n, "a map")
		return
	}
	for _, f := range d.Fields(n) {
		if d.nameWithValue(f) {
			continue
		}
		entry := Entry[T]{Name: f.Name, Path: f.Node.Path}
		d.DecodeOrEmpty(f.Node, &entry.Value)
		*e = append(*e, entry)
	}
}

// JSONSchema is that of a map.
func (e *Entries[T]) JSONSchema(s *Schema) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": s.Or(s.Of(reflect.TypeFor[T]()), "null")}
}

// Inside leads to the values.
func (e Entries[T]) Inside() (string, reflect.Type) { return "<name>", reflect.TypeFor[T]() }

// Describe is a map of names to what the type of the values is.
func (e Entries[T]) Describe() Description {
	return collection("map of ", ".<name>", described(reflect.TypeFor[T](), field{}))
}
