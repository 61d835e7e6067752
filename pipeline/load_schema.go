package pipeline

import (
	"fmt"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// schemas reads and compiles the JSON Schemas that a file's topics name. What is
// wrong inside of one is told at its own place.
func (r *reader) schemas(f *File) {
	for _, t := range f.Blocks.Topics {
		path := t.Path.Field("schema")
		if t.Value.Schema == "" || f.unknown[path] {
			continue
		}
		schema, fault := compileSchema(t.Value.Schema)
		if fault == nil {
			f.schemas[path] = schema
			continue
		}
		p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeSchemaFile,
			Message: fmt.Sprintf("the schema %s can't be used: %s", t.Value.Schema, fault.message)}
		if fault.source != nil {
			p.Related = &diag.Related{Place: p.Place, Message: "the topic names the schema here"}
			p.Place, p.Message = fault.source.At(fault.at), fault.message
			yamlconf.MaskLines(fault.source, diag.Problems{p}, schemaVocabulary())
		}
		r.problems.Add(p)
	}
}
