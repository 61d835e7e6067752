//go:build real

package cmd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
	"github.com/millrace/millrace/pipeline/topics"
)

func TestRealRunCreateTopics(t *testing.T) { testRunCreateTopics(t, kafkaAlone(t)) }
func TestRealRunUntilEndOfTransactions(t *testing.T) {
	testRunUntilEndOfTransactions(t, kafkaAlone(t))
}
func TestRealRunUntilEndOfWhatStandsStill(t *testing.T) {
	testRunUntilEndOfWhatStandsStill(t, kafkaAlone(t))
}
func TestRealRunUntilEndOfWhatOthersHold(t *testing.T) {
	testRunUntilEndOfWhatOthersHold(t, kafkaAlone(t))
}
func TestRealRunLeave(t *testing.T) { testRunLeave(t, kafkaAlone(t)) }

// Everything that a plan makes is so on Apache Kafka afterwards, by the word of
// its own tools, and a second plan is empty.
func TestRealTopics(t *testing.T) {
	b := kafkaAlone(t)
	dir := t.TempDir()
	file := func(orders string) {
		write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders}", "topics:\n  BEDorders: "+orders+"\n"))
	}
	describe := func() string {
		t.Helper()
		out, err := shared.Kafka(t).Run(t.Context(), kafkacluster.Topics, "--describe", "--topic", b.name("orders"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(out), " ")
	}
	file("{partitions: 3, replication: 1, retention: 7d, cleanup: delete}")
	expect(t, dir, 0, "+ "+b.name("orders")+": 3 partitions, replication 1, retention 7d, cleanup delete", "topics", "plan")
	expect(t, dir, 0, "2 changes made", "topics", "apply", "--yes")
	expect(t, dir, 0, "nothing to do: 2 topics", "topics", "plan")
	if got := describe(); !strings.Contains(got, "PartitionCount: 3 ReplicationFactor: 1") || !strings.Contains(got, "retention.ms=604800000") {
		t.Error(got)
	}

	file("{partitions: 5, replication: 1, retention: 36h, cleanup: compact}")
	out := expect(t, dir, 0, "partitions 3 → 5", "topics", "plan")
	for _, says := range []string{"retention 7d → 36h", "cleanup delete → compact", "mind: the brokers delete what is older", "3 changes to make"} {
		if !strings.Contains(out, says) {
			t.Errorf("the plan does not say %q:\n%s", says, out)
		}
	}
	expect(t, dir, 0, "3 changes made", "topics", "apply", "--yes")
	expect(t, dir, 0, "nothing to do", "topics", "plan")
	if got := describe(); !strings.Contains(got, "PartitionCount: 5") || !strings.Contains(got, "cleanup.policy=compact") || !strings.Contains(got, "retention.ms=129600000") {
		t.Error(got)
	}

	file("{partitions: 2, replication: 3}")
	expect(t, dir, 1, "replication 1, the file says 3", "topics", "apply", "--yes")
	if got := describe(); !strings.Contains(got, "PartitionCount: 5 ReplicationFactor: 1") {
		t.Error(got)
	}
	file("{partitions: 5, replication: 1}")
	write(t, dir, "more.yaml", fmt.Sprintf("topics: {%s: {partitions: 1, replication: 3}}\n", b.name("impossible")))
	expect(t, dir, 1, "INVALID_REPLICATION_FACTOR", "topics", "apply", "--yes", "-f", "pipelines.yaml", "-f", "more.yaml")
}

// Compaction leaves gaps before the end, which are nothing to wait for.
func TestRealRunUntilEndOfCompacted(t *testing.T) {
	b := kafkaAlone(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders}", "topics:\n  BEDorders: {partitions: 1}\n"))
	expect(t, dir, 0, "", "topics", "apply", "--yes")
	err := b.admin(t, "").SetTopicConfigs(t.Context(), b.name("orders"), map[string]string{
		"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0", "max.compaction.lag.ms": "100",
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		expect(t, dir, 0, "", "publish", b.name("orders"), "--key", "k", fmt.Sprint(i))
		time.Sleep(150 * time.Millisecond) // a segment each
	}
	expect(t, dir, 0, "", "publish", b.name("orders"), "--key", "k", "--tombstone")
	if out := expect(t, dir, 0, "", "run", "--until-end"); !strings.HasSuffix(out, "null\n") {
		t.Errorf("%q", out)
	}
}

// The lag of a group is what its cluster says.
func TestRealTopicsList(t *testing.T) {
	b := kafkaAlone(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders}", "topics:\n  BEDorders: {partitions: 2, retention: 1d}\n"))
	expect(t, dir, 0, "", "topics", "apply", "--yes")
	expect(t, dir, 0, "", "publish", b.name("orders"), "1", "2", "3")
	lag := func() topics.Lag {
		t.Helper()
		var all []topics.Listed
		decode(t, []byte(expect(t, dir, 0, "", "topics", "list", "--format", "json")), &all)
		if len(all) != 2 || len(all[0].Lag) != 1 || all[0].RetentionMS != 86_400_000 || all[0].Replication != 1 {
			t.Fatalf("%+v", all)
		}
		return all[0].Lag[0]
	}
	if l := lag(); l.Lag != 3 || l.Begun {
		t.Errorf("before the first run: %+v", l)
	}
	expect(t, dir, 0, "", "run", "--until-end")
	if l := lag(); l.Lag != 0 || !l.Begun {
		t.Errorf("after a run: %+v", l)
	}
}
