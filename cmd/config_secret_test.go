package cmd

import (
	"strings"
	"testing"
)

// The parameters of a query are secret by more names than headers are.
func TestConfigShowsNoSecretParameter(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
pipelines:
  p: {source: {topic: t}, sinks: [{http: {url: 'http://localhost:1/', query: {key: hunter2, code: hunter3, sig: hunter4, page: "7"}, headers: {key: plain}}}]}
`)
	code, out, stderr := millrace(t, dir, "config")
	if code != exitDone || strings.Contains(out+stderr, "hunter") || !strings.Contains(out, "plain") || !strings.Contains(out, `page: "7"`) {
		t.Errorf("code %d\n%s%s", code, out, stderr)
	}
}

// A path that names another file as a schema shows none of its lines.
func TestAFileThatIsNoSchemaIsNotShown(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "token", "hunter2hunter\n")
	write(t, dir, "pipelines.yaml", `version: 1
topics: {t: {schema: token}}
pipelines: {p: {source: {topic: t}, sinks: [{stdout: {}}]}}
`)
	code, out, stderr := millrace(t, dir, "validate")
	if code != exitInvalid || strings.Contains(out+stderr, "hunter") || !strings.Contains(out+stderr, "is not JSON") {
		t.Errorf("code %d\n%s%s", code, out, stderr)
	}
}
