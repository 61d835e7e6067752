package expression

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
)

// orderRecord is the record that most tables are about.
func orderRecord(value string) *handlers.Record {
	return &handlers.Record{
		Topic: "orders", Partition: 3, Offset: 42, Time: time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.FixedZone("here", 3600)),
		Key: []byte("o-1"), Value: []byte(value),
		Headers: []handlers.Header{
			{Key: "trace", Value: []byte("first")}, {Key: "empty", Value: []byte{}}, {Key: "none", Value: nil},
			{Key: "trace", Value: []byte("last")}, {Key: "x-id", Value: []byte("\xff")},
		},
	}
}

// one is a table's row: an expression, a value, and what comes of it.
type one struct {
	source string
	// value is the record's; "" stands for a tombstone.
	value string
	want  any
	err   string
}

func (o one) input(t *testing.T, s *Scope) *Input {
	t.Helper()
	in, rec := s.NewInput(), orderRecord(o.value)
	if o.value == "" {
		rec.Value = nil
	}
	if err := in.Load(rec); err != nil {
		t.Fatalf("load %s: %v", o.value, err)
	}
	return in
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func checkValues(t *testing.T, rows []one) {
	t.Helper()
	for _, o := range rows {
		t.Run(o.source+" on "+o.value, func(t *testing.T) {
			s := NewScope(Options{})
			e, findings := s.Expression(o.source)
			if findings != nil {
				t.Fatalf("findings: %+v", findings)
			}
			got, err := e.Value(o.input(t, s))
			if text(err) != o.err {
				t.Fatalf("error %q, want %q", text(err), o.err)
			}
			if diff := cmp.Diff(o.want, got); diff != "" {
				t.Fatalf("-want +got\n%s", diff)
			}
		})
	}
}

func checkConditions(t *testing.T, rows []one) {
	t.Helper()
	for _, o := range rows {
		t.Run(o.source+" on "+o.value, func(t *testing.T) {
			s := NewScope(Options{})
			e, findings := s.Condition(o.source)
			if findings != nil {
				t.Fatalf("findings: %+v", findings)
			}
			got, err := e.Bool(o.input(t, s))
			if text(err) != o.err || err == nil && got != o.want {
				t.Fatalf("%v and error %q, want %v and %q", got, text(err), o.want, o.err)
			}
		})
	}
}
