package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clusterFile is a file for a cluster whose address is not known before.
func clusterFile(broker, source, rest string) string {
	return fmt.Sprintf(`version: 1
kafka: {brokers: ["%s"]}
pipelines:
  print:
    source: %s
    sinks: [{stdout: {}}]
%s`, broker, source, rest)
}

// standIn is an embedded broker in a process of its own that stands in for a
// cluster.
func standIn(t *testing.T) (broker string, client *kgo.Client) {
	t.Helper()
	broker = start(t, t.TempDir(), "broker", "--listen", "127.0.0.1:0").status().Broker
	return broker, newClient(t, broker)
}

func newClient(t *testing.T, broker string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
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

func TestRunCreateTopics(t *testing.T) {
	t.Parallel()
	broker, _ := standIn(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(broker, "{topic: orders}", "topics: {orders: {partitions: 2}}\n"))
	expect(t, dir, 1, `its source topic "orders" does not exist on the cluster`, "run")
	expect(t, dir, 1, `its dead-letter topic "print.dead-letter" does not exist`, "run")
	p := start(t, dir, "run", "--create-topics")
	expect(t, dir, 0, "", "publish", "orders", `{"n":1}`)
	p.await("the record is printed", func() bool { return len(p.lines()) == 1 })
	expect(t, dir, 0, "nothing to do: 2 topics", "topics", "plan")
	if code := p.stop(); code != 0 {
		t.Fatal(code)
	}
	// What differs is left alone.
	write(t, dir, "pipelines.yaml", clusterFile(broker, "{topic: orders}", "topics: {orders: {partitions: 4}}\n"))
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

// Markers and aborted records at a partition's end are no records: a commit never
// moves over them, and the run ends all the same. What a transaction that is
// open holds back does not count.
func TestRunUntilEndOfTransactions(t *testing.T) {
	t.Parallel()
	broker, client := standIn(t)
	if _, err := kadm.NewClient(client).CreateTopics(t.Context(), 3, 1, nil, "orders", "print.dead-letter"); err != nil {
		t.Fatal(err)
	}
	writer := newClient(t, broker, kgo.TransactionalID("writer"))
	transaction := func(end kgo.TransactionEndTry, value string) {
		t.Helper()
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, writer, "orders", 0, value)
		produce(t, writer, "orders", 1, value)
		if err := writer.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	transaction(kgo.TryCommit, `"seen"`)
	transaction(kgo.TryAbort, `"never seen"`)
	produce(t, client, "orders", 1, `"last"`)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(broker, "{topic: orders}", ""))
	if out := expect(t, dir, 0, "", "run", "--until-end"); strings.Count(out, "\"seen\"\n") != 2 || strings.Count(out, "\n") != 3 {
		t.Errorf("%q", out)
	}
	if err := writer.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, writer, "orders", 2, `"open"`)
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

// What can't get to its end is an error, once the rest is done.
func TestRunUntilEndOfWhatStandsStill(t *testing.T) {
	t.Parallel()
	broker, client := standIn(t)
	if _, err := kadm.NewClient(client).CreateTopics(t.Context(), 2, 1, nil, "orders", "print.dead-letter"); err != nil {
		t.Fatal(err)
	}
	produce(t, client, "orders", 0, "1", "2")
	produce(t, client, "orders", 1, "3", "4", "nonsense", "5")
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(broker, "{topic: orders, group: stuck, start: {offsets: {0: 100}}}", ""))
	expect(t, dir, 1, "orders/0 stands still before the end", "run", "--until-end")
	write(t, dir, "pipelines.yaml", clusterFile(broker, "{topic: orders, group: stopped}\n    on_error: stop", ""))
	expect(t, dir, 1, "the last pipeline has stopped", "run", "--until-end")
	write(t, dir, "pipelines.yaml", clusterFile(broker, "{topic: orders, group: stopped2}\n    on_error: stop",
		"  other: {source: {topic: orders}, dead_letter: off, on_error: drop, sinks: [{stdout: {}}]}\n"))
	expect(t, dir, 1, `pipeline "print" stopped before the end`, "run", "--until-end")
}

// A static member stays in its group after SIGTERM, and leaves it with --leave.
func TestRunLeave(t *testing.T) {
	t.Parallel()
	broker, client := standIn(t)
	if _, err := kadm.NewClient(client).CreateTopics(t.Context(), 2, 1, nil, "orders", "print.dead-letter"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(broker, "{topic: orders, instance: one, session_timeout: 60s}", ""))
	members := func() int {
		t.Helper()
		groups, err := kadm.NewClient(client).DescribeGroups(t.Context(), "print")
		if err != nil {
			t.Fatal(err)
		}
		return len(groups["print"].Members)
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
