package yamlconf

import (
	"reflect"
	"slices"
	"strings"
)

// field is one field of a config struct, as its tags describe it.
type field struct {
	index                    int
	name, doc, def, place    string
	min, max, text           string
	enum, schemes            []string
	required, secret, url    bool
	fold, path, hiddenSchema bool
	hosts                    bool
}

// fieldsOf lists the fields of a config struct in order. Fields without a yaml
// name are not the file's.
func fieldsOf(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		info := field{
			index: i, name: name,
			doc: f.Tag.Get("doc"), def: f.Tag.Get("default"), place: f.Tag.Get("place"),
			min: f.Tag.Get("min"), max: f.Tag.Get("max"), text: f.Tag.Get("text"),
			required: f.Tag.Get("required") == "true", secret: f.Tag.Get("secret") == "true" || f.Type == secretType,
			url:  f.Tag.Get("secret") == "url",
			fold: f.Tag.Get("fold") == "true", path: f.Tag.Get("path") == "true",
			hiddenSchema: f.Tag.Get("noschema") == "true",
			hosts:        f.Tag.Get("hosts") == "true",
		}
		if e := f.Tag.Get("enum"); e != "" {
			info.enum = strings.Split(e, ",")
		}
		if s := f.Tag.Get("schemes"); s != "" {
			info.schemes = strings.Split(s, ",")
		}
		list = append(list, info)
	}
	return list
}

// Levels tells where in a configuration a key is legal.
type Levels map[string][]string

// LevelsOf finds the keys of a config struct and of all that it holds.
func LevelsOf(config any) Levels {
	levels := Levels{}
	levels.add(reflect.TypeOf(config), "", 0)
	return levels
}

func (l Levels) add(t reflect.Type, at string, depth int) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && !t.Implements(outlineType) {
		t = t.Elem()
	}
	if depth > 10 {
		return
	}
	if t.Implements(outlineType) {
		label, inner := reflect.Zero(t).Interface().(Outline).Inside()
		if inner != nil {
			l.add(inner, join(at, label), depth+1)
		}
		return
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for _, f := range fieldsOf(t) {
		l[f.name] = append(l[f.name], at)
		l.add(t.Field(f.index).Type, join(at, f.name), depth+1)
	}
}

func join(at, name string) string {
	if at == "" || name == "" {
		return at + name
	}
	return at + "." + name
}

// HasField tells whether the config struct that config points to has a key.
func HasField(config any, key string) bool {
	return slices.ContainsFunc(fieldsOf(reflect.TypeOf(config).Elem()), func(f field) bool { return f.name == key })
}
