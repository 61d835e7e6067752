// Package diag is how Millrace tells what is wrong with a configuration: a
// Problem carries a path into the YAML and a place in its file; a Source turns
// paths, and offsets inside scalars, into lines and columns; Write shows
// problems as text with the source lines and a caret, or as JSON.
//
// Lines and columns count from 1, and columns count characters, not bytes.
package diag
