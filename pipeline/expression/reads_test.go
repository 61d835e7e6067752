package expression_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
)

func TestReads(t *testing.T) {
	scope := expression.NewScope(expression.Options{})
	result := scope.Result(expression.FormatJSON)
	rec := &handlers.Record{Topic: "t", Partition: 2, Offset: 7, Key: []byte("k"), Headers: []handlers.Header{{Key: "b-c", Value: []byte("h")}},
		Value: []byte(`{"a": {"b": 1}, "list": [1, 2], "text": "x", "none": null}`)}
	compile := func(s *expression.Scope, source string) *expression.Expression {
		e, findings := s.Expression(source)
		if e == nil {
			t.Fatal(source, findings)
		}
		return e
	}
	first := compile(scope, `payload.a.b + payload["list"][1] + payload.a.b + len(headers["b-c"]) + partition`)
	second := compile(scope, `any(payload.list, # > 1) ? payload.missing.deep : key`)
	broken := compile(scope, `payload.text.deeper ?? timestamp`)
	from := compile(result, `source.payload.a.b + payload.a`)
	template, findings := scope.Template("x-${payload.text}-${key}-${payload.text}", expression.PlaceText)
	if template == nil {
		t.Fatal(findings)
	}
	in, out := scope.NewInput(), result.NewInput()
	out.Follow(in)
	if err := in.Load(rec); err != nil {
		t.Fatal(err)
	}
	made := *rec
	made.Value = []byte(`{"a": 9}`)
	if err := out.Load(&made); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reads []expression.Read
		want  string
	}{
		{first.Reads(in), `payload.a.b=1 payload.list[1]=2 headers["b-c"]=h partition=2 `},
		{second.Reads(in), `payload.list=[1 2] payload.missing.deep=<nil> key=k `},
		{broken.Reads(in), `payload.text.deeper!payload.text is text: it has no field deeper timestamp=0001-01-01 00:00:00 +0000 UTC `},
		{from.Reads(out), `source.payload.a.b=1 payload.a=9 `},
		{template.Reads(in), `payload.text=x key=k `},
	} {
		got := ""
		for _, r := range c.reads {
			if r.Err != nil {
				got += fmt.Sprintf("%s!%v ", r.Name, r.Err)
				continue
			}
			got += fmt.Sprintf("%s=%v ", r.Name, r.Value)
		}
		if got != c.want {
			t.Errorf("\n got %s\nwant %s", got, c.want)
		}
	}
}

func TestAbsent(t *testing.T) {
	scope := expression.NewScope(expression.Options{})
	for _, source := range []string{"payload.a.b", "payload.none", "payload.text.deeper", "payload.missing"} {
		if e, findings := scope.Expression(source); e == nil {
			t.Fatal(findings)
		}
	}
	in := scope.NewInput()
	for value, want := range map[string][]string{
		`{"a": {"b": 0}, "none": null, "text": "x"}`: {"payload.missing", "payload.none", "payload.text.deeper"},
		`{"a": {}, "none": false, "missing": ""}`:    {"payload.a.b", "payload.text.deeper"},
		`{`: nil,
	} {
		_ = in.Load(&handlers.Record{Value: []byte(value)})
		got := in.Absent()
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
	if err := in.Load(&handlers.Record{}); err != nil || len(in.Absent()) != 4 {
		t.Errorf("of a tombstone everything is absent, not %v (%v)", in.Absent(), err)
	}
}
