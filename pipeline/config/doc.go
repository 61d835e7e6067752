// Package config is the language: what a file may hold, read strictly and with places, and
// not yet understood.
//
// blocks.go, pipeline.go, sink.go and tests.go are its structs, whose tags are the decoder,
// the defaults, the JSON Schema for editors (editor_schema.go, refine.go) and the reference
// pages (reference.go, describe.go) at once; custom.go and expect.go decode what is written in
// several ways, and encode.go writes it again. read.go reads files, merge.go holds several
// together, markdown.go finds blocks in pages, and available.go lists what this version can't
// run yet.
package config
