package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/pipeline/diag"
)

// together checks what several files say of the same.
func (r *reader) together() {
	for _, block := range []diag.Path{"kafka", "idempotency", "drain", "server", "ingest.listen", "ingest.max_record_bytes"} {
		r.once(block)
	}
	topics, pipelines := map[string]diag.Place{}, map[string]diag.Place{}
	for _, f := range r.config.Files {
		for _, t := range f.Blocks.Topics {
			r.unique(topics, f, t.Path, "topic", t.Name)
		}
		for _, p := range f.Blocks.Pipelines {
			r.unique(pipelines, f, p.Path, "pipeline", p.Name)
		}
	}
}

// once reports a block that stands in two files.
func (r *reader) once(block diag.Path) {
	var first *File
	for _, f := range r.config.Files {
		switch {
		case !f.Source.Has(block):
		case first == nil:
			first = f
		default:
			r.problems.Add(diag.Problem{Path: block, Place: f.Source.Key(block), Code: diag.CodeTwoFiles,
				Message: fmt.Sprintf("%s stands in two files", block),
				Hint:    "each file may add topics, pipelines, ingest routes and tests; any other block stands in one of them",
				Related: &diag.Related{Place: first.Source.Key(block), Message: "it stands here first"}})
		}
	}
}

// unique reports a name that another file has; within a file it is a repeated
// key.
func (r *reader) unique(seen map[string]diag.Place, f *File, path diag.Path, what, name string) {
	place := f.Source.Key(path)
	first, ok := seen[name]
	if !ok {
		seen[name] = place
		return
	}
	r.problems.Add(diag.Problem{Path: path, Place: place, Code: diag.CodeRepeated,
		Message: fmt.Sprintf("there are two %ss named %q", what, name),
		Related: &diag.Related{Place: first, Message: "the first is here"}})
}

// schemas reads and compiles the JSON Schemas that a file's topics name.
func (r *reader) schemas(f *File) {
	for _, t := range f.Blocks.Topics {
		path := t.Path.Field("schema")
		if t.Value.Schema == "" || f.unknown[path] {
			continue
		}
		schema, err := compileSchema(t.Value.Schema)
		if err != nil {
			r.problems.Add(diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeSchemaFile,
				Message: fmt.Sprintf("the schema %s can't be used: %v", t.Value.Schema, err)})
			continue
		}
		f.schemas[path] = schema
	}
}

// compileSchema compiles a JSON Schema file. What it refers to may be other
// files, never the network.
func compileSchema(name string) (*jsonschema.Schema, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s", reason(err))
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("it is not JSON: %s", oneLine(err))
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	location := (&url.URL{Scheme: "file", Path: filepath.ToSlash(absolute)}).String()
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(location, document); err != nil {
		return nil, fmt.Errorf("%s", oneLine(err))
	}
	schema, err := compiler.Compile(location)
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		return nil, fmt.Errorf("it is no JSON Schema: %s", firstCause(invalid.Err))
	}
	if err != nil {
		return nil, fmt.Errorf("%s", strings.ReplaceAll(oneLine(err), location, filepath.Base(name)))
	}
	return schema, nil
}

// firstCause is the innermost of what a JSON Schema check found first.
func firstCause(err error) string {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return oneLine(err)
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	text := invalid.Error()
	return oneLine(errors.New(text[strings.LastIndex(text, "\n- ")+len("\n- "):]))
}

// oneLine is an error whose text may have several lines.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
