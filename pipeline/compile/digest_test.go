package compile_test

import (
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/plan"
)

const digested = `
idempotency: {store: embedded, ttl: 8d}
topics:
  orders: {partitions: 3, schema: order.json}
pipelines:
  a:
    source: {topic: orders}
    filter: payload.n > 1 && payload.at == file("token")
    idempotency: {key: 'k:${payload.n}:${env.SHOP}'}
    transform: {headers: {x-token: '"made-1"'}}
    sinks: [{http: {url: 'http://localhost:3001/${env.HOST_PATH}', headers: {X-Token: '${file("token")}', Authorization: Bearer sent-1}}}]
  b:
    source: {topic: others}
    sinks: [{stdout: {}}]
`

// The digest of a pipeline changes with everything that it is compiled from, and with
// nothing else.
func TestDigestOfAPipeline(t *testing.T) {
	t.Chdir(t.TempDir())
	files := map[string]string{"token": "hunter22", "order.json": `{"type": "object", "properties": {"n": {"type": "integer"}, "at": {"type": "string"}}}`}
	env := map[string]string{"SHOP": "s1", "HOST_PATH": "x"}
	load := func(text string) [2]plan.Digest {
		t.Helper()
		for name, content := range files {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p, problems := compile.Load([]string{"-"}, config.Options{Stdin: strings.NewReader(text),
			Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}, builtin.Registry())
		if p == nil {
			t.Fatal(problems)
		}
		return [2]plan.Digest{p.Pipelines[0].Digest, p.Pipelines[1].Digest}
	}
	before := load(digested)
	if before != load(digested) || before[0] == before[1] || before[0] == (plan.Digest{}) {
		t.Fatal("the digest is not of the pipeline")
	}
	replaced := func(old, with string) string {
		if !strings.Contains(digested, old) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(digested, old, with, 1)
	}
	for _, c := range []struct {
		old, with string
		a, b      bool // change
	}{
		{"  a:\n", "  # a comment\n  a:\n", false, false},
		{"{topic: others}", "{topic: elsewhere}", false, true},
		{"sinks: [{stdout: {}}]", "sinks: [{stdout: {format: record}}]", false, true},
		{"payload.n > 1", "payload.n > 2", true, false},
		{"'k:${payload.n}", "'l:${payload.n}", true, false},
		{"3001", "3002", true, false},
		{"made-1", "made-2", true, false},
		{"sent-1", "sent-2", true, false},
		{"partitions: 3", "partitions: 4", true, false},
		{"ttl: 8d", "ttl: 9d", true, true},
		{"\nidempotency:", "\ndrain: 5s\nidempotency:", true, true},
		{"\nidempotency:", "\nlimits: {steps: 60000000}\nidempotency:", true, true},
	} {
		now := load(replaced(c.old, c.with))
		if (now[0] != before[0]) != c.a || (now[1] != before[1]) != c.b {
			t.Errorf("%q for %q: changed %v and %v, want %v and %v", c.with, c.old, now[0] != before[0], now[1] != before[1], c.a, c.b)
		}
	}
	for name, change := range map[string]func(){
		"a variable":          func() { env["SHOP"] = "s2" },
		"a variable in a URL": func() { env["HOST_PATH"] = "y" },
		"a file":              func() { files["token"] = "hunter23" },
		"a schema":            func() { files["order.json"] = strings.Replace(files["order.json"], "integer", "number", 1) },
	} {
		last := load(digested)
		change()
		if now := load(digested); now[0] == last[0] || now[1] != last[1] {
			t.Errorf("%s: changed %v and %v", name, now[0] != last[0], now[1] != last[1])
		}
	}
}
