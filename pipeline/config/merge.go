package config

import (
	"fmt"

	"github.com/millrace/millrace/pipeline/diag"
)

// together checks what several files say of the same.
func (r *reader) together() {
	for _, block := range []diag.Path{"kafka", "idempotency", "drain", "limits", "server", "ingest.listen",
		"ingest.hosts", "ingest.tls", "ingest.auth", "ingest.insecure", "ingest.headers", "ingest.max_record_bytes"} {
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
				Hint: "each file may add topics, pipelines, ingest routes and tests; any other block stands in " +
					"one of them",
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
