package compile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/plan"
)

// effective loads files, and what the effective configuration says of them, and
// returns both plans and that text.
func effective(t *testing.T, files []string, options config.Options) (want, got *plan.Plan, text string) {
	t.Helper()
	planned, problems := compile.Load(files, options, builtin.Registry())
	if planned == nil {
		t.Fatal(problems)
	}
	if again, ok := options.Stdin.(*bytes.Reader); ok {
		if _, err := again.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
	}
	e, problems := compile.LoadEffective(files, options, builtin.Registry())
	if e == nil {
		t.Fatal(problems)
	}
	yaml, err := e.YAML()
	if err != nil {
		t.Fatal(err)
	}
	json, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var plans []*plan.Plan
	for _, text := range [][]byte{yaml, json} {
		again := options
		again.Env = func(name string) (string, bool) {
			if name == "REDACTED" {
				return "somebody:something", true
			}
			return options.Env(name)
		}
		again.Stdin = bytes.NewReader(text)
		plan, problems := compile.Load([]string{"-"}, again, builtin.Registry())
		if plan == nil {
			t.Fatalf("%v\n%s", problems, text)
		}
		plans = append(plans, plan)
	}
	if diff := cmp.Diff(planText(plans[0]), planText(plans[1])); diff != "" {
		t.Errorf("YAML and JSON differ:\n%s", diff)
	}
	return planned, plans[0], string(yaml)
}

// Whatever loads means the same when it is loaded from what millrace understood
// of it.
func TestEffectiveHasTheSamePlan(t *testing.T) {
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, name := range archives {
		absolute, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		archive, err := txtar.ParseFile(absolute)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(archive.Files[len(archive.Files)-1].Data), "\ndrain: ") {
			continue // no plan: it has errors
		}
		checked++
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			c := newLoadCase(t, archive)
			want, got, text := effective(t, c.files, c.options)
			if diff := cmp.Diff(planText(want), planText(got)); diff != "" {
				t.Errorf("(-plan +plan of the effective configuration)\n%s\n%s", diff, text)
			}
			if strings.Contains(text, "hunter2") {
				t.Errorf("it shows a secret:\n%s", text)
			}
		})
	}
	if checked < 15 {
		t.Errorf("only %d archives were checked", checked)
	}
}

func TestEffectiveOfExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/want.txt")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %v, %v", files, err)
	}
	for i, file := range files {
		files[i] = filepath.Join(filepath.Dir(file), "pipelines.yaml")
	}
	for _, file := range append(files, "../../pipelines.yaml") {
		want, got, text := effective(t, []string{file}, config.Options{Env: os.LookupEnv})
		// Paths are shown relative to a plan's own folder.
		got.Dir = want.Dir
		if diff := cmp.Diff(planText(want), planText(got)); diff != "" {
			t.Errorf("%s (-plan +plan of the effective configuration)\n%s\n%s", file, diff, text)
		}
	}
}

func TestEffectiveKeepsSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"conf/token": "hunter2\n",
		"conf/a.yaml": `
kafka:
  brokers: ['${env.BROKERS}', "b:1"]
  client_id: ${env.PASSWORD}
  sasl: {mechanism: plain, username: app, password: 'hunter2${env.NOTHING ?? ""}'}
idempotency: {store: 'redis://app:hunter2@${env.REDIS}/0'}
pipelines:
  a:
    source: {topic: a, instance: 'node-${file("token")}'}
    sinks:
      - http:
          url: https://app:hunter2@example.com/${payload.id}
          headers:
            Authorization: Bearer hunter2
            X-Api-Key: ${env.PASSWORD ?? "hunter2"}
            X-Token: ${file("token")}
            X-Place: ${payload.place}
`,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	vars := map[string]string{"BROKERS": "a:1,c:1", "PASSWORD": "swordfish", "REDIS": "db:6379"}
	env := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	_, _, text := effective(t, []string{"conf/a.yaml"}, config.Options{Env: env})
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is shown:\n%s", text)
	}
	for _, line := range []string{
		"- a:1\n    - c:1\n    - b:1\n",
		"password: ${env.REDACTED} # redacted: the text stands in the file\n",
		"store: redis://${env.REDACTED}@${env.REDIS}/0 #",
		`instance: node-${file("conf/token")}` + "\n",
		"url: https://${env.REDACTED}@example.com/${payload.id} #",
		"Authorization: ${env.REDACTED} #", "X-Api-Key: ${env.REDACTED} #",
		`X-Token: ${file("conf/token")}` + "\n", "X-Place: ${payload.place}\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it lacks %q:\n%s", line, text)
		}
	}
}

func TestEffectiveOnly(t *testing.T) {
	e, problems := compile.LoadEffective([]string{"../../pipelines.yaml"}, config.Options{}, builtin.Registry())
	if e == nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]string{"invoice-notifications", "notifications"}, e.Pipelines()); diff != "" {
		t.Error(diff)
	}
	if e.Only("nobody") != nil {
		t.Error("there is no pipeline nobody")
	}
	text, err := e.Only("notifications").YAML()
	if err != nil || strings.Contains(string(text), "ingest") || !strings.Contains(string(text), "\n  notifications:\n") {
		t.Errorf("%v\n%s", err, text)
	}
}
