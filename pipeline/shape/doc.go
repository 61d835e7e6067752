// Package shape is what is known of payloads before one was read: it loads JSON Schemas, and
// turns them into the types that expressions are checked with.
package shape
