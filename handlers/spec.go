package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Size is a number of bytes, written with a unit (`16MiB`) or without.
type Size int64

// Rate is a number per second, written `500/s`, `30/m` or `10/h`.
type Rate float64

// Secret is text that no output shows.
type Secret string

// String hides the secret in every format.
func (Secret) String() string { return Redacted }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return Redacted }

// MarshalText hides the secret in JSON and in slog.
func (Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Env is what a sink may use of the process that it runs in.
type Env struct {
	// Pipeline and Name say where the sink stands in the configuration.
	Pipeline, Name string
	// Version is Millrace's own, for sinks that introduce themselves.
	Version string
	// Producer writes to the configured Kafka cluster.
	Producer Producer
	// Stdout is the process's standard output. Its Write may be called
	// concurrently.
	Stdout io.Writer
	// Logger carries the pipeline and the sink as attributes.
	Logger *slog.Logger
}

// Producer writes records to Kafka with acks from all in-sync replicas.
type Producer interface {
	// Produce returns nil once every record is durable, and has then set each
	// record's Partition and Offset (-1 where the broker did not tell it). The
	// partition is chosen by the murmur2 hash of the key; a zero Time becomes
	// now. A *BatchError names the records that failed, by index; records of
	// one key stay in order.
	Produce(ctx context.Context, records []*Record) error
}

// Issue is something wrong with a sink's configuration that its types alone
// could not tell.
type Issue struct {
	// Field is the yaml name of the field, with dots for nested ones; empty for
	// the sink as a whole.
	Field string
	// Message says what is wrong, Hint how to mend it where that is known.
	Message, Hint string
	// Warning tells that the configuration can run all the same.
	Warning bool
	// Cleartext tells that a secret would travel unencrypted.
	Cleartext bool
}

// Checker is implemented by pointers to config structs that can tell more than
// their tags. Check is called after decoding and compiling; it must not touch
// the network or the file system.
type Checker interface {
	Check() []Issue
}

// BodyTyper is implemented by pointers to config structs with a Template whose
// place is "body" and a field that says its media type.
type BodyTyper interface {
	// BodyType is the media type that is written for bodies, empty where there is
	// none or the record decides. It is called once the other templates are
	// compiled. A JSON body has what the record puts into it escaped, and is
	// checked; without a type, one that has the form of JSON is taken as JSON.
	BodyType() string
}

// TopicWriter is implemented by pointers to config structs of sinks that write to
// topics, by Env.Producer, which no Template with place "topic" names. Names that
// depend on the record have to come from such a Template: each is then held against
// the topics that the pipeline reads.
type TopicWriter interface {
	// Topics are written to whatever the record is. They are made with those that
	// the file names, and no pipeline may read its own. It is called once the
	// templates are compiled.
	Topics() []FieldTopic
}

// FieldTopic is a topic, and the yaml name of the field that decides on it, with
// dots for nested ones; empty for the sink as a whole.
type FieldTopic struct{ Field, Topic string }

// Spec describes one kind of sink: everything that the decoder, the JSON Schema,
// the reference page and the runner need to know. The config is a struct whose
// fields carry these tags:
//
//	yaml:"name"        the field's name in the file
//	doc:"…"            one or two sentences for the reference and for editors;
//	                   what is to be typed stands in 'single quotes'
//	default:"5s"       its value where the file says nothing
//	required:"true"    it must be written
//	enum:"a,b"         the only values it takes
//	place:"url"        for a Template, where its text goes: text (the default),
//	                   url, query, topic, header, bytes, name, body; decides on
//	                   escaping and checks
//	schemes:"a,b"      of a Template with place "url", the schemes that it may
//	                   have, the usual one last; a URL without any is told so
//	hosts:"true"       a list of hosts: where it is written, the host of a
//	                   Template with place "url" may depend on the record, and
//	                   Render refuses all hosts that it does not list
//	secret:"true"      its value is redacted in every output
//	path:"true"        a path, relative to the file that it is written in
//	min:"1", max:"9"   the bounds of a number, duration or size
//
// and whose types say the kind: Expression and Template are compiled against
// the record; all others are static: string, bool, ints, floats, time.Duration,
// Size, Rate, Secret, slices, string-keyed maps and nested structs of these.
type Spec struct {
	// Kind is the key under which the sink stands in the file.
	Kind string
	// Doc is its reference in a few sentences of Markdown. Its first sentence
	// stands alone in lists of sinks.
	Doc string
	// Delivery says in Markdown what an acknowledgement is worth, how much goes
	// in one call, and what comes of failures.
	Delivery string
	// Example is a complete sink entry to paste, as YAML.
	Example string
	// New returns a pointer to an empty config struct.
	New func() any
	// Open builds the sink from what New returned, decoded and compiled. It
	// touches neither the network nor the file system, starts nothing and has no
	// other effect: what it needs is opened by the first Write. So a dry run opens
	// sinks too, with a Producer that refuses and a Stdout that leads nowhere, and
	// calls nothing but Render and Close.
	Open func(config any, env Env) (Sink, error)
}

// Define describes a sink of the given kind with configuration C.
func Define[C any](kind, doc, example string, open func(config C, env Env) (Sink, error)) Spec {
	return Spec{
		Kind: kind, Doc: doc, Example: example,
		New:  func() any { return new(C) },
		Open: func(config any, env Env) (Sink, error) { return open(*config.(*C), env) },
	}
}

// Summary is the first sentence of the sink's doc.
func (s Spec) Summary() string {
	if end := strings.Index(s.Doc, ". "); end >= 0 {
		return s.Doc[:end+1]
	}
	first, _, _ := strings.Cut(s.Doc, "\n")
	return first
}

// Registry is the set of sinks that a binary was built with, by kind.
type Registry map[string]Spec

// NewRegistry makes a registry of specs; of two of one kind the later counts, so
// that a Go user can replace a built-in one.
func NewRegistry(specs ...Spec) Registry {
	r := Registry{}
	for _, s := range specs {
		r[s.Kind] = s
	}
	return r
}

// Kinds lists the registered kinds in alphabetical order.
func (r Registry) Kinds() []string { return slices.Sorted(maps.Keys(r)) }

// kindName is what stands as a key in the file.
var kindName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// reserved stand beside a sink's kind in the file.
var reserved = []string{"name", "when", "retry"}

// Check tells what no binary can be built with, whatever its configuration is;
// handlertest checks a sink more closely.
func (r Registry) Check() error {
	if len(r) == 0 {
		return errors.New("it has no sinks: pass builtin.Specs(), or some of your own")
	}
	var wrong []error
	for _, kind := range r.Kinds() {
		switch s := r[kind]; {
		case !kindName.MatchString(kind) || slices.Contains(reserved, kind):
			wrong = append(wrong, fmt.Errorf("a sink can't be of the kind %q: a kind has small letters, digits and _, and is none of %s", kind, strings.Join(reserved, ", ")))
		case s.New == nil || s.Open == nil:
			wrong = append(wrong, fmt.Errorf("the sink %s has no New or no Open: handlers.Define makes both", kind))
		case !pointsToStruct(s.New()):
			wrong = append(wrong, fmt.Errorf("New of the sink %s must return a pointer to a struct", kind))
		}
	}
	return errors.Join(wrong...)
}

func pointsToStruct(config any) bool {
	t := reflect.TypeOf(config)
	return t != nil && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}
