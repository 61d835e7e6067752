package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// The flood: orders with repeats through filter, idempotency key and kafka sink.
const (
	floodOrders  = 100_000
	floodRepeats = 30 // percent
	floodKeys    = 5_000
)

const floodFile = `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
topics:
  orders: {partitions: 6}
  invoices: {partitions: 6}
pipelines:
  invoices:
    source: {topic: orders}
    filter: payload.status == "purchased"
    idempotency: {key: "order:${payload.order_id}"}
    sinks:
      - kafka: {topic: invoices}
`

// order is one record of the flood, and of what came of it.
type order struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
	Seq     int    `json:"seq"` // counts all records
}

// flood is what was sent: which orders are to be invoiced, and where each record
// lies.
type flood struct {
	expected map[string]bool
	records  []*handlers.Record
}

// sendFlood publishes the flood: every tenth order is cancelled, and of all
// records 30 % repeat an earlier one, byte for byte.
func sendFlood(t *testing.T, broker string) flood {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	f := flood{expected: map[string]bool{}}
	for seq := range floodOrders {
		if seq > 0 && random.IntN(100) < floodRepeats {
			again := *f.records[random.IntN(len(f.records))]
			f.records = append(f.records, &again)
			continue
		}
		o := order{OrderID: fmt.Sprint("o-", seq), Status: "purchased", Seq: seq}
		if seq%10 == 0 {
			o.Status = "cancelled"
		} else {
			f.expected[o.OrderID] = true
		}
		f.records = append(f.records, &handlers.Record{
			Topic: "orders", Partition: -1, Offset: -1, Key: fmt.Append(nil, "customer-", random.IntN(floodKeys)),
			Value: fmt.Appendf(nil, `{"order_id": %q, "status": %q, "seq": %d, "padding": "%0200d"}`, o.OrderID, o.Status, o.Seq, seq),
		})
	}
	publisher, err := kafka.NewPublisher(kafka.Settings{Brokers: []string{broker}}, kafka.Deps{Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(f.records); i += 2000 {
		if err := publisher.Produce(t.Context(), f.records[i:min(i+2000, len(f.records))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := publisher.Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

// ended waits until the group has committed the ends of the source.
func ended(t *testing.T, p *process, broker string) {
	t.Helper()
	a, err := kafka.NewAdmin(kafka.Settings{Brokers: []string{broker}}, kafka.Deps{Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	p.await("the group has committed the ends", func() bool {
		left, err := lag(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
}

func lag(ctx context.Context, a *kafka.Admin) (int64, error) {
	ends, err := a.EndOffsets(ctx, "orders")
	if err != nil {
		return 0, err
	}
	committed, err := a.Committed(ctx, "invoices")
	if err != nil {
		return 0, err
	}
	left := int64(0)
	for partition, end := range ends["orders"] {
		left += end - committed["orders"][partition]
	}
	return left, nil
}

// halfway waits until a good part of the invoices is out, and not all.
func halfway(p *process, broker string) {
	p.t.Helper()
	a, err := kafka.NewAdmin(kafka.Settings{Brokers: []string{broker}}, kafka.Deps{Logger: discard()})
	if err != nil {
		p.t.Fatal(err)
	}
	defer a.Close()
	p.await("some invoices are out", func() bool {
		ends, err := a.EndOffsets(p.t.Context(), "invoices")
		if err != nil {
			p.t.Fatal(err)
		}
		n := int64(0)
		for _, end := range ends["invoices"] {
			n += end
		}
		return n > 5000
	})
}

// check compares the invoices with what was sent: none lost, none made up, each
// customer's in order, and returns those that came more than once.
func (f flood) check(t *testing.T, invoices []*handlers.Record) (repeated []order) {
	t.Helper()
	seen := map[string]bool{}
	last := map[string]int{}
	for _, r := range invoices {
		var o order
		decode(t, r.Value, &o)
		if !f.expected[o.OrderID] {
			t.Fatalf("an invoice that was not ordered: %s", r.Value)
		}
		if seen[o.OrderID] {
			repeated = append(repeated, o)
			continue
		}
		seen[o.OrderID] = true
		if o.Seq < last[string(r.Key)] {
			t.Errorf("customer %s: order %d came after %d", r.Key, o.Seq, last[string(r.Key)])
		}
		last[string(r.Key)] = o.Seq
	}
	if lost := len(f.expected) - len(seen); lost != 0 {
		t.Errorf("%d of %d orders have no invoice", lost, len(f.expected))
	}
	return repeated
}

func TestFlood(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", floodFile)
	p := start(t, dir, "run")
	broker := p.status().Broker
	began := time.Now()
	f := sendFlood(t, broker)
	ended(t, p, broker)
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
	if repeated := f.check(t, readAll(t, broker, "invoices")); len(repeated) > 0 {
		t.Errorf("%d invoices repeated, the first %+v", len(repeated), repeated[0])
	}
}

// SIGTERM in the middle: nothing lost, nothing twice.
func TestFloodDrained(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", floodFile)
	p := start(t, dir, "run")
	f := sendFlood(t, p.status().Broker)
	for range 2 {
		halfway(p, p.status().Broker)
		if code := p.stop(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		p = start(t, dir, "run")
	}
	broker := p.status().Broker
	ended(t, p, broker)
	if repeated := f.check(t, readAll(t, broker, "invoices")); len(repeated) > 0 {
		t.Errorf("%d invoices repeated after a drain, the first %+v", len(repeated), repeated[0])
	}
}

// kill -9 in the middle: nothing lost, and each repeat is of a record that was
// read and not committed when the process died.
func TestFloodKilled(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", floodFile)
	p := start(t, dir, "run")
	f := sendFlood(t, p.status().Broker)
	halfway(p, p.status().Broker)
	p.kill()

	between := start(t, dir, "broker", "--listen", "127.0.0.1:0")
	broker := between.status().Broker
	a, err := kafka.NewAdmin(kafka.Settings{Brokers: []string{broker}}, kafka.Deps{Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	committed, err := a.Committed(t.Context(), "invoices")
	a.Close()
	if err != nil {
		t.Fatal(err)
	}
	p = start(t, dir, "run")
	ended(t, p, broker)
	repeated := f.check(t, readAll(t, broker, "invoices"))
	at := map[int]*handlers.Record{}
	for _, r := range f.records {
		var o order
		decode(t, r.Value, &o)
		if at[o.Seq] == nil || r.Offset > at[o.Seq].Offset {
			at[o.Seq] = r // of its repeats the last: all share a partition
		}
	}
	// In flight at most one batch a lane: 6 partitions, 8 lanes, 1,024 records.
	if bound := 6 * 8 * 1024; len(repeated) > bound {
		t.Errorf("%d repeats, more than the %d claims that could be in flight", len(repeated), bound)
	}
	for _, o := range repeated {
		r := at[o.Seq]
		if r.Offset < committed["orders"][r.Partition] {
			t.Errorf("order %s (partition %d, offset %d) was repeated though committed up to %d", o.OrderID, r.Partition, r.Offset, committed["orders"][r.Partition])
		}
	}
	t.Logf("%d repeats, each explained", len(repeated))
}
