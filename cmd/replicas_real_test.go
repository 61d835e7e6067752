//go:build real

package cmd

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

// replicasOrders is how many records several replicas share.
const replicasOrders = 200_000

// replicas is a flood that two processes work on, while it is still being sent.
type replicas struct {
	flood
	first, second *process
	sent          chan error
	began         time.Time
}

func startReplicas(t *testing.T, cluster *kafkacluster.Cluster, b bed, n int) *replicas {
	t.Helper()
	b.create(t, 6, "orders", "invoices")
	explainGroup(t, cluster, b.name("invoices"))
	r := &replicas{flood: makeFlood(b, n), sent: make(chan error, 1)}
	r.first, r.second = r.join(t), r.join(t)
	r.first.await("both have partitions", func() bool { return len(owned(r.first)) == 3 && len(owned(r.second)) == 3 })
	r.began = time.Now()
	r.send(t, r.records)
	return r
}

// send sends records in the background; end waits for it.
func (r *replicas) send(t *testing.T, records []*handlers.Record) {
	ctx := t.Context()
	go func() {
		err := r.bed.produce(ctx, "", records)
		if err != nil {
			t.Errorf("not all records could be sent: %v", err)
		}
		r.sent <- err
	}()
}

// explainGroup shows how the brokers see a group, when the test has failed.
func explainGroup(t *testing.T, cluster *kafkacluster.Cluster, group string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, more := range []string{"--offsets", "--state", "--members"} {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
			out, err := cluster.Run(ctx, kafkacluster.ConsumerGroups, "--describe", "--group", group, more, "--verbose")
			cancel()
			t.Logf("the group, %s: %v\n%s", more, err, out)
		}
		stacks := make([]byte, 1<<20)
		t.Logf("the test itself:\n%s", stacks[:runtime.Stack(stacks, true)])
	})
}

// join starts another replica, in a folder of its own as on a machine of its own.
func (r *replicas) join(t *testing.T) *process {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", floodFile(r.bed))
	return start(t, dir, "run")
}

// end waits until all is sent and done.
func (r *replicas) end(t *testing.T) (repeated []order) {
	t.Helper()
	if err := <-r.sent; err != nil {
		t.Fatal(err)
	}
	r.bed.ended(t, r.second)
	t.Logf("%d records sent and done in %s", len(r.records), time.Since(r.began))
	return r.check(t, readAll(t, r.bed.brokers[0], r.bed.name("invoices")))
}

// busy fails where too little is left to do: the test would show nothing.
func (r *replicas) busy(t *testing.T) {
	t.Helper()
	left, err := r.bed.lag(t.Context(), r.bed.admin(t, ""))
	if err != nil || left < 1000 {
		t.Fatalf("only %d records are left: %v", left, err)
	}
	t.Logf("%d records are written and not yet done", left)
}

// owned are the partitions that a process has.
func owned(p *process) map[int32]bool {
	p.t.Helper()
	all := map[int32]bool{}
	for _, part := range p.status().Pipelines[0].Partitions {
		all[part.Partition] = true
	}
	return all
}

// One joins and one leaves by SIGTERM, under load: nothing lost, nothing twice,
// and each customer's orders stay in order.
func TestRealReplicasJoinAndLeave(t *testing.T) {
	r := startReplicas(t, shared.Kafka(t), kafkaAndRedis(t), replicasOrders)
	r.bed.invoiced(r.second, 10_000)
	third := r.join(t)
	third.await("the third has partitions", func() bool { return len(owned(third)) == 2 })
	r.busy(t)
	if code := r.first.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if repeated := r.end(t); len(repeated) > 0 {
		t.Errorf("%d invoices repeated, the first %+v", len(repeated), repeated[0])
	}
	if len(owned(r.second)) != 3 || len(owned(third)) != 3 {
		t.Errorf("the two that are left have partitions %v and %v", owned(r.second), owned(third))
	}
}

// One joins and one is killed: nothing lost, order kept, and each repeat is of a
// record that the killed one had read and not committed.
func TestRealReplicaKilled(t *testing.T) {
	b := kafkaAndRedis(t)
	r := startReplicas(t, shared.Kafka(t), b, replicasOrders)
	r.bed.invoiced(r.second, 10_000)
	third := r.join(t)
	third.await("the third has partitions", func() bool { return len(owned(third)) == 2 })
	parts := owned(r.first)
	r.busy(t)
	r.first.kill()
	committed := b.committed(t, "")
	for part := range committed {
		if !parts[part] {
			committed[part] = 1 << 62 // whoever has it lives: nothing may be repeated
		}
	}
	r.explain(t, r.end(t), committed)
}
