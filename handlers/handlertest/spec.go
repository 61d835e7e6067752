package handlertest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
)

// checkSpec checks that the decoder, the JSON Schema and the reference page find
// what they need.
func checkSpec(t *testing.T, spec handlers.Spec) {
	if spec.Kind == "" || spec.Doc == "" {
		t.Error("kind and doc must be there")
	}
	if !strings.HasPrefix(spec.Example, spec.Kind+":") {
		t.Errorf("the example must be a sink entry that begins with %q, got %q", spec.Kind+":", spec.Example)
	}
	config := reflect.TypeOf(spec.New())
	if config.Kind() != reflect.Pointer || config.Elem().Kind() != reflect.Struct {
		t.Fatalf("New must return a pointer to a struct, got %v", config)
	}
	checkFields(t, spec.Kind, config.Elem())
}

func checkFields(t *testing.T, path string, config reflect.Type) {
	for field := range config.Fields() {
		name := field.Tag.Get("yaml")
		if name == "" || field.Tag.Get("doc") == "" {
			t.Errorf("%s: field %s needs the tags yaml and doc", path, field.Name)
		}
		if !supported(field.Type) {
			t.Errorf("%s.%s: no YAML can become a %v", path, name, field.Type)
		}
		if values := field.Tag.Get("enum"); values != "" && field.Tag.Get("default") != "" &&
			!strings.Contains(","+values+",", ","+field.Tag.Get("default")+",") {
			t.Errorf("%s.%s: the default is not one of %s", path, name, values)
		}
		if field.Tag.Get("schemes") != "" && field.Tag.Get("place") != "url" {
			t.Errorf("%s.%s: only a Template with place:\"url\" has schemes", path, name)
		}
		if field.Tag.Get("hosts") != "" && field.Type != reflect.TypeFor[[]string]() {
			t.Errorf("%s.%s: hosts are a list of text", path, name)
		}
		if nested(field.Type) {
			checkFields(t, path+"."+name, field.Type)
		}
	}
}

func supported(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64, reflect.Struct:
		return true
	case reflect.Slice:
		return supported(t.Elem())
	case reflect.Map:
		return t.Key().Kind() == reflect.String && supported(t.Elem())
	case reflect.Pointer:
		return t.Elem().Kind() == reflect.Struct
	default:
		return false
	}
}

func nested(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[handlers.Template](), reflect.TypeFor[handlers.Expression](), reflect.TypeFor[time.Time]():
		return false
	}
	return t.Kind() == reflect.Struct
}
