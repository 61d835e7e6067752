package expression

import (
	"time"

	"github.com/millrace/millrace/handlers"
)

// Constants are what `env.NAME` and `file("path")` read; both are fixed when the
// configuration is loaded.
type Constants struct {
	// Env returns a variable and whether it is set.
	Env func(name string) (string, bool)
	// File returns a file's text, without its last newline. Relative paths are
	// the caller's to resolve.
	File func(path string) (string, error)
	// Skip takes unset variables and missing files as unknown text.
	Skip bool
}

// Options says what the expressions of a scope can see.
type Options struct {
	Format    Format
	Constants Constants
	// Request tells that the scope is an ingest route's: only payload, key (null),
	// headers, topic and value exist.
	Request bool
}

// Finding is something wrong inside one expression or template.
type Finding struct {
	// Offset and End are bytes within the source text.
	Offset, End int
	Warning     bool
	// Code is the stable name of the problem, such as MR020.
	Code string
	// Message says what is wrong, Hint how to mend it where that is known.
	Message, Hint string
	// Fix is the text to put in the place of the whole source, empty where
	// unknown.
	Fix string
}

// Place is where a template's text goes: it decides what is escaped and refused.
type Place string

// The places of templates. A tag `place:"…"` on a handlers.Template names one.
const (
	PlaceText   Place = "text"   // as it is; objects and lists as JSON
	PlaceURL    Place = "url"    // parts escaped for path or query; no objects or lists; host and scheme constant
	PlaceTopic  Place = "topic"  // must render to a legal topic name
	PlaceHeader Place = "header" // a header's value, exact bytes
	PlaceName   Place = "name"   // a file or object name; no objects or lists
	PlaceKey    Place = "key"    // an idempotency key: parts never null or empty; at least one part
)

// Scope is what a set of expressions can see, and collects which parts of the
// payload they use, so that an Input reads just those. Compile everything first,
// then make Inputs. Compiling is not safe for concurrent use; Inputs of one
// Scope may be used by different goroutines, one each.
type Scope struct{ scope }

// NewScope makes the scope of a source record.
func NewScope(o Options) *Scope

// Result makes the scope of what a transform leaves: its payload, key, headers
// and value are the transformed record's, and `source` reaches the original. The
// original's format does not matter to it: a transformed payload is JSON.
func (s *Scope) Result(format Format) *Scope

// Condition compiles a filter or a when: null counts as false, anything else
// that is not a boolean is an error for the record.
func (s *Scope) Condition(source string) (*Expression, []Finding)

// Expression compiles an expression of any type.
func (s *Scope) Expression(source string) (*Expression, []Finding)

// Template compiles text with `${ expr }` inside.
func (s *Scope) Template(source string, place Place) (*Template, []Finding)

// Static renders text that may use only env and file(...). Secret tells that
// the text came from a file.
func Static(source string, c Constants) (text string, secret bool, findings []Finding)

// NewInput makes an Input to load records of this scope into.
func (s *Scope) NewInput() *Input

// Input is one record as expressions see it. It is reused from record to
// record, and belongs to one goroutine.
type Input struct{ input }

// Load takes rec, which must not change until the next Load. An error says why
// its value can't be read in the scope's format; the Input then offers all but
// the payload.
func (in *Input) Load(rec *handlers.Record) error

// Follow makes `source` reach original. It is kept over Loads.
func (in *Input) Follow(original *Input)

// Expression is a compiled expression. It is immutable.
type Expression struct{ expression }

// Source is the text that was compiled.
func (e *Expression) Source() string

// Bool evaluates a condition.
func (e *Expression) Bool(in *Input) (bool, error)

// Value evaluates: nil, bool, int64, float64, string, time.Time,
// time.Duration, []any, map[string]any, or json.Number for a number that fits
// neither int64 nor float64 exactly.
func (e *Expression) Value(in *Input) (any, error)

// AppendJSON evaluates and appends the result's JSON to dst. Where the
// expression is just a path, or `path ?? constant`, the record's own text is
// copied, numbers digit by digit.
func (e *Expression) AppendJSON(dst []byte, in *Input) ([]byte, error)

// AppendCanonical is AppendJSON with the keys of objects sorted and no white
// space, number text kept: what a content digest is made of.
func (e *Expression) AppendCanonical(dst []byte, in *Input) ([]byte, error)

// Bytes evaluates to what a record's key or header value can be: text as its
// bytes, a number as its text, an object or list as JSON; nil for null.
func (e *Expression) Bytes(in *Input) ([]byte, error)

// Template is compiled text. It is immutable.
type Template struct{ template }

// Source is the text that was compiled.
func (t *Template) Source() string

// Constant is the text of a template without record-dependent parts.
func (t *Template) Constant() (string, bool)

// Text renders the template. A null part is an error.
func (t *Template) Text(in *Input) (string, error)

// now keeps the time package in view of what values can be.
var _ time.Time
