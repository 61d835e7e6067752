package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A state folder that is removed under the process that keeps records and keys in
// it ends that process, which says so: what it took from then on would be lost,
// though it answers for it.
func TestStateFolderIsRemoved(t *testing.T) {
	for name, args := range map[string][]string{"run": {"run"}, "broker": {"broker"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "pipelines.yaml", "kafka: {embedded: {listen: 127.0.0.1:0}}\ntopics: {in: {}}\n"+
				"pipelines: {p: {source: {topic: in}, idempotency: {key: '${payload.id}'}, sinks: [{stdout: {}}]}}\n")
			p := start(t, dir, args...)
			if err := os.RemoveAll(filepath.Join(dir, ".millrace")); err != nil {
				t.Fatal(err)
			}
			select {
			case <-p.done:
			case <-time.After(time.Minute):
				t.Fatalf("it runs on:\n%s", p.log())
			}
			if code := p.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(p.log(), ".millrace was removed under this process") || !strings.Contains(p.log(), "start again now") {
				t.Errorf("exit code %d\n%s", code, p.log())
			}
			if strings.Contains(p.log(), "closing router") {
				t.Errorf("its end is a warning with a stack:\n%s", p.log())
			}
			if _, err := os.Stat(filepath.Join(dir, ".millrace", "broker")); err == nil {
				t.Error("its end wrote a part of the folder anew")
			}
			p = start(t, dir, args...)
			if code := p.stop(); code != 0 {
				t.Errorf("the next start: exit code %d", code)
			}
		})
	}
}
