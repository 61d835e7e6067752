package cmd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clusterFile is a file for a cluster, with a pipeline that prints what a source
// holds; names in it are those of the bed.
func clusterFile(b bed, source, rest string) string {
	text := b.blocks() + fmt.Sprintf(`pipelines:
  BEDprint:
    source: %s
    sinks: [{stdout: {}}]
%s`, source, rest)
	return "version: 1\n" + strings.ReplaceAll(text, "BED", b.prefix)
}

// standIn is an embedded broker in a process of its own that stands in for a
// cluster.
func standIn(t *testing.T) bed {
	t.Helper()
	return bed{brokers: []string{start(t, t.TempDir(), "broker", "--listen", "127.0.0.1:0").status().Broker}, store: "embedded"}
}

// topics makes the topic orders and the dead letters of print.
func (b bed) topics(t *testing.T, partitions int) {
	t.Helper()
	b.create(t, partitions, "orders", "print.dead-letter")
}

func (b bed) client(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(b.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func produce(t *testing.T, client *kgo.Client, topic string, partition int32, values ...string) {
	t.Helper()
	for _, v := range values {
		r := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRunCreateTopics(t *testing.T) { t.Parallel(); testRunCreateTopics(t, standIn(t)) }

func testRunCreateTopics(t *testing.T, b bed) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders}", "topics: {BEDorders: {partitions: 2}}\n"))
	expect(t, dir, 1, fmt.Sprintf("its source topic %q does not exist on the cluster", b.name("orders")), "run")
	expect(t, dir, 1, fmt.Sprintf("its dead-letter topic %q does not exist", b.name("print.dead-letter")), "run")
	p := start(t, dir, "run", "--create-topics")
	expect(t, dir, 0, "", "publish", b.name("orders"), `{"n":1}`)
	p.await("the record is printed", func() bool { return len(p.lines()) == 1 })
	expect(t, dir, 0, "nothing to do: 2 topics", "topics", "plan")
	if code := p.stop(); code != 0 {
		t.Fatal(code)
	}
	// What differs is left alone.
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders}", "topics: {BEDorders: {partitions: 4}}\n"))
	p = start(t, dir, "run", "--create-topics")
	if !strings.Contains(p.log(), "topics differ") {
		t.Error("nothing says that the topics differ")
	}
	expect(t, dir, 0, "partitions 2 → 4", "topics", "plan")
}

func TestRunUntilEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", topicsFile)
	expect(t, dir, 0, "", "topics", "apply", "--yes")
	if out := expect(t, dir, 0, "", "run", "--until-end"); out != "" {
		t.Errorf("of empty topics: %q", out)
	}
	values := []string{"publish", "orders"}
	for i := range 500 {
		values = append(values, fmt.Sprint(i))
	}
	expect(t, dir, 0, "published 500", values...)
	if out := expect(t, dir, 0, "", "run", "--until-end"); strings.Count(out, "\n") != 500 {
		t.Errorf("%d lines", strings.Count(out, "\n"))
	}
	if out := expect(t, dir, 0, "", "run", "--until-end"); out != "" {
		t.Errorf("again: %q", out)
	}
	if out := expect(t, dir, 0, "", "tail", "copies", "-n", "1000", "--until-end"); strings.Count(out, "\n") != 500 {
		t.Errorf("%d copies", strings.Count(out, "\n"))
	}
}

func TestRunUntilEndOfTransactions(t *testing.T) {
	t.Parallel()
	testRunUntilEndOfTransactions(t, standIn(t))
}

// Markers and aborted records at a partition's end are no records: a commit never
// moves over them, and the run ends all the same. What a transaction that is
// open holds back does not count.
func testRunUntilEndOfTransactions(t *testing.T, b bed) {
	b.topics(t, 3)
	orders := b.name("orders")
	writer := b.client(t, kgo.TransactionalID(b.name("writer")))
	transaction := func(end kgo.TransactionEndTry, value string) {
		t.Helper()
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, writer, orders, 0, value)
		produce(t, writer, orders, 1, value)
		if err := writer.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	transaction(kgo.TryCommit, `"seen"`)
	transaction(kgo.TryAbort, `"never seen"`)
	produce(t, b.client(t), orders, 1, `"last"`)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders}", ""))
	if out := expect(t, dir, 0, "", "run", "--until-end"); strings.Count(out, "\"seen\"\n") != 2 || strings.Count(out, "\n") != 3 {
		t.Errorf("%q", out)
	}
	if err := writer.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, writer, orders, 2, `"open"`)
	if out := expect(t, dir, 0, "", "run", "--until-end"); out != "" {
		t.Errorf("%q", out)
	}
	if err := writer.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if out := expect(t, dir, 0, "", "run", "--until-end"); out != "\"open\"\n" {
		t.Errorf("%q", out)
	}
}

