package cmd

import (
	"strings"
	"testing"
)

// A pipeline that stands at a record until a person acts says so and names the
// record, in the log and in status: it does not go on by itself.
func TestStandingAtARecordIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {in: {partitions: 1}}
pipelines:
  off: {source: {topic: in}, filter: payload.n > 1, dead_letter: off, sinks: [{stdout: {}}]}
  stop: {source: {topic: in}, filter: payload.n > 1, on_error: stop, sinks: [{stdout: {}}]}
  other: {source: {topic: in}, sinks: [{stdout: {}}]}
`)
	p := start(t, dir, "run")
	if code, out, errs := millrace(t, dir, "publish", "in", `{"n":"x"}`); code != 0 {
		t.Fatal(out, errs)
	}
	p.await("both stand", func() bool { return strings.Count(p.log(), `"level":"ERROR"`) == 2 })
	for _, want := range []string{"the pipeline has stopped, and does not go on by itself", "would be a dead letter", "does not go past it by itself"} {
		if !strings.Contains(p.log(), want) {
			t.Errorf("the log lacks %q:\n%s", want, p.log())
		}
	}
	_, text, _ := millrace(t, dir, "status")
	for _, want := range []string{"! off: dead_letter: off: in/0/0: ", "does not go past it by itself", "! stop: stopped at in/0/0", "does not go on by itself"} {
		if !strings.Contains(text, want) {
			t.Errorf("status lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(p.log(), "it goes on by itself") {
		t.Errorf("the log claims what is not so:\n%s", p.log())
	}
}
