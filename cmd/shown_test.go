package cmd

import (
	"strings"
	"testing"
)

// What a command fails with, and what eval makes of a record, hold nothing that the
// configuration keeps secret: either may come from elsewhere.
func TestSecretsThatComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "token", "hunter22")
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  p:
    source: {topic: in}
    filter: payload.secret != file("token")
    sinks: [{stdout: {}}]
`)
	write(t, dir, "records.jsonl", `{"payload": {"said": "you sent hunter22"}}`+"\n")
	if code, out, errs := millrace(t, dir, "eval", "--pipeline", "p", "--input", "records.jsonl", "payload.said"); code != exitDone || out != `"you sent [redacted]"`+"\n" {
		t.Errorf("eval: %d %q %q", code, out, errs)
	}
	if code, out, errs := millrace(t, dir, "eval", "--pipeline", "p", "--input", "hunter22/none", "payload.said"); code != exitFailed || strings.Contains(out+errs, "hunter22") || !strings.Contains(errs, "[redacted]/none") {
		t.Errorf("an error: %d %q %q", code, out, errs)
	}
}
