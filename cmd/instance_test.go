package cmd

import (
	"fmt"
	"strings"
	"testing"
)

// Two processes with the same instance: the older one's last pipeline has
// stopped, says why, and so ends the process.
func TestSameInstanceTwice(t *testing.T) {
	t.Parallel()
	b := standIn(t)
	b.topics(t, 2)
	file := clusterFile(b, "{topic: BEDorders, instance: one}", "")
	both := clusterFile(b, "{topic: BEDorders, instance: one}", "  BEDother: {source: {topic: BEDorders}, dead_letter: off, sinks: [{stdout: {}}]}\n")
	older, heir := t.TempDir(), t.TempDir()
	write(t, older, "pipelines.yaml", file)
	write(t, heir, "pipelines.yaml", both)
	first := start(t, older, "run")
	second := start(t, heir, "run")
	<-first.done
	if code := first.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(first.log(), "as instance one") {
		t.Errorf("exit code %d\n%s", code, first.log())
	}
	// One that has other pipelines goes on with them.
	third := start(t, older, "run")
	second.await("its pipeline has stopped", func() bool {
		s := second.status().Pipelines
		return s[0].State == "stopped" && strings.Contains(fmt.Sprint(s[0].Reasons), "as instance one") && s[1].State == "running"
	})
	produce(t, b.client(t), b.name("orders"), 0, `"x"`)
	second.await("the other pipeline goes on", func() bool { return len(second.lines()) == 1 })
	third.await("the heir reads", func() bool { return len(third.lines()) == 1 })
}
