// Package expression is the one language of the configuration: expr with the
// semantics of Millrace (null, equality, exact numbers, purity), compiled
// against what a record offers, and templates made of it.
//
// expr's parser reads a source, its VM runs the program. Between the two the tree
// is rewritten (rewrite.go, operators.go, predicates.go, names.go): every operator
// and function becomes a call of one of ours, so that none of expr's own
// semantics is left but jumps and loops; what is constant is computed; constant
// paths into the payload become slots of the Scope's trie (extract.go), whose
// values an Input finds in one pass over the record's JSON text. A value is
// decoded only where a path leads to a list or an object that is used as one.
//
// Before it is run, the tree as the user wrote it is checked (typed*.go): every
// part has a Type (type*.go), the set of values that it can have as far as a
// topic's schema, a transform or the language itself tells. That finds mistakes
// early, at their columns, and changes nothing of what runs. slip*.go and
// pattern.go say what was meant by a source that cannot be read.
//
// Nothing that is evaluated can panic, run without end or see anything but the
// record and the configuration; codes.go has the limits. Errors of the record
// name what the user wrote, and never hold a value.
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
