//go:build unix

package cmd

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

const quietPipeline = `
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  quiet: {source: {topic: orders}, sinks: [{stdout: {}}]}
`

// A process that does not answer is what a status is asked for: it says so, and soon.
func TestStatusOfAProcessThatIsSilent(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", quietPipeline)
	p := start(t, dir, "run")
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	code, out, errs := millrace(t, dir, "status")
	if code != exitFailed || out != "" || !strings.Contains(errs, "does not answer within 5s") || time.Since(began) > time.Minute {
		t.Errorf("after %s: %d\n%s%s", time.Since(began), code, out, errs)
	}
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := millrace(t, dir, "status"); code != exitDone || !strings.Contains(out, "quiet") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

// --watch shows it again and again, and ends with a signal.
func TestStatusIsWatched(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", quietPipeline)
	start(t, dir, "run")
	w := launch(t, dir, "status", "--watch")
	w.await("three statuses", func() bool {
		return strings.Count(strings.Join(w.lines(), "\n"), "PIPELINE") >= 3
	})
	if code := w.stop(); code != exitDone {
		t.Errorf("it ended with %d", code)
	}
}
