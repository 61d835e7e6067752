package main

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
