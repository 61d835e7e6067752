package cmd

import (
	"testing"
	"time"
)

// floodOrders is how many records a flood has on one process.
const floodOrders = 100_000

func TestFlood(t *testing.T)        { testFlood(t, bed{}) }
func TestFloodDrained(t *testing.T) { testFloodDrained(t, bed{}) }
func TestFloodKilled(t *testing.T)  { testFloodKilled(t, bed{}) }

// testFlood lets a flood through: none lost, none twice, each counted as what it
// is.
func testFlood(t *testing.T, b bed) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", floodFile(b))
	b.create(t, 6, "orders", "invoices")
	p := start(t, dir, "run")
	began := time.Now()
	f := makeFlood(b, floodOrders)
	b.send(t, p.broker(), f.records)
	b.ended(t, p)
	t.Logf("%d records sent and done in %s", floodOrders, time.Since(began))
	outcomes := p.status().Pipelines[0].Outcomes
	cancelled, repeats := int64(0), int64(0)
	for _, r := range f.records {
		var o order
		decode(t, r.Value, &o)
		if o.Status == "cancelled" {
			cancelled++
		} else {
			repeats++
		}
	}
	repeats -= int64(len(f.expected))
	if outcomes["delivered"] != int64(len(f.expected)) || outcomes["filtered"] != cancelled || outcomes["duplicate"] != repeats {
		t.Errorf("outcomes %v, want %d delivered, %d filtered, %d duplicate", outcomes, len(f.expected), cancelled, repeats)
	}
	if repeated := f.check(t, readAll(t, p.broker(), b.name("invoices"))); len(repeated) > 0 {
		t.Errorf("%d invoices repeated, the first %+v", len(repeated), repeated[0])
	}
}

// testFloodDrained sends SIGTERM in the middle: nothing lost, nothing twice.
func testFloodDrained(t *testing.T, b bed) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", floodFile(b))
	b.create(t, 6, "orders", "invoices")
	p := start(t, dir, "run")
	f := makeFlood(b, floodOrders)
	b.send(t, p.broker(), f.records)
	for range 2 {
		b.invoiced(p, 5000)
		if code := p.stop(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		p = start(t, dir, "run")
	}
	b.ended(t, p)
	if repeated := f.check(t, readAll(t, p.broker(), b.name("invoices"))); len(repeated) > 0 {
		t.Errorf("%d invoices repeated after a drain, the first %+v", len(repeated), repeated[0])
	}
}

// testFloodKilled sends SIGKILL in the middle: nothing lost, and each repeat is
// of a record that was read and not committed when the process died.
func testFloodKilled(t *testing.T, b bed) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", floodFile(b))
	b.create(t, 6, "orders", "invoices")
	p := start(t, dir, "run")
	broker := p.broker()
	f := makeFlood(b, floodOrders)
	b.send(t, broker, f.records)
	b.invoiced(p, 5000)
	p.kill()
	if len(b.brokers) == 0 {
		broker = start(t, dir, "broker", "--listen", "127.0.0.1:0").broker()
	}
	committed := b.committed(t, broker)
	p = start(t, dir, "run")
	b.ended(t, p)
	repeated := f.check(t, readAll(t, broker, b.name("invoices")))
	f.explain(t, repeated, committed)
}
