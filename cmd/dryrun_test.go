package cmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDryRunCommand runs the command in this process, without a broker.
func TestDryRunCommand(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
pipelines:
  orders:
    source: {topic: orders}
    filter: payload.total > 0
    idempotency: {key: 'o:${payload.id}', ttl: 8d}
    sinks: [{stdout: {}}]
  all: {source: {topic: orders}, sinks: [{file: {dir: out, path: all.jsonl}}]}
`)
	write(t, dir, "broken.yaml", "version: 1\npipelines: {p: {source: {topic: a}, filter: paylod.x, sinks: [{stdout: {}}]}}\n")
	write(t, dir, "records.jsonl", `{"payload": {"id": 1, "total": 5}}`+"\n"+`{"payload": {"id": 1, "total": 5}}`+"\n")
	write(t, dir, "other.jsonl", `{"payload": {"id": 1, "total": 5}}`+"\n"+`{"topic": "order", "payload": 1}`+"\n")
	t.Chdir(dir)
	for name, c := range map[string]struct {
		args  []string
		stdin string
		code  int
		out   []string
		errs  []string
	}{
		"a file": {args: []string{"--input", "records.jsonl"}, out: []string{
			"orders/0/0  orders    delivered  o:1\n    stdout → {\"id\": 1, \"total\": 5}\norders/0/0  all       delivered\n    file → all.jsonl: ",
			"orders/0/1  orders    duplicate  o:1  of orders/0/0\n", "\norders: 2 records\n  delivered    1  50 %\n", "all: 2 records",
		}},
		"one pipeline": {args: []string{"orders", "--input", "-", "-q"}, stdin: `{"payload": {"total": -1}}`, out: []string{"orders/0/0  filtered\n"}},
		"json": {args: []string{"orders", "--input", "records.jsonl", "--format", "json"}, out: []string{
			`{"pipeline":"orders","topic":"orders","partition":0,"offset":0,"outcome":"delivered","reason":null,"idempotency_key":"o:1","route":0,"writes":[{"sink":"stdout","request":{"line":"{\"id\": 1, \"total\": 5}"},"outcome":"delivered","id":"`,
		}, errs: []string{"orders: 2 records"}},
		"a line of the input": {args: []string{"--input", "other.jsonl"}, code: 1, out: []string{"orders/0/0"}, errs: []string{`other.jsonl:2: no pipeline reads topic "order" (did you mean "orders"?)`}},
		"no input":            {args: []string{"--input", "none.jsonl"}, code: 1, errs: []string{"--input: open none.jsonl"}},
		"nothing ran yet":     {code: 1, errs: []string{"no broker runs, or ever ran, on .millrace"}},
		"no such pipeline":    {args: []string{"order"}, code: 2, errs: []string{`there is no pipeline "order" (did you mean "orders"?)`}},
		"two sources":         {args: []string{"--input", "records.jsonl", "-n", "5"}, code: 2, errs: []string{"--input excludes"}},
		"no number":           {args: []string{"-n", "0"}, code: 2, errs: []string{"-n takes"}},
		"no time":             {args: []string{"--since", "yesterday"}, code: 2, errs: []string{"--since: "}},
		"an empty window":     {args: []string{"--since", "5m", "--until", "10m"}, code: 2, errs: []string{"--since must lie before --until"}},
		"no format":           {args: []string{"--format", "yaml"}, code: 2, errs: []string{"--format takes text or json"}},
		"a broken file":       {args: []string{"-f", "broken.yaml"}, code: 3, errs: []string{`unknown name "paylod"`}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(context.WithoutCancel(t.Context()), append([]string{"dry-run"}, c.args...), strings.NewReader(c.stdin), &out, &errs)
			if code != c.code {
				t.Errorf("code %d, want %d", code, c.code)
			}
			for _, want := range c.out {
				if !strings.Contains(out.String(), want) {
					t.Errorf("standard output lacks %q:\n%s", want, out.String())
				}
			}
			for _, want := range c.errs {
				if !strings.Contains(errs.String(), want) {
					t.Errorf("standard error lacks %q:\n%s", want, errs.String())
				}
			}
		})
	}
	for _, name := range []string{".millrace", "out"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s was made: %v", name, err)
		}
	}
}

// What the README shows of a dry run is what it says.
func TestDryRunInTheReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(context.WithoutCancel(t.Context()), []string{
		"dry-run", "-f", "../pipelines.yaml", "--state", filepath.Join(t.TempDir(), "none"), "--input", "../examples/order-invoices/records.jsonl",
	}, strings.NewReader(""), &out, &errs)
	if code != 0 {
		t.Fatal(errs.String())
	}
	for _, block := range blocks(string(text), "text") {
		if strings.HasPrefix(block, "invoice-notifications: ") && strings.Contains(out.String(), block) {
			return
		}
	}
	t.Errorf("no block of the README is in what the dry run says:\n%s", out.String())
}

// What went wrong with a whole payload is not said to be that of the payload twice.
func TestDryRunNamesThePayloadOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "records.jsonl", `{"payload": 5}`+"\n")
	for payload, want := range map[string]string{
		"payload.a + 1":      "transform_failed: payload is a number: it has no field a",
		"{b: payload.a + 1}": "transform_failed: payload.b: payload is a number: it has no field a",
	} {
		write(t, dir, "pipelines.yaml", "pipelines: {p: {source: {topic: in}, transform: {payload: "+payload+"}, sinks: [{stdout: {}}]}}\n")
		if code, out, errs := millrace(t, dir, "dry-run", "--input", "records.jsonl"); code != exitDone || !strings.Contains(out, want+" ") {
			t.Errorf("%s: code %d\n%s%s", payload, code, out, errs)
		}
	}
}
