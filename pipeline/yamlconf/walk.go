package yamlconf

import (
	"maps"
	"reflect"
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
)

// Text is a template or an expression of a config struct: one of the two is
// set.
type Text struct {
	Path  diag.Path
	Place string
	// Schemes are those that a URL may have, the usual one last; none for any.
	Schemes    []string
	Template   *handlers.Template
	Expression *handlers.Expression
}

// Walk visits every template and expression that is written, or has a default,
// in a pointer to a config struct, in the order of the struct. What visit sets
// stays set, also in maps.
func Walk(config any, path diag.Path, visit func(Text)) {
	w := walker{visit}
	w.value(reflect.ValueOf(config).Elem(), path, field{})
}

type walker struct{ visit func(Text) }

func (w walker) value(v reflect.Value, path diag.Path, of field) {
	switch t := v.Type(); {
	case t == templateType:
		if p := v.Addr().Interface().(*handlers.Template); !p.IsZero() {
			w.visit(Text{Path: path, Place: of.place, Schemes: of.schemes, Template: p})
		}
	case t == expressionType:
		if p := v.Addr().Interface().(*handlers.Expression); !p.IsZero() {
			w.visit(Text{Path: path, Place: of.place, Schemes: of.schemes, Expression: p})
		}
	case t.Kind() == reflect.Pointer:
		if !v.IsNil() {
			w.value(v.Elem(), path, of)
		}
	case t.Kind() == reflect.Struct:
		for _, f := range fieldsOf(t) {
			w.value(v.Field(f.index), path.Field(f.name), f)
		}
	case t.Kind() == reflect.Slice:
		for i := range v.Len() {
			w.value(v.Index(i), path.Item(i), of)
		}
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		w.entries(v, path, of)
	}
}

// entries visits copies, since what lies in a map has no address.
func (w walker) entries(v reflect.Value, path diag.Path, of field) {
	keys := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		keys[k.String()] = k
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		item := reflect.New(v.Type().Elem()).Elem()
		item.Set(v.MapIndex(keys[name]))
		w.value(item, path.Field(name), of)
		v.SetMapIndex(keys[name], item)
	}
}

// Each calls visit with every field of the config struct that config points to,
// in order, and whether its tags say that it is secret.
func Each(config any, visit func(name string, value reflect.Value, secret bool)) {
	v := reflect.ValueOf(config).Elem()
	for _, f := range fieldsOf(v.Type()) {
		visit(f.name, v.Field(f.index), f.secret || f.url)
	}
}

// Hosts are the fields of a config struct that list the hosts which a record may
// lead to.
func Hosts(config any) (names []string) {
	for _, f := range fieldsOf(reflect.TypeOf(config).Elem()) {
		if f.hosts {
			names = append(names, f.name)
		}
	}
	return names
}
