package cmd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const completeFile = `
topics: {orders: {}, unread: {}}
pipelines:
  invoices:
    description: One invoice an order.
    source: {topic: orders}
    filter: payload.total > ${env.NOT_SET}
    sinks: [{name: printer, stdout: {}}, {kafka: {topic: invoices_done}}]
  audit: {source: {topics: [orders, logins]}, dead_letter: off, sinks: [{stdout: {}}]}
`

func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	good := strings.Replace(completeFile, "${env.NOT_SET}", "5", 1)
	write(t, dir, "pipelines.yaml", good)
	write(t, dir, "broken.yaml", completeFile)
	write(t, dir, "other.yaml", "pipelines: {other: {source: {topic: there}, sinks: [{stdout: {}}]}}\n")
	for _, c := range []struct{ line, want string }{
		{"dry-run|", "invoices\tOne invoice an order.|audit|:4"},
		{"status|", "invoices\tOne invoice an order.|audit|:4"},
		{"keys|get|", "invoices\tOne invoice an order.|audit|:4"},
		{"keys|get|invoices|", ":4"},
		{"keys|delete|invoices|k|--sink|", "kafka|printer|:4"},
		{"tail|", "invoices.dead-letter|invoices_done|logins|orders|unread|:4"},
		{"publish|", "invoices.dead-letter|invoices_done|logins|orders|unread|:4"},
		{"publish|orders|", ":4"},
		{"tail|-f|other.yaml|", "other.dead-letter|there|:4"},
		{"tail|-f|broken.yaml|", "logins|orders|unread|:4"},
		{"dry-run|-f|broken.yaml|", "invoices\tOne invoice an order.|audit|:4"},
		{"dry-run|-f|missing.yaml|", ":4"},
		{"dry-run|-f|-|", ":4"},
		{"seek|", "invoices\tOne invoice an order.|audit|:4"},
		{"seek|audit|--topic|", "invoices.dead-letter|invoices_done|logins|orders|unread|:4"},
		{"skip|", "invoices\tOne invoice an order.|audit|:4"},
		{"skip|audit|--archive|", ":0"},
		{"config|--pipeline|", "invoices\tOne invoice an order.|audit|:4"},
		{"config|--format|", "yaml|json|:4"},
		{"graph|--format|", "mermaid|dot|:4"},
		{"validate|--format|", "text|json|github|sarif|:4"},
		{"run|--log-level|", "debug|info|warn|error|:4"},
		{"tail|--where|", ":4"},
		{"publish|x|--input|", ":0"},
		{"run|--state|", ":16"},
		{"run|-f|", "yaml|yml|md|:8"},
		{"init|", ":16"},
		{"version|", ":4"},
		{"completion|", "bash|zsh|fish|powershell|:4"},
	} {
		code, out, _ := millrace(t, dir, append([]string{"__complete"}, strings.Split(c.line, "|")...)...)
		got := strings.ReplaceAll(strings.TrimSpace(out), "\n", "|")
		if diff := cmp.Diff(c.want, got); diff != "" || code != exitDone {
			t.Errorf("%s: exit code %d (-want +got)\n%s", c.line, code, diff)
		}
	}
	for line, has := range map[string]string{"validate --explain MR": "\nMR004\t", "handlers k": "\nkafka\tWrites "} {
		_, out, _ := millrace(t, dir, append([]string{"__complete"}, strings.Fields(line)...)...)
		if !strings.Contains("\n"+out, has) {
			t.Errorf("%s: %q", line, out)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, stderr := millrace(t, t.TempDir(), "completion", shell)
		if code != exitDone || stderr != "" || !strings.Contains(out, "__complete") {
			t.Errorf("%s: exit code %d, %q, %d bytes", shell, code, stderr, len(out))
		}
	}
	if code, _, stderr := millrace(t, t.TempDir(), "completion", "tcsh"); code != exitUsage || !strings.Contains(stderr, "bash, zsh, fish and powershell") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

func TestChoices(t *testing.T) {
	for usage, want := range map[string]string{
		"text or json": "text json", "text, json, github (workflow commands) or sarif": "text json github sarif",
		"debug, info, warn or error": "debug info warn error", "which process, where several run": "", "do not ask": "",
		"only this process": "",
	} {
		if got := strings.Join(choices(usage), " "); got != want {
			t.Errorf("%q: %q", usage, got)
		}
	}
}
