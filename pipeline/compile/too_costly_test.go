package compile_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/outcome"
)

// TestTooCostlyRecords has a record that costs too much in each place that an
// expression can stand in: it goes the way of on_error, with a reason of its own.
func TestTooCostlyRecords(t *testing.T) {
	const costly = `any(payload.items, len(payload.text) == 0)`
	for place, c := range map[string]struct {
		yaml  string
		stage outcome.Stage
	}{
		"filter":    {"filter: '" + costly + "', sinks: [{stdout: {}}]", outcome.StageFilter},
		"key":       {"idempotency: {key: 'a:${" + costly + "}'}, sinks: [{stdout: {}}]", outcome.StageKey},
		"digest":    {"idempotency: {key: 'a:${offset}:${partition}:${topic}', digest: '" + costly + "'}, sinks: [{stdout: {}}]", outcome.StageKey},
		"transform": {"transform: {payload: {a: '" + costly + "'}}, sinks: [{stdout: {}}]", outcome.StageTransform},
		"key of it": {"transform: {key: '" + costly + "'}, sinks: [{stdout: {}}]", outcome.StageTransform},
		"header":    {"transform: {headers: {h: '" + costly + "'}}, sinks: [{stdout: {}}]", outcome.StageTransform},
		"route":     {"routes: [{when: '" + costly + "', sinks: [{stdout: {}}]}]", outcome.StageRoute},
		"when":      {"sinks: [{stdout: {}, when: '" + costly + "'}]", outcome.StageRoute},
		"template":  {"sinks: [{kafka: {topic: out, headers: {h: '${" + costly + "}'}}}]", outcome.StageRender},
		"body":      {"sinks: [{http: {url: 'http://127.0.0.1/', method: POST, body: '" + strings.Repeat("${payload.text}", 100) + "'}}]", outcome.StageRender},
		"source":    {"transform: {payload: {a: payload.text, b: payload.items}}, sinks: [{stdout: {}, when: '" + strings.ReplaceAll(costly, "payload.", "source.payload.") + "'}]", outcome.StageRoute},
	} {
		for action, outcome := range map[string]outcome.Outcome{"dead_letter": outcome.DeadLettered, "drop": outcome.Dropped, "stop": ""} {
			t.Run(place+" "+action, func(t *testing.T) {
				yaml := fmt.Sprintf("limits: {steps: 1000000, bytes: 1MiB}\npipelines:\n  p: {source: {topic: in}, on_error: %s, %s}\n", action, c.yaml)
				plan, problems := compile.Load([]string{"-"}, config.Options{Stdin: strings.NewReader(yaml)}, builtin.Registry())
				if plan == nil {
					t.Fatal(problems)
				}
				p := plan.Pipelines[0]
				sink, err := p.Sinks()[0].Spec.Open(p.Sinks()[0].Config, handlers.Env{Pipeline: "p", Name: "s", Stdout: io.Discard, Producer: nowhere{}})
				if err != nil {
					t.Fatal(err)
				}
				value := `{"text": "` + strings.Repeat("a", 50_000) + `", "items": [` + strings.Repeat("0,", 999) + `0]}`
				decider := decide.NewDecider(p, []handlers.Sink{sink})
				rec := &handlers.Record{Topic: "in", Value: []byte(value)}
				// A trace costs nothing, and the next record has a budget of its own.
				for range 2 {
					checkCostly(t, decider.Decide(rec), c.stage, outcome)
					traced, _ := decider.Trace(rec)
					checkCostly(t, traced, c.stage, outcome)
				}
				small := decider.Decide(&handlers.Record{Topic: "in", Value: []byte(`{"text": "a", "items": [0]}`)})
				if small.Err != nil || len(small.Writes) > 0 && small.Writes[0].Err != nil {
					t.Errorf("a small record: %+v", small)
				}
			})
		}
	}
}

func checkCostly(t *testing.T, dec decide.Decision, stage outcome.Stage, ending outcome.Outcome) {
	t.Helper()
	reason, err, at := dec.Reason, dec.Err, dec.Stage
	if len(dec.Writes) > 0 {
		w := dec.Writes[0]
		reason, err, at, dec.Outcome = w.Reason(), w.Err, w.Stage, outcome.DeadLettered
	}
	if reason != "too_costly" || !errors.Is(err, expression.ErrTooCostly) || at != stage || dec.Outcome != ending || dec.Stop != (ending == "") {
		t.Errorf("reason %q at %q, outcome %q, stop %v: %v", reason, at, dec.Outcome, dec.Stop, err)
	}
}
