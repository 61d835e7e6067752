package pipeline_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline"
)

const schemaFile = "../schemas/pipelines.schema.json"

func TestSchemaIsFresh(t *testing.T) {
	got, err := pipeline.JSONSchema(builtin.Registry())
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
		t.Errorf("%s is stale, run go generate ./pipeline (-committed +generated):\n%s", schemaFile, diff)
	}
}

// TestSchemaAgreesWithLoad checks what editors would say of the goldens' files.
func TestSchemaAgreesWithLoad(t *testing.T) {
	schema := compileSchema(t)
	refused := map[string]bool{
		"empty-blocks": true, "not-a-map": true, "sinks": true, "source-missing": true, "syntax-colon": true,
		"trap-comma-in-flow": true, "trap-double-braces": true, "trap-empty": true, "trap-map": true,
		"unknown-key": true, "wrong-types": true,
	}
	accepted := 0
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range archives {
		base := strings.TrimSuffix(filepath.Base(name), ".txtar")
		good := strings.HasPrefix(base, "good-") || base == "contract-example"
		if !good && !refused[base] {
			continue
		}
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if ext := filepath.Ext(f.Name); ext != ".yaml" && ext != ".yml" {
				continue
			}
			err := schema.Validate(instance(t, f.Data))
			if good && err != nil {
				t.Errorf("%s: the schema refuses %s, which loads: %v", base, f.Name, err)
			}
			if refused[base] && err == nil {
				t.Errorf("%s: the schema accepts %s, which does not load", base, f.Name)
			}
			accepted++
		}
	}
	if accepted < 15 {
		t.Errorf("only %d files were checked", accepted)
	}
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	text, err := pipeline.JSONSchema(builtin.Registry())
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

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := pipeline.JSONSchema(builtin.Registry())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("pipelines.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("pipelines.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// instance is a file as an editor's language server sees it.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	return jsonValue(t, &root)
}

func jsonValue(t *testing.T, n *yaml.Node) any {
	t.Helper()
	switch n.Kind {
	case yaml.DocumentNode:
		return jsonValue(t, n.Content[0])
	case yaml.AliasNode:
		return jsonValue(t, n.Alias)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, child := range n.Content {
			list[i] = jsonValue(t, child)
		}
		return list
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], jsonValue(t, n.Content[i+1])
			if key.Value == "<<" {
				merged, _ := value.(map[string]any)
				for k, v := range merged {
					if _, own := object[k]; !own {
						object[k] = v
					}
				}
				continue
			}
			object[key.Value] = value
		}
		return object
	case yaml.ScalarNode:
		var value any
		if n.Tag == "!!timestamp" || n.Decode(&value) != nil {
			return n.Value
		}
		return value
	}
	return nil
}
