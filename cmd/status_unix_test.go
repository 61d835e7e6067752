//go:build unix

package cmd

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const quietPipeline = `
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  quiet: {source: {topic: orders}, sinks: [{stdout: {}}]}
`

// A process that does not answer is what a status is asked for: it says so, and soon, as
// does all else that asks it.
func TestStatusOfAProcessThatIsSilent(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", strings.Replace(quietPipeline, "topic: orders}",
		"topic: orders}, idempotency: {key: '${payload.id}'}", 1))
	p := start(t, dir, "run")
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	for _, args := range [][]string{{"status"}, {"keys", "list"}, {"pause", "--all"}} {
		asking.Go(func() {
			began := time.Now()
			code, out, errs := millrace(t, dir, args...)
			if code != exitFailed || out != "" || !strings.Contains(errs, "does not answer within 10s") ||
				time.Since(began) > time.Minute {
				t.Errorf("%v: after %s: %d\n%s%s", args, time.Since(began), code, out, errs)
			}
		})
	}
	asking.Wait()
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
