package yamlconf

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
)

// Encoder writes config structs that were decoded from a file back as YAML, with
// what was filled in, and without secrets: a value that comes from a file or
// variable and must not be shown is written as it stands in the file, one whose
// text stands there as Redacted.
type Encoder struct {
	// Source is the file that the structs were decoded from; Dir its folder.
	Source *diag.Source
	Dir    string
	// Secrets and Unknown are the decoder's.
	Secrets map[diag.Path]string
	Unknown map[diag.Path]bool
	// Whole tells that secrets are written too, for what nobody sees.
	Whole bool
}

// Encodable is implemented by Custom types, not pointers to them, that can be
// written back. Others are written as they stand in the file.
type Encodable interface {
	// EncodeYAML is what the value at path is written as; nil leaves it out.
	EncodeYAML(e *Encoder, path diag.Path) *yaml.Node
}

// EncodeYAML is a map in the order of the file.
func (entries Entries[T]) EncodeYAML(e *Encoder, _ diag.Path) *yaml.Node {
	if len(entries) == 0 {
		return nil
	}
	out := MapNode()
	for i := range entries {
		value := e.Encode(&entries[i].Value, entries[i].Path)
		if value == nil {
			value = MapNode()
		}
		Put(out, entries[i].Name, value)
	}
	return out
}

// Encode is what the pointer into points to, written as the value at path; nil
// where there is nothing to write.
func (e *Encoder) Encode(into any, path diag.Path) *yaml.Node {
	return e.value(reflect.ValueOf(into).Elem(), path, field{})
}

// Raw is the value at path as it stands in the file, with aliases and merges
// written out; nil where there is none.
func (e *Encoder) Raw(path diag.Path) *yaml.Node {
	n := e.Source.Node(path)
	if n == nil {
		return nil
	}
	n = expanded(n)
	if !e.Whole {
		hideHeaders(n, false)
	}
	return n
}

// hideHeaders leaves secrets out of the headers of records as they stand in a file.
func hideHeaders(n *yaml.Node, names bool) {
	for i, child := range n.Content {
		key := ""
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			key = n.Content[i-1].Value
		}
		switch {
		case names && handlers.SecretName(key) && child.Kind == yaml.ScalarNode && child.Tag != "!!null":
			n.Content[i] = TextNode(Redacted)
		case key != "payload" && key != "value" && key != "body":
			hideHeaders(child, names || key == "headers")
		}
	}
}

func (e *Encoder) value(v reflect.Value, path diag.Path, f field) *yaml.Node {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		if inner := e.value(v.Elem(), path, f); inner != nil {
			return inner
		}
		return MapNode()
	}
	if custom, ok := v.Interface().(Encodable); ok {
		return custom.EncodeYAML(e, path)
	}
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[Custom]()):
		return e.Raw(path)
	case t == templateType:
		return e.template(v.Interface().(handlers.Template).Source, path, f)
	case t == expressionType:
		return e.Expression(v.Interface().(handlers.Expression))
	case t.Kind() == reflect.Struct:
		return e.fields(v, path)
	case t.Kind() == reflect.Slice:
		return e.items(v, path, f)
	case t.Kind() == reflect.Map:
		return e.entries(v, path, f)
	default:
		return e.static(v, path, f)
	}
}

// fields are those of a config struct that are written, or have a value.
func (e *Encoder) fields(v reflect.Value, path diag.Path) *yaml.Node {
	out := MapNode()
	for _, f := range fieldsOf(v.Type()) {
		at, fv := path.Field(f.name), v.Field(f.index)
		if fv.IsZero() && f.def == "" && !e.Source.Has(at) {
			continue
		}
		if n := e.value(fv, at, f); n != nil {
			Put(out, f.name, n)
		}
	}
	if len(out.Content) == 0 {
		return nil
	}
	return out
}

func (e *Encoder) items(v reflect.Value, path diag.Path, f field) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for i := range v.Len() {
		if n := e.value(v.Index(i), path.Item(i), f.element()); n != nil {
			out.Content = append(out.Content, n)
		}
	}
	return out
}

func (e *Encoder) entries(v reflect.Value, path diag.Path, f field) *yaml.Node {
	out := MapNode()
	keys := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		keys[keyText(k)] = k
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		value := v.MapIndex(keys[name])
		if t, ok := value.Interface().(handlers.Template); ok && !e.Whole {
			value = reflect.ValueOf(handlers.Template{Source: ShownAt(f.place, name, t.Source)})
		}
		if n := e.value(value, path.Field(name), f.element()); n != nil {
			Put(out, name, n)
		}
	}
	return out
}

func keyText(k reflect.Value) string {
	if k.CanInt() {
		return strconv.FormatInt(k.Int(), 10)
	}
	return k.String()
}

func (e *Encoder) template(source string, path diag.Path, f field) *yaml.Node {
	if source == "" && !e.Source.Has(path) {
		return nil
	}
	switch {
	case e.Whole:
	case f.secret:
		source = secretText(source)
	case f.place == "url":
		source = ShownURL(source)
	}
	return TextNode(rebased(source, e.Dir, true))
}

// Expression is an expression's text; nil where it is not written.
func (e *Encoder) Expression(x handlers.Expression) *yaml.Node {
	switch x.Source {
	case "":
		return nil
	case "nil":
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	default:
		return TextNode(rebased(x.Source, e.Dir, false))
	}
}

// static is a value that was fixed when the file was loaded, or where that must
// not be shown or is not known, what stands in the file.
func (e *Encoder) static(v reflect.Value, path diag.Path, f field) *yaml.Node {
	source := ""
	if n := e.Source.Node(path); n != nil {
		source = n.Value
	}
	_, secret := e.Secrets[path]
	switch {
	case e.Whole && v.Kind() == reflect.String:
		return TextNode(v.String())
	case f.secret:
		return TextNode(rebased(secretText(source), e.Dir, true))
	case f.url && strings.ContainsAny(v.String(), "@?"):
		return TextNode(rebased(ShownURL(source), e.Dir, true))
	case secret || e.Unknown[path]:
		return TextNode(rebased(source, e.Dir, true))
	case v.Kind() == reflect.String:
		return TextNode(strings.ReplaceAll(v.String(), "${", "$${"))
	}
	return scalar(v)
}

// scalar writes a value in its notation.
func scalar(v reflect.Value) *yaml.Node {
	switch value := v.Interface().(type) {
	case time.Duration:
		return TextNode(FormatDuration(value))
	case handlers.Size:
		return TextNode(FormatSize(int64(value)))
	case handlers.Rate:
		return TextNode(FormatRate(value))
	}
	n := new(yaml.Node)
	if err := n.Encode(v.Interface()); err != nil {
		return TextNode("")
	}
	return n
}
