package cmd

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/config"
)

func TestHandlersListsKinds(t *testing.T) {
	code, out, _ := millrace(t, t.TempDir(), "handlers")
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
	registry := builtin.Registry()
	for _, kind := range registry.Kinds() {
		if !strings.Contains(out, kind+" ") || !strings.Contains(out, registry[kind].Summary()) {
			t.Errorf("%s is not in the list:\n%s", kind, out)
		}
	}
	for _, kind := range config.MissingHandlers(registry) {
		if !strings.Contains(out, kind) {
			t.Errorf("nothing is said of %s:\n%s", kind, out)
		}
	}
	var listed []listedHandler
	_, out, _ = millrace(t, t.TempDir(), "handlers", "--format", "json")
	decode(t, []byte(out), &listed)
	if len(listed) != len(registry)+len(config.MissingHandlers(registry)) {
		t.Errorf("listed are %+v", listed)
	}
}

func TestHandlersShowsOne(t *testing.T) {
	dir := t.TempDir()
	for _, format := range []string{"text", "markdown", "json"} {
		code, out, stderr := millrace(t, dir, "handlers", "http", "--format", format)
		if code != exitDone || stderr != "" {
			t.Errorf("%s: exit code %d: %s", format, code, stderr)
		}
		for _, key := range []string{"url", "method", "query", "headers", "body", "timeout", "tombstone", "allowed_hosts"} {
			if !strings.Contains(out, key) {
				t.Errorf("%s does not show %s", format, key)
			}
		}
	}
	_, out, _ := millrace(t, dir, "handlers", "http")
	for _, line := range []string{"  url: text, template, required\n", "  timeout: duration, static, default 5s\n", "\nDELIVERY\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("the text lacks %q:\n%s", line, out)
		}
	}
	for line := range strings.Lines(out) {
		if len([]rune(line)) > textWidth+1 {
			t.Errorf("a line is too wide: %q", line)
		}
	}
	_, example, _ := strings.Cut(out, "EXAMPLE (a whole file)\n")
	write(t, dir, "pipelines.yaml", example)
	if code, out, stderr := millrace(t, dir, "validate", "--strict"); code != exitDone {
		t.Errorf("the example does not validate: %s%s", out, stderr)
	}
}

func TestHandlersRefusesWhatItHasNot(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"htpp", `there is no sink "htpp" (did you mean "http"?)`},
		{"qqqqqq", "the sinks are file, http"},
		{"http --format xml", `--format takes text, json or markdown, not "xml"`},
	} {
		code, out, stderr := millrace(t, t.TempDir(), append([]string{"handlers"}, strings.Fields(c.args)...)...)
		if code != exitUsage || out != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("handlers %s: exit code %d, %q, %q", c.args, code, out, stderr)
		}
	}
	for _, kind := range config.MissingHandlers(builtin.Registry()) {
		code, _, stderr := millrace(t, t.TempDir(), "handlers", kind)
		if code != exitUsage || !strings.Contains(stderr, "not available in this version") {
			t.Errorf("handlers %s: exit code %d, %q", kind, code, stderr)
		}
	}
}
