package config

import (
	"fmt"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/shape"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// schemas reads and compiles the JSON Schemas that a file's topics name. What is
// wrong inside of one is told at its own place.
func (r *reader) schemas(f *File) {
	for _, t := range f.Blocks.Topics {
		path := t.Path.Field("schema")
		if t.Value.Schema == "" || f.Unknown[path] {
			continue
		}
		schema, fault := shape.Compile(t.Value.Schema)
		if fault == nil {
			f.Schemas[path] = schema
			continue
		}
		p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeSchemaFile,
			Message: fmt.Sprintf("the schema %s can't be used: %s", t.Value.Schema, fault.Message)}
		if fault.Source != nil {
			p.Related = &diag.Related{Place: p.Place, Message: "the topic names the schema here"}
			p.Place, p.Message = fault.Source.At(fault.At), fault.Message
			yamlconf.MaskLines(fault.Source, diag.Problems{p}, shape.SchemaVocabulary())
		}
		r.problems.Add(p)
	}
}
