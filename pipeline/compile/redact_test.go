package compile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/diag"
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
	plan, problems := compile.Load([]string{filepath.Join(dir, "pipelines.yaml")}, config.Options{}, builtin.Registry())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	text := `raw t/k "1" + json t/k \"1\" + twice t/k \\\"1\\\" + query t%2Fk+%221%22+%2B path t%2Fk%20%221%22%20+ and hunter22.`
	want := "raw [redacted] json [redacted] twice [redacted] query [redacted] path [redacted] and [redacted]."
	if got := plan.Redactor.Text(text); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}

	d := decide.NewDecider(plan.Pipelines[0], []handlers.Sink{renders{}})
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

// What is computed of a secret when the configuration is loaded is as secret as it is,
// also through variables of an expression, and what chooses by one is not.
func TestRedactWhatIsComputed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"token": "Very-Secret-Token\n",
		"pipelines.yaml": `
version: 1
kafka: {brokers: [localhost:9092]}
pipelines:
  p:
    source: {topic: orders}
    transform:
      payload:
        coded: toBase64(file("token"))
        low: lower(file("token"))
        part: file("token")[5:11]
        let: 'let t = upper(file("token")); t + payload.id'
        list: split(file("token"), "-")
        chosen: 'file("token") == "" ? "without a token" : "with a token"'
        variable: env.API_KEY + "-suffix"
        path: env.TOKEN_FILE
    sinks: [{stdout: {}}]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"API_KEY": "k-12345678", "TOKEN_FILE": "/run/token"}[name]
		return v, ok
	}
	plan, problems := compile.Load([]string{filepath.Join(dir, "pipelines.yaml")}, config.Options{Env: env}, builtin.Registry())
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	for text, want := range map[string]string{
		"VmVyeS1TZWNyZXQtVG9rZW4=": "[redacted]", "very-secret-token": "[redacted]", "a Secret b": "a [redacted] b",
		"VERY-SECRET-TOKEN7": "[redacted]7", "Very": "[redacted]", "with a token": "with a token",
		"k-12345678-suffix": "[redacted]", "k-12345678": "[redacted]", "/run/token": "/run/token", "true false": "true false",
	} {
		if got := plan.Redactor.Text(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// The digest of a configuration stands in dead letters: nobody can try out there which
// password it was made with.
func TestDigestHoldsNoSecret(t *testing.T) {
	digest := func(password, topic string) string {
		text := "kafka: {brokers: [localhost:9092], sasl: {mechanism: plain, username: app, password: " + password + "}}\n" +
			"pipelines: {p: {source: {topic: " + topic + "}, sinks: [{stdout: {}}]}}\n"
		plan, problems := compile.Load([]string{"-"}, config.Options{Stdin: strings.NewReader(text)}, builtin.Registry())
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		return plan.Digest
	}
	if digest("hunter22", "a") != digest("swordfish-3", "a") {
		t.Error("the digest depends on the password")
	}
	if digest("hunter22", "a") == digest("hunter22", "b") {
		t.Error("the digest of another configuration is the same")
	}
}

// TestHeadersAreShownWithoutSecrets has headers whose names alone tell that they are secret,
// wherever headers are set: neither the configuration as it is understood nor what is said of
// the lines beside and of themselves shows them.
func TestHeadersAreShownWithoutSecrets(t *testing.T) {
	const good = `version: 1
pipelines:
  p:
    source: {topic: orders}
    transform:
      headers:
        authorization: '"Bearer zz-s3cret"'
        x-api-key: '"zz-s3cret"'
        x-auth: env.X ?? "zz-s3cret"
        x-token: '"Bearer " + file("token")'
        trace: '"shown-here"'
      payload: {id: payload.id}
    sinks:
      - kafka:
          topic: o
          headers: {authorization: Basic zz-s3cret, x-api-key: zz-s3cret, trace: shown-there}
tests:
  - name: t
    pipeline: p
    records:
      - payload: {id: 1}
        headers: {authorization: zz-s3cret, x-api-key: zz-s3cret, trace: also-shown}
    expect:
      - outcome: delivered
        request: {headers: {x-api-key: zz-s3cret}}
`
	options := func(text string) config.Options {
		return config.Options{Stdin: strings.NewReader(text), SkipEnv: true}
	}
	effective, problems := compile.LoadEffective([]string{"-"}, options(good), builtin.Registry())
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	text, err := effective.YAML()
	if err != nil {
		t.Fatal(err)
	}
	shown := string(text)
	for _, want := range []string{"authorization: env.REDACTED # redacted", "authorization: ${env.REDACTED}", `'"Bearer " + file("token")'`, "shown-here", "shown-there"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %s in %s", want, shown)
		}
	}
	if strings.Contains(shown, "s3cret") {
		t.Error(shown)
	}
	if _, problems := compile.Load([]string{"-"}, options(shown), builtin.Registry()); problems.HasErrors() {
		t.Errorf("what is shown is no configuration: %v", problems)
	}
	for _, slip := range [][2]string{
		{`'"shown-here"'`, "shown-here +"}, {`'"zz-s3cret"'`, `'int("zz-s3cret")'`}, {`'"zz-s3cret"'`, `'"zz-s3cret'`}, {`'"zz-s3cret"'`, "zz-s3cret"},
		{`'"zz-s3cret"'`, "['zz-s3cret', 1]"}, {`env.X ?? "zz-s3cret"`, `env.X "zz-s3cret"`}, {`'"Bearer zz-s3cret"'`, "Bearer zz-s3cret"},
		{"payload: {id: payload.id}", "payload: {id: payload.id +}"}, {"topic: o\n", "topic: ${payload.}\n"}, {"      headers:\n", "      heders:\n"},
		{"          headers: {", "          heders: {"}, {"- payload: {id: 1}", "- paylod: {id: 1}"}, {"outcome: delivered", "outcome: delivere"},
	} {
		if !strings.Contains(good, slip[0]) {
			t.Fatal(slip)
		}
		_, problems := compile.Load([]string{"-"}, options(strings.Replace(good, slip[0], slip[1], 1)), builtin.Registry())
		var out strings.Builder
		for _, format := range []diag.Format{diag.FormatText, diag.FormatJSON, diag.FormatGitHub, diag.FormatSARIF} {
			if err := diag.Write(&out, format, problems, false); err != nil {
				t.Fatal(err)
			}
		}
		if at := strings.Index(out.String(), "s3cret"); at >= 0 {
			t.Errorf("%q for %q: %s", slip[1], slip[0], out.String()[:at+len("s3cret")])
		}
		if !problems.HasErrors() {
			t.Errorf("%q for %q is no error", slip[1], slip[0])
		}
		shown += out.String()
	}
	if !strings.Contains(shown, "also-shown") {
		t.Error("what is no secret is hidden too")
	}
}
