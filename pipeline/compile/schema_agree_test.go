package compile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/config"
)

// unseenCodes are problems that a schema of one file can't tell: of the YAML
// text itself, of what expressions mean, of names that must be the same or
// differ, of other files, of what only a sink's own check knows, of tests, and of
// a cluster.
func unseenCodes(code string) bool {
	return code >= "MR020" && code <= "MR059" || code >= "MR090" || slices.Contains([]string{
		"MR001", "MR002", "MR003", "MR005", "MR011", "MR013", "MR015", "MR016", "MR017", "MR018",
		"MR063", "MR066", "MR068", "MR069", "MR070", "MR071", "MR072", "MR073", "MR074", "MR075", "MR076",
		"MR077", "MR078", "MR079", "MR080",
	}, code)
}

// unseenGoldens are archives of which every error has a code that a schema can
// tell elsewhere, but not there. Each says why.
func unseenGoldens() map[string]string {
	return map[string]string{
		"embedded-beyond":   "which addresses are this machine's alone",
		"env":               "what variables hold",
		"ingest-listen":     "what another file may say",
		"ingest-open":       "which addresses are this machine's alone",
		"merge-wrong":       "a merge, which is no part of JSON",
		"start-offsets":     "how many partitions the topic has",
		"store-redis":       "what a Redis address may hold behind its scheme",
		"topic-alike":       "whether two names differ in dots and underscores only",
		"topic-own":         "what a template makes of the source's topics",
		"transform-headers": "a name that is empty: the keys of a map are free there",
		"version":           "that 1.0 is no whole number: it is one in a schema",
	}
}

// TestSchemaAgreesWithLoad checks what editors would say of the goldens' files:
// nothing of what loads, and something of what does not, wherever a schema can.
func TestSchemaAgreesWithLoad(t *testing.T) {
	schema := compileSchema(t)
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	unseen := unseenGoldens()
	accepted, refused := 0, 0
	for _, name := range archives {
		base := strings.TrimSuffix(filepath.Base(name), ".txtar")
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		says, readable := saysOfFiles(t, schema, archive)
		codes := errorCodes(archive)
		switch {
		case len(codes) == 0 && says != nil:
			t.Errorf("%s: the schema refuses what loads: %v", base, says)
		case len(codes) == 0:
			accepted++
		case slices.ContainsFunc(codes, func(c string) bool { return !unseenCodes(c) }) && says == nil && readable:
			if unseen[base] == "" {
				t.Errorf("%s: the schema takes what does not load (%v); let it refuse that, or say in unseenGoldens why it can't", base, codes)
			}
			delete(unseen, base)
		case says != nil:
			refused++
		}
	}
	for base := range unseen {
		t.Errorf("%s: the schema can tell, or the archive is gone: take it from unseenGoldens", base)
	}
	if accepted < 10 || refused < 20 {
		t.Errorf("only %d files were taken and %d refused", accepted, refused)
	}
}

// TestSchemaTakesWhatIsShipped checks the files that people start from.
func TestSchemaTakesWhatIsShipped(t *testing.T) {
	schema := compileSchema(t)
	texts := map[string]string{}
	for _, glob := range []string{"../../pipelines.yaml", "../../cmd/starter.yaml", "../../examples/*/pipelines.yaml", "../../README.md", "../../docs/*.md", "../../docs/handlers/*.md", "../../examples/*/README.md"} {
		names, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.Contains(name, "own-sink") {
				continue // its sink is that of another binary
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(name) == ".yaml" {
				texts[name] = string(text)
				continue
			}
			for i, part := range strings.Split(string(text), "\n```yaml\n")[1:] {
				block, _, _ := strings.Cut(part, "\n```")
				texts[fmt.Sprint(name, " block ", i+1)] = block
			}
		}
	}
	if len(texts) < 11 {
		t.Errorf("only %d files and blocks were found", len(texts))
	}
	for name, text := range texts {
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(text), &root); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(text, "pipelines:") {
			continue // another part of a configuration
		}
		if err := schema.Validate(jsonValue(&root)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// saysOfFiles is what the schema says of the YAML files of an archive. Readable
// is false where one of them is not YAML.
func saysOfFiles(t *testing.T, schema *jsonschema.Schema, archive *txtar.Archive) (says error, readable bool) {
	t.Helper()
	for _, f := range archive.Files {
		if ext := filepath.Ext(f.Name); ext != ".yaml" && ext != ".yml" {
			continue
		}
		var root yaml.Node
		if yaml.Unmarshal(f.Data, &root) != nil {
			return nil, false
		}
		if root.Kind == 0 {
			continue // empty
		}
		if err := schema.Validate(jsonValue(&root)); err != nil && says == nil {
			says = err
		}
	}
	return says, true
}

var problemLine = regexp.MustCompile(`(?m)^[^\s|]\S*:\d+:\d+: (warning: )?.*\[(MR\d+)\]$`)

// errorCodes are the codes of the errors that an archive expects.
func errorCodes(archive *txtar.Archive) []string {
	var codes []string
	for _, f := range archive.Files {
		if f.Name != "want" {
			continue
		}
		for _, m := range problemLine.FindAllSubmatch(f.Data, -1) {
			if len(m[1]) == 0 {
				codes = append(codes, string(m[2]))
			}
		}
		if !bytes.Contains(f.Data, []byte("\ndrain: ")) && len(codes) == 0 {
			codes = append(codes, "MR001") // no place: a file that can't be read
		}
	}
	return codes
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := config.JSONSchema(builtin.Registry())
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

// jsonValue is a value as an editor's language server sees it.
func jsonValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return jsonValue(n.Content[0])
	case yaml.AliasNode:
		return jsonValue(n.Alias)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, child := range n.Content {
			list[i] = jsonValue(child)
		}
		return list
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], jsonValue(n.Content[i+1])
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
