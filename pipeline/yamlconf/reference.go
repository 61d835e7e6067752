package yamlconf

import (
	"reflect"
	"slices"
	"strings"
)

// Described is implemented by Custom types, not pointers to them, to tell the
// reference what the file may write there.
type Described interface {
	Describe() Description
}

// Description is what the reference says of a Custom type.
type Description struct {
	// Type is what the file may write, in a few words; Kind how its text is
	// read, as Kind returns it.
	Type, Kind string
	// Inner is the config struct whose keys stand in it, nil for none, and Label
	// how the path goes on to them, such as .<name> or [].
	Inner reflect.Type
	Label string
}

// Block is a part of the configuration with keys of its own, as the reference
// shows it.
type Block struct {
	// Path leads to the block, with <name> where names are free and [] for the
	// items of a list; empty for the whole.
	Path string `json:"path"`
	// Doc is what the block is for.
	Doc string `json:"doc,omitempty"`
	// Keys are its keys, in the order of the config struct.
	Keys []Key `json:"keys"`
}

// Key is one key of a block, as the reference shows it.
type Key struct {
	Name string `json:"name"`
	// Type is what it takes, in a few words; Kind tells how its text is read:
	// expression, template or static, empty where it takes no text.
	Type string `json:"type"`
	Kind string `json:"kind,omitempty"`
	// Place is where the text of a template goes, such as url.
	Place    string   `json:"place,omitempty"`
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	Min      string   `json:"min,omitempty"`
	Max      string   `json:"max,omitempty"`
	// Secret tells that no output shows the value.
	Secret bool   `json:"secret,omitempty"`
	Doc    string `json:"doc"`
	// Block is the path of the block that it takes, empty for none.
	Block string `json:"block,omitempty"`
}

// Reference lists the blocks of the config struct that config points to, each
// before those inside of it. What a type stands for is shown once: keys that
// take it further on refer to the first place.
func Reference(config any) []Block {
	r := &referrer{seen: map[reflect.Type]string{}}
	r.block(reflect.TypeOf(config).Elem(), "", "")
	return r.blocks
}

type referrer struct {
	blocks []Block
	seen   map[reflect.Type]string
}

func (r *referrer) block(t reflect.Type, path, doc string) {
	r.seen[t] = path
	type child struct {
		inner     reflect.Type
		path, doc string
	}
	var children []child
	block := Block{Path: path, Doc: doc}
	for _, f := range fieldsOf(t) {
		key := Key{
			Name: f.name, Doc: f.doc, Required: f.required, Default: f.def, Choices: f.enum,
			Min: f.min, Max: f.max, Secret: f.secret, Place: f.place,
		}
		what := described(t.Field(f.index).Type, f)
		key.Type, key.Kind = what.Type, what.Kind
		if what.Inner != nil {
			if _, ok := r.seen[what.Inner]; !ok {
				inner := child{what.Inner, join(path, f.name) + what.Label, f.doc}
				r.seen[what.Inner] = inner.path
				children = append(children, inner)
			}
			key.Block = r.seen[what.Inner]
		}
		block.Keys = append(block.Keys, key)
	}
	r.blocks = append(r.blocks, block)
	for _, c := range children {
		r.block(c.inner, c.path, c.doc)
	}
}

// described says what a type takes.
func described(t reflect.Type, f field) Description {
	if t.Kind() == reflect.Pointer {
		return described(t.Elem(), f)
	}
	if d, ok := reflect.Zero(t).Interface().(Described); ok {
		return d.Describe()
	}
	switch {
	case t == templateType:
		return Description{Type: "text", Kind: Kind(t)}
	case t == expressionType:
		return Description{Type: "any value", Kind: Kind(t)}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[Custom]()):
		return Description{Type: "any YAML"}
	case t.Kind() == reflect.Struct:
		return Description{Type: "map", Inner: t}
	case t.Kind() == reflect.Slice:
		return collection("list of ", "[]", described(t.Elem(), f))
	case t.Kind() == reflect.Map:
		return collection("map of ", ".<name>", described(t.Elem(), f))
	default:
		return Description{Type: typeName(t, f), Kind: Kind(t)}
	}
}

func collection(what, label string, item Description) Description {
	plural := item.Type + "s"
	if slices.Contains([]string{"text", "any YAML"}, item.Type) || strings.HasSuffix(item.Type, "s") {
		plural = item.Type
	}
	return Description{Type: what + strings.TrimPrefix(plural, "a "), Kind: item.Kind, Inner: item.Inner,
		Label: label + item.Label}
}

// typeName is the type of a static field in a word.
func typeName(t reflect.Type, f field) string {
	switch {
	case t == durationType:
		return "duration"
	case t == sizeType:
		return "size"
	case t == rateType:
		return "rate"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "number"
	case t.Kind() == reflect.String && len(f.enum) > 0:
		return "choice"
	case t.Kind() == reflect.String && f.path:
		return "path"
	case t.Kind() == reflect.String:
		return "text"
	default:
		return "integer"
	}
}

// Bounds says in words what Min and Max allow, empty for everything.
func (k Key) Bounds() string {
	switch {
	case k.Min != "" && k.Min == k.Max:
		return k.Min
	case k.Min != "" && k.Max != "":
		return k.Min + " to " + k.Max
	case k.Min != "":
		return "at least " + k.Min
	case k.Max != "":
		return "at most " + k.Max
	default:
		return ""
	}
}
