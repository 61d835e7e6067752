// Package expression is the one language of the configuration: expr with the
// semantics of Millrace (null, equality, exact numbers, purity), compiled
// against what a record offers, and templates made of it.
package expression

// Format is how a record's value is read.
type Format string

// The formats that this version reads.
const (
	// FormatJSON makes payload the decoded value; it is the default.
	FormatJSON Format = "json"
	// FormatText makes payload a string.
	FormatText Format = "text"
	// FormatBytes offers no payload, only value.
	FormatBytes Format = "bytes"
)
