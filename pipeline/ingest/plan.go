// Package ingest takes records over HTTP and answers only once they are durable.
package ingest

import (
	"github.com/millrace/millrace/pipeline/certificate"
	"github.com/millrace/millrace/pipeline/expression"
)

// Plan is the `ingest:` block, compiled.
type Plan struct {
	Listen string
	// Hosts are the names by which clients may call the server, beside those of
	// package listen.
	Hosts []string
	// TLS is nil for plain text.
	TLS    *certificate.Files
	Routes []Route
}

// Route is one path that takes records for one topic.
type Route struct {
	Path, Topic string
	// Auth is nil where everybody may write.
	Auth *Auth
	// Many tells that a body may hold several records.
	Many bool
	// Headers are the request's headers that records take along, in lower case.
	Headers []string
	// Scope is what Key is compiled in: the request's payload and headers, whose
	// names are in lower case. It may be nil where Key is.
	Scope *expression.Scope
	// Key is nil for records without a key.
	Key *expression.Expression
	// Schema is nil where the topic has none.
	Schema *Schema
	// MaxBytes is the largest record taken; 0 means 1 MiB.
	MaxBytes int64
}
