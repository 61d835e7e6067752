package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// With --exit-code scripts learn from the code what people read: differs, not
// there, not ready. Without it they are told, and the code is 0.
func TestExitCodeFlag(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {in: {partitions: 3}}
pipelines:
  ok: {source: {topic: in}, idempotency: {key: '${payload.id}'}, sinks: [{stdout: {}}]}
  off: {source: {topic: in}, filter: payload.n > 1, dead_letter: off, sinks: [{stdout: {}}]}
`)
	expect := func(code int, args ...string) {
		t.Helper()
		got, out, errs := millrace(t, dir, args...)
		if got != code || out == "" || strings.Contains(errs, "millrace:") {
			t.Errorf("%v: code %d, want %d:\n%s%s", args, got, code, out, errs)
		}
	}
	expect(0, "topics", "plan")
	expect(1, "topics", "plan", "--exit-code")
	expect(0, "keys", "get", "ok", "1")
	expect(1, "keys", "get", "ok", "1", "--exit-code", "--format", "json")
	p := start(t, dir, "run")
	expect(0, "topics", "plan", "--exit-code")
	expect(0, "status", "--exit-code")
	expect(0, "publish", "in", `{"id":"1","n":"x"}`)
	p.await("off stands at the record", func() bool { return !p.status().Ready && len(p.lines()) == 1 })
	expect(0, "keys", "get", "ok", "1", "--exit-code")
	expect(0, "status")
	expect(1, "status", "--exit-code")
	expect(1, "status", "off", "--exit-code", "--format", "json")
	expect(0, "status", "ok", "--exit-code")
}

// What is asked of a folder on which nothing ever ran makes no folder.
func TestReadingLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", "kafka: {embedded: {listen: 127.0.0.1:0}}\npipelines: {p: {source: {topic: in}, idempotency: {key: '${payload.id}'}, sinks: [{stdout: {}}]}}\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"tail", "in", "--until-end", "--state", "typo"}, 1, "no broker runs, or ever ran, on typo"},
		{[]string{"publish", "in", "x", "--state", "typo"}, 1, "no broker runs, or ever ran, on typo"},
		{[]string{"keys", "get", "p", "k", "--state", "typo"}, 0, "not there"},
		{[]string{"explain", "--where", "true", "--state", "typo"}, 1, "no broker runs"},
	} {
		code, out, errs := millrace(t, dir, c.args...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%v: code %d\n%s%s", c.args, code, out, errs)
		}
		if _, err := os.Stat(filepath.Join(dir, "typo")); err == nil {
			t.Fatalf("%v made the folder", c.args)
		}
	}
}

// What is typed wrong is answered in words that help.
func TestWordsOfWrongUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"run", "`millrace init` makes a first pipelines.yaml", 3},
		{"keys", "keys takes get, delete, list, stats or accept-reset", 2},
		{"keys get p", `it takes a pipeline and a key, and was given only "p"`, 2},
		{"keys get p k --generation 0", "--generation counts from 1", 2},
		{"keys delete p k --generation=-1", "--generation counts from 1", 2},
		{"dry-run --values", "--values says what the lines of --input are", 2},
	} {
		code, out, errs := millrace(t, dir, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: code %d, lacks %q:\n%s%s", c.args, code, c.want, out, errs)
		}
	}
	write(t, dir, "pipelines.yaml", "pipelines: {p: {source: {topic: in}, filter: payload.id == 5, sinks: [{stdout: {}}]}}\n")
	write(t, dir, "values.jsonl", "\ufeff{\"id\": 5}\n{\"id\": 6}\n")
	if code, _, errs := millrace(t, dir, "dry-run", "--input", "values.jsonl"); code != 1 || !strings.Contains(errs, `a line is a record such as {"payload": …}, or with --values a bare value`) {
		t.Errorf("code %d: %s", code, errs)
	}
	if code, out, errs := millrace(t, dir, "dry-run", "--input", "values.jsonl", "--values", "--format", "json"); code != 0 || outcomesOf(t, out) != "delivered filtered" {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
}
