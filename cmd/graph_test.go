package cmd

import (
	"strings"
	"testing"
)

func TestGraphDraws(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", "pipelines: {a: {source: {topic: orders}, sinks: [{stdout: {}}]}}\n")
	for format, begins := range map[string]string{"mermaid": "flowchart LR\n", "dot": "digraph millrace {\n"} {
		code, out, stderr := millrace(t, dir, "graph", "--format", format)
		if code != exitDone || stderr != "" || !strings.HasPrefix(out, begins) || !strings.Contains(out, "orders") {
			t.Errorf("%s: exit code %d, %q, %q", format, code, out, stderr)
		}
	}
	if code, _, stderr := millrace(t, dir, "graph", "--format", "png"); code != exitUsage || !strings.Contains(stderr, "mermaid or dot") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	write(t, dir, "pipelines.yaml", "pipelines: {a: {source: {topic: orders}}}\n")
	if code, out, _ := millrace(t, dir, "graph"); code != exitInvalid || out != "" {
		t.Errorf("exit code %d of a broken configuration, %q", code, out)
	}
}
