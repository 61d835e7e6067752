// Package ingest takes records over HTTP and answers only once they are durable.
package ingest

import (
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/pipeline/expression"
)

// Plan is the `ingest:` block, compiled.
type Plan struct {
	Listen string
	Routes []Route
}

// Route is one path that takes records for one topic.
type Route struct {
	Path, Topic string
	// Scope is what Key is compiled in: the request's payload and headers, whose
	// names are in lower case. It may be nil where Key is.
	Scope *expression.Scope
	// Key is nil for records without a key.
	Key *expression.Expression
	// Schema is nil where the topic has none.
	Schema *jsonschema.Schema
	// MaxBytes is the largest body taken; 0 means 1 MiB.
	MaxBytes int64
}
