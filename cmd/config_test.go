package cmd

import (
	"strings"
	"testing"
)

const configFile = `
kafka: {embedded: {listen: '127.0.0.1:${env.PORT ?? "0"}'}}
pipelines:
  a: {source: {topic: a}, sinks: [{stdout: {}}]}
  b: {source: {topic: b}, sinks: [{http: {url: "https://app:hunter2@example.com/"}}]}
`

func TestConfigShowsWhatIsUnderstood(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", configFile)
	code, out, stderr := millrace(t, dir, "config")
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if strings.Contains(out, "hunter2") || !strings.Contains(out, "listen: 127.0.0.1:0\n") || !strings.Contains(out, "commit_interval: 1s\n") {
		t.Error(out)
	}
	write(t, dir, "all.yaml", out)
	if code, _, stderr := millrace(t, dir, "validate", "-f", "all.yaml"); code != exitInvalid {
		t.Errorf("what holds a redacted secret runs: exit code %d, %s", code, stderr)
	}
	if code, out, stderr := millrace(t, dir, "validate", "-f", "all.yaml", "--skip-env", "--strict"); code != exitDone {
		t.Errorf("it does not validate: %s%s", out, stderr)
	}
}

func TestConfigOfOnePipeline(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", configFile)
	code, out, _ := millrace(t, dir, "config", "--pipeline", "a", "--format", "json")
	var shown struct{ Pipelines map[string]any }
	decode(t, []byte(out), &shown)
	if code != exitDone || len(shown.Pipelines) != 1 || shown.Pipelines["a"] == nil {
		t.Errorf("exit code %d: %s", code, out)
	}
	code, out, stderr := millrace(t, dir, "config", "--pipeline", "c")
	if code != exitUsage || out != "" || !strings.Contains(stderr, `there is no pipeline "c"`) {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
	write(t, dir, "pipelines.yaml", "pipelines: {a: {sinks: []}}")
	if code, out, stderr := millrace(t, dir, "config"); code != exitInvalid || out != "" || stderr == "" {
		t.Errorf("exit code %d of a broken configuration: %s%s", code, out, stderr)
	}
}
