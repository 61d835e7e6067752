//go:build real

package cmd

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the language server of editors says of files that name the schema.
func TestRealEditorTakesWhatIsShipped(t *testing.T) {
	e := openEditor(t)
	examples, err := filepath.Glob("../examples/*/want.txt")
	if err != nil || len(examples) < 4 {
		t.Fatalf("found %v, %v", examples, err)
	}
	for i, file := range examples {
		examples[i] = filepath.Join(filepath.Dir(file), "pipelines.yaml")
	}
	dir := t.TempDir()
	if code, _, stderr := millrace(t, dir, "init"); code != exitDone {
		t.Fatal(stderr)
	}
	for _, path := range append(examples, "../pipelines.yaml", filepath.Join(dir, "pipelines.yaml")) {
		_, text, findings := e.open(path)
		if len(findings) > 0 {
			t.Errorf("%s: %+v", path, findings)
		}
		if !strings.HasPrefix(text, "# yaml-language-server: $schema=") {
			t.Errorf("%s does not name the schema in its first line", path)
		}
	}
}

const brokenInEditor = `# yaml-language-server: $schema=pipelines.schema.json
version: 1
pipelines:
  orders:
    source: {topic: orders, commit_interval: 10}
    filtr: payload.total > 5
    sinks:
      - htpp: {url: "http://localhost/"}
      - http: {url: "localhost/", timeout: soon}
    on_error: ignore
  empty:
    source: {topics: [a], topic: a}
    sinks: [{stdout: {}}]
`

func TestRealEditorMarksMistakes(t *testing.T) {
	e := openEditor(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", brokenInEditor)
	_, schema, _ := millrace(t, dir, "schema")
	write(t, dir, "pipelines.schema.json", schema)
	_, text, findings := e.open(filepath.Join(dir, "pipelines.yaml"))
	lines := strings.Split(text, "\n")
	for _, want := range []string{"commit_interval: 10", "filtr:", "- htpp:", `url: "localhost/"`, "timeout: soon", "on_error: ignore", "topic: a}"} {
		if !slices.ContainsFunc(findings, func(f finding) bool { return strings.Contains(lines[f.Range.Start.Line], want) }) {
			t.Errorf("nothing is said of %q", want)
		}
	}
	for _, says := range []string{"filtr", "write a number with a unit", "write a URL with its scheme", "write one of topic, topics and pattern", "a sink names one handler"} {
		if !slices.ContainsFunc(findings, func(f finding) bool { return strings.Contains(f.Message, says) }) {
			t.Errorf("nothing says %q", says)
		}
	}
	for _, f := range findings {
		t.Logf("%d:%d %s", f.Range.Start.Line+1, f.Range.Start.Character+1, f.Message)
	}
}

const halfWritten = `# yaml-language-server: $schema=pipelines.schema.json
pipelines:
  orders:
    source:
      topic: orders
      commit_interval: 1s
      
    sinks:
      - http:
          url: http://localhost/
          tombstone: 
    on_error: 
`

func TestRealEditorCompletesAndExplains(t *testing.T) {
	e := openEditor(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", halfWritten)
	_, schema, _ := millrace(t, dir, "schema")
	write(t, dir, "pipelines.schema.json", schema)
	uri, text, _ := e.open(filepath.Join(dir, "pipelines.yaml"))
	for behind, want := range map[string][]string{
		"commit_interval: 1s\n      ": {"group", "start", "format", "fetch", "max_record_bytes"},
		"tombstone: ":                 {"send", "delete", "skip"},
		"on_error: ":                  {"dead_letter", "drop", "stop"},
		"- http:\n          url: http://localhost/\n          ": {"timeout", "headers", "allowed_hosts"},
	} {
		var list struct{ Items []struct{ Label string } }
		decode(t, e.call("textDocument/completion", map[string]any{"textDocument": map[string]any{"uri": uri}, "position": at(text, behind)}), &list)
		var labels []string
		for _, item := range list.Items {
			labels = append(labels, item.Label)
		}
		for _, w := range want {
			if !slices.Contains(labels, w) {
				t.Errorf("behind %q there is no %s to complete, but %q", behind, w, labels)
			}
		}
	}
	for over, says := range map[string]string{
		"commit_inter": "How often offsets are committed",
		"tombsto":      "`skip` makes no call",
		"on_err":       "`drop` lets it go",
		"- ht":         "Makes one HTTP call per record",
	} {
		var hover struct{ Contents json.RawMessage }
		decode(t, e.call("textDocument/hover", map[string]any{"textDocument": map[string]any{"uri": uri}, "position": at(text, over)}), &hover)
		if !strings.Contains(string(hover.Contents), says) {
			t.Errorf("over %q it shows %s", over, hover.Contents)
		}
	}
}

// An empty source offers each way to say what is read.
func TestRealEditorCompletesSource(t *testing.T) {
	e := openEditor(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", "# yaml-language-server: $schema=pipelines.schema.json\npipelines:\n  x:\n    source:\n      \n")
	_, schema, _ := millrace(t, dir, "schema")
	write(t, dir, "pipelines.schema.json", schema)
	uri, text, _ := e.open(filepath.Join(dir, "pipelines.yaml"))
	var list struct {
		Items []struct {
			Label         string
			Documentation struct{ Value string }
		}
	}
	decode(t, e.call("textDocument/completion", map[string]any{"textDocument": map[string]any{"uri": uri}, "position": at(text, "source:\n      ")}), &list)
	docs := map[string]string{}
	for _, item := range list.Items {
		docs[item.Label] = item.Documentation.Value
	}
	for _, key := range []string{"topic", "topics", "pattern", "group"} {
		if docs[key] == "" {
			t.Errorf("%s is not offered with its text: %q", key, docs)
		}
	}
}
