//go:build real

package testbed_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

func TestRealKafkaKeepsItsDataThroughAKill(t *testing.T) {
	ctx := bounded(t)
	k := kafkacluster.Need(t, kafkacluster.Options{})
	run(t, k, kafkacluster.Topics, "--create", "--topic", "orders", "--partitions", "2")
	produce(t, k, "orders", "first", "second")

	if err := k.Node(1).Kill(); err != nil {
		t.Fatal(err)
	}
	if k.Node(1).Running() {
		t.Fatal("a killed node is said to run")
	}
	if err := k.Node(1).Start(ctx); err != nil {
		t.Fatal(err)
	}
	got := run(t, k, kafkacluster.ConsoleConsumer, "--topic", "orders", "--from-beginning", "--max-messages", "2", "--timeout-ms", "20000")
	for _, want := range []string{"first", "second"} {
		if !strings.Contains(got, want) {
			t.Errorf("after the kill %q is missing in %q", want, got)
		}
	}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func run(t *testing.T, k *kafkacluster.Cluster, tool kafkacluster.Tool, args ...string) string {
	t.Helper()
	out, err := k.Run(bounded(t), tool, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func produce(t *testing.T, k *kafkacluster.Cluster, topic string, values ...string) {
	t.Helper()
	_, err := k.RunWith(bounded(t), strings.Join(values, "\n")+"\n", kafkacluster.ConsoleProducer, "--topic", topic, "--sync",
		"--message-send-max-retries", "60", "--request-timeout-ms", "5000")
	if err != nil {
		t.Fatal(err)
	}
}
