package compile_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/config"
)

const schemaFile = "../../schemas/pipelines.schema.json"

func TestSchemaIsFresh(t *testing.T) {
	got, err := config.JSONSchema(builtin.Registry())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale, run make generate (-committed +generated):\n%s", schemaFile, diff)
	}
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	text, err := config.JSONSchema(builtin.Registry())
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case map[string]any:
			properties, _ := node["properties"].(map[string]any)
			for name, p := range properties {
				p, _ := p.(map[string]any)
				if p["description"] == nil && p["$ref"] == nil && name != "offsets" {
					t.Errorf("%s.%s has no description", path, name)
				}
			}
			for name, child := range node {
				if name == "if" {
					continue // a condition, that no editor shows
				}
				walk(path+"."+name, child)
			}
		case []any:
			for _, child := range node {
				walk(path, child)
			}
		}
	}
	walk("", document)
}
