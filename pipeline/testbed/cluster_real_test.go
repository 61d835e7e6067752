//go:build real

package testbed_test

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

func TestRealThreeNodesSurviveTheKillOfOne(t *testing.T) {
	ctx := bounded(t)
	k := kafkacluster.Need(t, kafkacluster.Options{Nodes: 3, Heap: "256m"})
	if got := len(k.Brokers()); got != 3 {
		t.Fatalf("got %d brokers, want 3", got)
	}
	run(t, k, kafkacluster.Topics, "--create", "--topic", "orders", "--partitions", "3", "--replication-factor", "3")
	produce(t, k, "orders", "before")

	if err := k.Node(2).Kill(); err != nil {
		t.Fatal(err)
	}
	produce(t, k, "orders", "meanwhile")
	if err := k.Node(2).Start(ctx); err != nil {
		t.Fatal(err)
	}
	got := run(t, k, kafkacluster.ConsoleConsumer, "--topic", "orders", "--from-beginning", "--max-messages", "2", "--timeout-ms", "30000")
	for _, want := range []string{"before", "meanwhile"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	for _, node := range k.Nodes() {
		if !node.Running() {
			t.Errorf("node %d does not run", node.ID())
		}
	}
	if got := run(t, k, kafkacluster.Topics, "--describe", "--topic", "orders"); !strings.Contains(got, "ReplicationFactor: 3") {
		t.Errorf("the topic is not on three nodes:\n%s", got)
	}
}
