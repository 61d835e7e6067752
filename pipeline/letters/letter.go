// Package letters is the durable form of dead letters: what stands in the headers of
// a record that could not be delivered, and how it is read again. Nothing else writes
// or reads those headers.
package letters

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
)

// Version is the format that Encode writes. It grows only where a reader of the
// version before would go wrong: further headers alone do not change it.
const Version = 2

// prefix begins the names of all headers that Millrace writes.
const prefix = "millrace-"

// Letter is one record that could not be delivered, and why.
type Letter struct {
	// Record is the source's: its coordinates, its time, and its key, value and
	// headers as they came, but for those that Missing describes and for headers of
	// the names that a letter has itself.
	Record handlers.Record
	// TopicID is the broker's id of the source's topic, all zero where it is not
	// known: it tells the topic from a later one of the same name.
	TopicID [16]byte
	// Missing are the parts of the record that the letter does not hold.
	Missing Missing

	// Pipeline is the one that made the letter, Sink the sink that it is of: empty
	// where the record was not decided.
	Pipeline, Sink string
	// Items are the indexes of those of the record's items that failed; none where
	// the whole record did.
	Items []int
	// Generation is a part of the identity of the effect, and so is Key, the
	// idempotency key. The one is 0 where it is not known, the other empty where there
	// is none or it is not to be shown.
	Generation int
	Key        string

	// Stage and Reason are the step that failed, and why, in a word each.
	Stage, Reason         string
	FirstError, LastError string
	// Attempts counts the calls of the sink. Round is 1 for a record's first letter,
	// and one more for each redrive of it that failed.
	Attempts, Round int
	// First and Last are when the record failed first, and last.
	First, Last time.Time
	// ConfigDigest tells configurations apart.
	ConfigDigest string
}

// GenerationOr is the generation that the letter's key is of, the given one where the
// letter does not say, or was not decided.
func (l *Letter) GenerationOr(today int) int {
	if l.Sink == "" || l.Generation == 0 {
		return today
	}
	return l.Generation
}

// Missing are the parts of a record that were too large for its letter, nil for those
// that are there. The record is found by its coordinates.
type Missing struct {
	Key, Headers, Value *Part
}

// Part stands in for a part of a record.
type Part struct {
	// Digest is the SHA-256 of its bytes, in hexadecimal.
	Digest string
	Bytes  int
}

// ErrNone is what Decode returns of a record that is no dead letter.
var ErrNone = errors.New("the record is no dead letter")

// VersionError is what Decode returns of a letter that a later Millrace wrote.
type VersionError struct{ Version int }

// Error names both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("the dead letter has version %d of their format, and this Millrace reads up to %d", e.Version,
		Version)
}

// Encode makes the record to write, without its topic. Headers of the record that
// have the name of one of the letter's are replaced, so that what comes of a letter
// can be dead-lettered again. It shares the record's bytes.
func Encode(l Letter) *handlers.Record {
	all := fields()
	r := &handlers.Record{Headers: make([]handlers.Header, 0, len(l.Record.Headers)+len(all))}
	if l.Missing.Key == nil {
		r.Key = l.Record.Key
	}
	if l.Missing.Value == nil {
		r.Value = l.Record.Value
	}
	if l.Missing.Headers == nil {
		r.Headers = append(r.Headers, l.Record.Headers...)
		r.Headers = slices.DeleteFunc(r.Headers, func(h handlers.Header) bool { return find(all, h.Key) != nil })
	}
	for _, f := range all {
		if text := f.text(&l); text != "" {
			r.Headers = append(r.Headers, handlers.Header{Key: f.name, Value: []byte(text)})
		}
	}
	return r
}

// Decode reads a letter of this version or an earlier one. The error is ErrNone, a
// VersionError, or says what is wrong with a header.
//
// A record may hold headers of any name, and a letter of version 1 keeps them: only
// those behind the last one that begins a letter are the letter's own.
func Decode(r *handlers.Record) (Letter, error) {
	begin := len(r.Headers) - 1
	for begin >= 0 && r.Headers[begin].Key != headerTopic {
		begin--
	}
	if begin < 0 {
		return Letter{}, ErrNone
	}
	l := Letter{Record: handlers.Record{Key: r.Key, Value: r.Value}}
	if begin > 0 {
		l.Record.Headers = r.Headers[:begin:begin]
	}
	all, seen := fields(), map[string]bool{}
	for _, h := range r.Headers[begin:] {
		f := find(all, h.Key)
		if f == nil {
			continue
		}
		if err := f.set(&l, string(h.Value)); err != nil {
			return Letter{}, fmt.Errorf("header %s: %w", h.Key, err)
		}
		seen[h.Key] = true
	}
	for _, name := range []string{headerPartition, headerOffset} {
		if !seen[name] {
			return Letter{}, fmt.Errorf("%w: it has no header %s", ErrNone, name)
		}
	}
	if !seen[headerVersion] {
		l.Round = 1 // what version 1 does not say
	}
	return l, nil
}
