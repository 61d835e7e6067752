//go:build real

package cmd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

// Three brokers with three copies of everything; one dies under load. It goes on
// by itself, but for a topic that wants all three copies: there it waits, says
// so, and goes on when the broker is back. Nothing is lost, nothing comes twice.
func TestRealBrokerKilled(t *testing.T) {
	cluster := kafkacluster.Need(t, kafkacluster.Options{Nodes: 3})
	b := bed{brokers: cluster.Brokers(), store: shared.Redis(t).URL() + "?prefix=" + prefix(), replication: 3}
	r := startReplicas(t, cluster, b, 100_000)
	r.bed.invoiced(r.second, 10_000)
	r.busy(t)
	node := cluster.Node(2)
	if err := node.Kill(); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	t.Logf("the longest time without an invoice after the broker's death was %s", r.pause(t, died))
	if err := <-r.sent; err != nil {
		t.Fatal(err)
	}
	b.ended(t, r.second)

	strict := map[string]string{"min.insync.replicas": "3"}
	if err := b.admin(t, "").SetTopicConfigs(t.Context(), b.name("invoices"), strict); err != nil {
		t.Fatal(err)
	}
	before := len(r.expected)
	r.flood = makeFlood(b, 110_000) // the same records, and more
	r.send(t, r.records[100_000:])
	for _, p := range []*process{r.first, r.second} {
		p.await("it says that it waits", func() bool {
			s := p.status()
			return !s.Ready && strings.Contains(fmt.Sprint(s.Reasons), "min.insync.replicas")
		})
	}
	if n := len(readAll(t, b.brokers[0], b.name("invoices"))); n != before {
		t.Errorf("%d invoices with too few replicas", n-before)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	if repeated := r.end(t); len(repeated) > 0 {
		t.Errorf("%d invoices repeated, the first %+v", len(repeated), repeated[0])
	}
	t.Logf("all was done %s after the broker was back", time.Since(back))
	for _, p := range []*process{r.first, r.second} {
		p.await("it is ready", func() bool { return p.status().Ready })
	}
}

// pause is the longest time without an invoice, until what is to be done is done.
func (r *replicas) pause(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	a := r.bed.admin(t, "")
	most, last, longest := int64(-1), since, time.Duration(0)
	for time.Since(since) < time.Minute {
		if ends, err := a.EndOffsets(t.Context(), r.bed.name("invoices")); err == nil {
			n := int64(0)
			for _, end := range ends[r.bed.name("invoices")] {
				n += end
			}
			if n > most {
				longest = max(longest, time.Since(last))
				most, last = n, time.Now()
			}
			if int(n) >= len(r.expected) {
				return longest
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("not all invoices are out a minute after the broker's death")
	return longest
}
