package cmd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/topics"
)

const topicsFile = `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
topics:
  orders: {partitions: 4, replication: 3, retention: 7d, cleanup: compact}
pipelines:
  notify:
    source: {topic: orders}
    sinks: [{stdout: {}}]
  copy:
    source: {pattern: '^ord'}
    dead_letter: off
    sinks: [{kafka: {topic: copies}}]
`

// expect runs a command and checks its exit code and what it says.
func expect(t *testing.T, dir string, code int, says string, args ...string) string {
	t.Helper()
	got, out, errs := millrace(t, dir, args...)
	if got != code || !strings.Contains(out+errs, says) {
		t.Fatalf("millrace %v: code %d, want %d with %q:\n%s%s", args, got, code, says, out, errs)
	}
	return out
}

// Plan, apply and list on the embedded broker, whether or not something runs.
func TestTopics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", topicsFile)
	out := expect(t, dir, 0, "", "topics", "plan")
	want := `+ copies: 6 partitions, replication 1 (sink of copy)
+ notify.dead-letter: 6 partitions, replication 1 (dead letters of notify)
+ orders: 4 partitions, replication 1 (topics:, source of notify)
3 changes to make; 0 topics are as the file says
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Fatal(diff)
	}
	expect(t, dir, 2, "give --yes", "topics", "apply")
	expect(t, dir, 0, "3 changes made", "topics", "apply", "--yes")
	expect(t, dir, 0, "nothing to do: 3 topics are as the file says", "topics", "plan")

	// More partitions are made and survive; fewer are not.
	write(t, dir, "pipelines.yaml", strings.Replace(topicsFile, "partitions: 4", "partitions: 5", 1))
	expect(t, dir, 0, "~ orders: partitions 4 → 5\n    mind: keys move", "topics", "plan")
	expect(t, dir, 0, "1 change made", "topics", "apply", "-y")
	write(t, dir, "pipelines.yaml", strings.Replace(topicsFile, "partitions: 4", "partitions: 3", 1))
	expect(t, dir, 0, "! orders: partitions 5, the file says 3\n    not done:", "topics", "plan")
	expect(t, dir, 1, "1 difference left", "topics", "apply", "--yes")
	var plan topics.Plan
	decode(t, []byte(expect(t, dir, 0, "", "topics", "plan", "--format", "json")), &plan)
	if len(plan.Changes) != 1 || plan.Changes[0].Action != topics.Leave || plan.Changes[0].From != "5" || plan.Same != 2 {
		t.Errorf("%+v", plan)
	}
}

// A file that says no number of partitions takes the topic as it is.
func TestTopicsPlanWithoutPartitions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", topicsFile)
	expect(t, dir, 0, "3 changes made", "topics", "apply", "--yes")
	write(t, dir, "pipelines.yaml", strings.Replace(topicsFile, "partitions: 4, ", "", 1))
	expect(t, dir, 0, "nothing to do: 3 topics are as the file says", "topics", "plan")
	write(t, dir, "pipelines.yaml", strings.ReplaceAll(strings.Replace(topicsFile, "partitions: 4, ", "", 1), "orders", "others"))
	expect(t, dir, 0, "+ others: 6 partitions, replication 1 (topics:, source of notify)", "topics", "plan")
}

func TestTopicsList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", topicsFile)
	p := start(t, dir, "run")
	expect(t, dir, 0, "published 3 records", "publish", "orders", "1", "2", "3")
	expect(t, dir, 0, "", "publish", "--create", "other", "1")
	p.await("all is copied and printed", func() bool { return len(p.lines()) == 3 })
	p.await("nothing is left", func() bool {
		return strings.Contains(expect(t, dir, 0, "", "topics", "list"), "orders              4           1            for ever   delete   copy 0, notify 0\n")
	})
	if code := p.stop(); code != 0 {
		t.Fatal(code)
	}
	expect(t, dir, 0, "", "publish", "orders", "4", "5")
	var listed []topics.Listed
	decode(t, []byte(expect(t, dir, 0, "", "topics", "list", "--format", "json")), &listed)
	var names []string
	for _, l := range listed {
		names = append(names, l.Topic)
	}
	if diff := cmp.Diff([]string{"copies", "notify.dead-letter", "orders"}, names); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]topics.Lag{{Pipeline: "copy", Group: "copy", Lag: 2, Begun: true}, {Pipeline: "notify", Group: "notify", Lag: 2, Begun: true}}, listed[2].Lag); diff != "" {
		t.Error(diff)
	}
	expect(t, dir, 0, "other ", "topics", "list", "--all")
	expect(t, dir, 2, "text or json", "topics", "list", "--format", "xml")
	expect(t, dir, 2, "plan, apply or list", "topics")
}