func TestRunUntilEndOfWhatStandsStill(t *testing.T) {
	t.Parallel()
	testRunUntilEndOfWhatStandsStill(t, standIn(t))
}

// What can't get to its end is an error, once the rest is done.
func testRunUntilEndOfWhatStandsStill(t *testing.T, b bed) {
	b.topics(t, 2)
	orders := b.name("orders")
	produce(t, b.client(t), orders, 0, "1", "2")
	produce(t, b.client(t), orders, 1, "3", "4", "nonsense", "5")
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders, group: BEDstuck, start: {offsets: {0: 100}}}", ""))
	out := expect(t, dir, 1, orders+"/0 stands still before the end", "run", "--until-end")
	if out != "3\n4\n5\n" {
		t.Errorf("the other partition: %q", out)
	}
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders, group: BEDstopped}\n    on_error: stop", ""))
	expect(t, dir, 1, "the last pipeline has stopped", "run", "--until-end")
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders, group: BEDstopped2}\n    on_error: stop",
		"  BEDother: {source: {topic: BEDorders}, dead_letter: off, on_error: drop, sinks: [{stdout: {}}]}\n"))
	expect(t, dir, 1, fmt.Sprintf("pipeline %q stopped before the end", b.name("print")), "run", "--until-end")
}

func TestRunUntilEndOfWhatOthersHold(t *testing.T) {
	t.Parallel()
	testRunUntilEndOfWhatOthersHold(t, standIn(t))
}

// A partition that stands still at another replica is an error too.
func testRunUntilEndOfWhatOthersHold(t *testing.T, b bed) {
	b.topics(t, 4)
	for part := range int32(4) {
		produce(t, b.client(t), b.name("orders"), part, "1", "2")
	}
	file := clusterFile(b, "{topic: BEDorders, start: {offsets: {0: 100, 1: 100, 2: 100, 3: 100}}}", "")
	dir, other := t.TempDir(), t.TempDir()
	write(t, dir, "pipelines.yaml", file)
	write(t, other, "pipelines.yaml", file)
	p := launch(t, other, "run")
	p.await("it has its alarms", func() bool { return strings.Count(p.log(), "a partition needs attention") == 4 })
	code, out, errs := millrace(t, dir, "run", "--until-end")
	if code != 1 || out != "" || strings.Count(errs, "stands still before the end") < 4 || !strings.Contains(errs, "another member of the group") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
}

func TestRunLeave(t *testing.T) { t.Parallel(); testRunLeave(t, standIn(t)) }

// A static member stays in its group after SIGTERM, and leaves it with --leave.
func testRunLeave(t *testing.T, b bed) {
	b.topics(t, 2)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders, instance: one, session_timeout: 30s}", ""))
	groups := kadm.NewClient(b.client(t))
	members := func() int {
		t.Helper()
		described, err := groups.DescribeGroups(t.Context(), b.name("print"))
		if err != nil {
			t.Fatal(err)
		}
		return len(described[b.name("print")].Members)
	}
	for _, c := range []struct {
		args []string
		left int
	}{{[]string{"run"}, 1}, {[]string{"run", "--leave"}, 0}} {
		p := start(t, dir, c.args...)
		if code := p.stop(); code != 0 {
			t.Fatal(code)
		}
		deadline := time.Now().Add(5 * time.Second)
		for members() != c.left && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond)
		}
		if n := members(); n != c.left {
			t.Errorf("%v: %d members stay, want %d", c.args, n, c.left)
		}
	}
}

// A run until the end ends, as a failed one, where a pipeline without dead letters stands at
// a record that can't be decided: nothing but a person gets it past that.
func TestUntilEndWhereAPipelineStands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `
kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {orders: {partitions: 1}}
pipelines:
  picky:
    source: {topic: orders}
    filter: payload.total > 1
    dead_letter: off
    sinks: [{stdout: {}}]
`)
	broker := start(t, dir, "broker", "--listen", "127.0.0.1:0")
	if code, _, errs := millrace(t, dir, "publish", "orders", `{"total": 5}`, `{}`); code != exitDone {
		t.Fatal(errs)
	}
	broker.stop()
	code, _, errs := millrace(t, dir, "run", "--until-end")
	if code != exitFailed || !strings.Contains(errs, "stands still before the end") || !strings.Contains(errs, "dead_letter: off: orders/") {
		t.Errorf("%d\n%s", code, errs)
	}
	if strings.Contains(errs, "resumed") {
		t.Errorf("nothing was resumed:\n%s", errs)
	}
}
