//go:build real

package main

import (
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed"
)

// Three brokers with three copies of everything; one dies under load and comes
// back: nothing is lost, nothing comes twice, and it goes on by itself.
func TestRealBrokerKilled(t *testing.T) {
	cluster := testbed.NeedKafka(t, testbed.KafkaOptions{Nodes: 3})
	b := bed{brokers: cluster.Brokers(), store: shared.Redis(t).URL() + "?prefix=" + prefix(), replication: 3}
	r := startReplicas(t, cluster, b)
	r.bed.invoiced(r.second, 10_000)
	r.busy(t)
	node := cluster.Node(2)
	if err := node.Kill(); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	a := b.admin(t, "")
	before, last, longest := int64(-1), died, time.Duration(0)
	for time.Since(died) < 20*time.Second {
		ends, err := a.EndOffsets(t.Context(), b.name("invoices"))
		n := int64(0)
		for _, end := range ends[b.name("invoices")] {
			n += end
		}
		if err == nil && n > before {
			longest = max(longest, time.Since(last))
			before, last = n, time.Now()
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("the longest time without an invoice after the broker's death was %s", longest)
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if repeated := r.end(t); len(repeated) > 0 {
		t.Errorf("%d invoices repeated, the first %+v", len(repeated), repeated[0])
	}
	for _, p := range []*process{r.first, r.second} {
		p.await("it is ready", func() bool { return p.status().Ready })
	}
}
