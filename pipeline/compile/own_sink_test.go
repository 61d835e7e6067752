package compile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/plan"
)

// table is a sink of a user's own, such as one for SQL.
type table struct {
	config   tableConfig
	deferred []handlers.View // of the records that were rendered
}

type tableConfig struct {
	Statement handlers.Template   `yaml:"statement" required:"true" place:"bound" doc:"The statement."`
	Then      handlers.Expression `yaml:"then" doc:"What is evaluated on the answer."`
}

func tableSpec() handlers.Spec {
	return handlers.Define("table", "Writes rows.", "table:\n  statement: insert into t values (${payload.id})\n",
		func(config tableConfig, _ handlers.Env) (handlers.Sink, error) { return &table{config: config}, nil })
}

func (s *table) Render(view handlers.View) (any, error) {
	if _, err := view.Text(s.config.Statement); err == nil {
		panic("a statement was spliced")
	}
	s.deferred = append(s.deferred, view.Defer())
	literals, values, err := view.Parts(s.config.Statement)
	return map[string]any{"statement": strings.Join(literals, "?"), "values": values}, err
}

func (s *table) Write(context.Context, []handlers.Call) error { return nil }
func (s *table) Close(context.Context) error                  { return nil }

// load loads a configuration with the sink table beside it.
func loadTable(t *testing.T, text string) *plan.Pipeline {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pipelines.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { return "o'brien", name == "SHOP" }
	plan, problems := compile.Load([]string{file}, config.Options{Env: env}, handlers.NewRegistry(tableSpec()))
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return plan.Pipelines[0]
}

func openTable(t *testing.T, p *plan.Pipeline) handlers.Sink {
	t.Helper()
	s := p.Sinks()[0]
	sink, err := s.Spec.Open(s.Config, handlers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

// What a sink binds is values, null and constants among them, and never text.
func TestStatementsAreBound(t *testing.T) {
	p := loadTable(t, `
version: 1
kafka: {brokers: [localhost:9092]}
pipelines:
  p:
    source: {topic: orders}
    sinks:
      - table:
          statement: insert into t values (${payload.id}, ${env.SHOP}, ${payload.gone}, ${payload.lines}, ${payload.big}, ${payload.n * 2})
`)
	d := decide.NewDecider(p, []handlers.Sink{openTable(t, p)})
	rec := &handlers.Record{Topic: "orders", Value: []byte(`{"id": "'; drop table t", "lines": [1, {"a": null}], "big": 18446744073709551617, "n": 1.5}`)}
	dec, steps := d.Trace(rec)
	if len(dec.Writes) != 1 || dec.Writes[0].Err != nil {
		t.Fatalf("%+v", dec)
	}
	values := []any{"'; drop table t", "o'brien", nil, []any{int64(1), map[string]any{"a": nil}}, json.Number("18446744073709551617"), 3.0}
	want := map[string]any{"statement": "insert into t values (?, ?, ?, ?, ?, ?)", "values": values}
	if diff := cmp.Diff(want, dec.Writes[0].Request); diff != "" {
		t.Errorf("want (-), rendered (+):\n%s", diff)
	}
	for _, s := range steps {
		if s.Where == "table.statement" && s.Err == nil {
			if diff := cmp.Diff(any(values), s.Value); diff != "" {
				t.Errorf("want (-), explained (+):\n%s", diff)
			}
			return
		}
	}
	t.Errorf("the statement is not explained: %+v", steps)
}

// A deferred view still sees its own record, and the source's, when the decider has long
// gone on to others.
func TestDeferredViewsOutliveTheirRender(t *testing.T) {
	p := loadTable(t, `
version: 1
kafka: {brokers: [localhost:9092]}
pipelines:
  p:
    source: {topic: orders}
    transform: {payload: {double: payload.n * 2}}
    sinks: [{table: {statement: 'update t set n = ${payload.double}', then: '[source.payload.n, payload.double, key]'}}]
`)
	sink := openTable(t, p).(*table)
	d := decide.NewDecider(p, []handlers.Sink{sink})
	for n := range 3 {
		d.Decide(&handlers.Record{Topic: "orders", Key: fmt.Append(nil, "k", n), Value: fmt.Append(nil, `{"n": `, n, `}`)})
	}
	for n, view := range sink.deferred {
		got, err := view.Value(sink.config.Then)
		if diff := cmp.Diff(any([]any{int64(n), int64(2 * n), fmt.Sprint("k", n)}), got); err != nil || diff != "" {
			t.Errorf("%v: want (-), got (+):\n%s", err, diff)
		}
		literals, values, err := view.Parts(sink.config.Statement)
		if diff := cmp.Diff([]any{[]string{"update t set n = ", ""}, []any{int64(2 * n)}}, []any{literals, values}); err != nil || diff != "" {
			t.Errorf("%v: want (-), got (+):\n%s", err, diff)
		}
		if want := fmt.Sprintf(`{"double":%d}`, 2*n); string(view.Record().Value) != want || !view.JSON() {
			t.Errorf("the record is %s, not %s", view.Record().Value, want)
		}
	}
}
