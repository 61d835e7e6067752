package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline"
)

// TestRedact looks for secrets in every form in which a rendered request may
// hold them: of a static field, and of file(...) in a template of records.
func TestRedact(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"token": "t/k \"1\" +\n", "password": "hunter22\n",
		"pipelines.yaml": `
version: 1
kafka:
  brokers: [localhost:9092]
  sasl: {mechanism: plain, username: app, password: '${file("password")}'}
pipelines:
  p:
    source: {topic: orders}
    transform: {payload: {with: 'file("token")', id: payload.id}}
    sinks: [{stdout: {}}]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plan, problems := pipeline.Load([]string{filepath.Join(dir, "pipelines.yaml")}, pipeline.LoadOptions{}, builtin.Registry())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	text := `raw t/k "1" + json t/k \"1\" + twice t/k \\\"1\\\" + query t%2Fk+%221%22+%2B path t%2Fk%20%221%22%20+ and hunter22.`
	want := "raw [redacted] json [redacted] twice [redacted] query [redacted] path [redacted] and [redacted]."
	if got := plan.Redact(text); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}

	d := pipeline.NewDecider(plan.Pipelines[0], []handlers.Sink{renders{}})
	_, steps := d.Trace(&handlers.Record{Topic: "orders", Value: []byte(`{"id": 1}`)})
	secret := 0
	for _, s := range steps {
		if s.Secret {
			secret++
		}
		if strings.Contains(s.Source, "file(") != s.Secret {
			t.Errorf("%s (%s) secret: %v", s.Where, s.Source, s.Secret)
		}
	}
	if secret != 1 {
		t.Errorf("%d secret steps of %v", secret, steps)
	}
}

// renders is a sink that only renders.
type renders struct{ handlers.Sink }

func (renders) Render(view handlers.View) (any, error) { return string(view.Record().Value), nil }
