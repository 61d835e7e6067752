package expression

import (
	"slices"

	"github.com/expr-lang/expr/conf"
)

// Constants are what `env.NAME` and `file("path")` read; both are fixed when the
// configuration is loaded.
type Constants struct {
	// Env returns a variable and whether it is set.
	Env func(name string) (string, bool)
	// File returns a file's text, without its last newline. Relative paths are
	// the caller's to resolve.
	File func(path string) (string, error)
	// Secret, where set, is told every text that no output may show: of a file, of
	// a variable whose name says so, and what is computed of those.
	Secret func(text string)
	// Skip takes unset variables and missing files as unknown text.
	Skip bool
}

// Options says what the expressions of a scope can see.
type Options struct {
	Format    Format
	Constants Constants
	// Topics are all that a record can be from; empty where that is not known.
	Topics []string
	// Limits are what the expressions of one record may cost; zero for the
	// DefaultLimits.
	Limits Limits
	// OnePartition tells that each of them is known to have one partition alone.
	OnePartition bool
	// Request tells that the scope is an ingest route's: only payload, key (null),
	// headers, topic and value exist.
	Request bool
}

// Scope is what a set of expressions can see, and collects which parts of the
// payload they use, so that an Input reads just those. Compile everything first,
// then make Inputs. Compiling is not safe for concurrent use; Inputs of one
// Scope may be used by different goroutines, one each.
type Scope struct{ scope }

type scope struct {
	options Options
	// parent is what `source` reaches; nil where that is the record itself.
	parent *Scope
	paths  *trie
	// payload is what is known of the payload, nil for nothing; facts are what
	// the filter has made sure of.
	payload *Type
	facts   []fact
	config  *conf.Config
	// static tells that only env and file(...) may be used.
	static bool
}

// NewScope makes the scope of a source record.
func NewScope(o Options) *Scope {
	if o.Format == "" {
		o.Format = FormatJSON
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	return &Scope{scope{options: o, paths: &trie{}}}
}

// Fresh makes a scope of the same kind of records in which nothing is compiled yet.
func (s *Scope) Fresh() *Scope { return NewScope(s.options) }

// Result makes the scope of what a transform leaves: its payload, key, headers
// and value are the transformed record's, and `source` reaches the original. The
// original's format does not matter to it: a transformed payload is JSON.
func (s *Scope) Result(format Format) *Scope {
	r := NewScope(s.options)
	if format != "" {
		r.options.Format = format
	}
	r.parent = s
	kept := map[string]bool{"topic": true, "partition": true, "offset": true, "timestamp": true}
	if r.options.Format == s.options.Format {
		// What transform does not name stays the original's; Payload says otherwise.
		r.payload, kept["payload"] = s.payload, true
	}
	r.facts = s.inherited(func(name string) bool { return kept[name] })
	return r
}

// Payload tells what the payload is known to be. It finds mistakes early, and
// changes nothing of what the expressions do.
func (s *Scope) Payload(t Type) {
	s.payload = &t
	s.facts = slices.DeleteFunc(slices.Clone(s.facts), func(f fact) bool { return f.root() == "payload" })
}

// PayloadPaths lists the parts of the payload that the expressions compiled so
// far read, in order; "payload" alone stands for the whole of it.
func (s *Scope) PayloadPaths() []string {
	var out []string
	for _, p := range s.paths.paths {
		out = append(out, pathText("payload", p))
	}
	slices.Sort(out)
	return out
}

// names are what a record of this scope offers.
func (s *scope) names() []string {
	if s.static {
		return []string{"env"}
	}
	names := []string{"payload", "key", "headers", "topic", "value", "env"}
	if s.options.Format == FormatBytes {
		names = names[1:]
	}
	if !s.options.Request {
		names = append(names, "partition", "offset", "timestamp", "source")
	}
	return names
}
