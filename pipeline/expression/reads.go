package expression

import (
	"errors"
	"slices"
)

// Read is one part of a record that an expression uses, and what it holds.
type Read struct {
	// Name is the part as a user writes it, such as payload.order_id.
	Name string
	// Value is as Expression.Value returns it, nil for null.
	Value any
	// Err says why the part can't be read, nil where it can.
	Err error
}

// read is a part of the record that an expression uses.
type read struct {
	name string
	ref  *ref
}

// rooted names a part of the record, or of the original.
func rooted(name string, original bool) string {
	if original {
		return "source." + name
	}
	return name
}

// uses notes a part, once.
func (c *compilation) uses(name string, r *ref) {
	if !slices.ContainsFunc(c.reads, func(other read) bool { return other.name == name }) {
		c.reads = append(c.reads, read{name, r})
	}
}

// Reads lists the parts of the record that the expression uses, in the order in
// which they stand there, whether or not evaluating it came to them.
func (e *Expression) Reads(in *Input) []Read { return readAll(e.reads, in) }

// Reads lists the parts of the record that the template uses, in the order in
// which they stand there.
func (t *Template) Reads(in *Input) []Read {
	var all []read
	for _, p := range t.pieces {
		if p.part == nil {
			continue
		}
		for _, r := range p.part.reads {
			if !slices.ContainsFunc(all, func(other read) bool { return other.name == r.name }) {
				all = append(all, r)
			}
		}
	}
	return readAll(all, in)
}

// errNotRead takes the place of a part that alone costs more than the Limits.
var errNotRead = &failure{"not read: too costly", ErrTooCostly}

func readAll(reads []read, in *Input) []Read {
	all := make([]Read, len(reads))
	for i, r := range reads {
		in.Aside(func() {
			v, err := protect(func() (any, error) { return r.ref.read(&in.input), nil })
			if errors.Is(err, ErrTooCostly) {
				err = errNotRead
			}
			all[i] = Read{Name: r.name, Value: v, Err: err}
		})
	}
	return all
}

// Absent lists which of the scope's PayloadPaths the loaded record has no value
// at, in no order: the field is missing or null, or lies within what has no
// fields. Where the payload can't be read at all it lists none.
func (in *Input) Absent() []string {
	if in.broken != nil {
		return nil
	}
	var absent []string
	for i, s := range in.slots {
		if s.raw == nil || s.raw[0] == 'n' {
			absent = append(absent, pathText("payload", in.paths.paths[i]))
		}
	}
	return absent
}
