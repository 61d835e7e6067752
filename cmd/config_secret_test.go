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

// The address of the key store takes no settings that nobody knows, and shows none.
func TestConfigShowsNoSettingOfAStore(t *testing.T) {
	dir := t.TempDir()
	for setting, want := range map[string]int{"what=hunter2": exitInvalid, "prefix=shop:": exitDone} {
		write(t, dir, "pipelines.yaml", `version: 1
kafka: {brokers: ['h:1']}
idempotency: {store: 'redis://h:1/0?`+setting+`'}
pipelines: {p: {source: {topic: t}, sinks: [{stdout: {}}]}}
`)
		for _, command := range []string{"config", "validate"} {
			code, out, stderr := millrace(t, dir, command)
			if code != want || strings.Contains(out+stderr, "hunter") {
				t.Errorf("%s of %s: code %d, %s%s", command, setting, code, out, stderr)
			}
		}
	}
}

// Of a file of JSON that is no schema no values are shown, whether or not it is whole.
func TestJSONThatIsNoSchemaIsNotShown(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", "version: 1\ntopics: {t: {schema: s.json}}\npipelines: {p: {source: {topic: t}, sinks: [{stdout: {}}]}}\n")
	for _, text := range []string{
		"{\n  \"password\": \"hunter2\",\n  \"type\": \"object\"\n  \"x\": 1\n}\n",
		"{\n  \"type\": \"object\",\n  \"pin\": \"hunter2\"\n  \"x\": \"hunter3\"\n}\n",
		"{\n  \"what\" \"hunter2\"\n}\n",
		"{\n  \"what\": [\"hunter2\", \"hunter3\"],\n  \"type\": \"objekt\"\n}\n",
		`{"what": "hunter2", "type": "objekt"}`,
	} {
		write(t, dir, "s.json", text)
		code, out, stderr := millrace(t, dir, "validate")
		if code != exitInvalid || strings.Contains(out+stderr, "hunter") || !strings.Contains(out, "s.json:") {
			t.Errorf("%s: code %d\n%s%s", text, code, out, stderr)
		}
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
