package cmd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// The flood: orders with repeats through filter, idempotency key and kafka sink.
const (
	floodRepeats = 30 // percent
	floodKeys    = 5_000
)

// floodFile is the flood's configuration; more is added to the pipeline.
func floodFile(b bed, more ...string) string {
	return fmt.Sprintf(`version: 1
%[1]stopics:
  %[2]s: {partitions: 6}
  %[3]s: {partitions: 6}
pipelines:
  %[3]s:
    source: {topic: %[2]s}
    filter: payload.status == "purchased"
    idempotency: {key: "order:${payload.order_id}"}
    sinks:
      - kafka: {topic: %[3]s}
    dead_letter: off
`, b.blocks("lease: 10s"), b.name("orders"), b.name("invoices")) + strings.Join(more, "")
}

// order is one record of the flood, and of what came of it.
type order struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
	Seq     int    `json:"seq"` // counts all records
}

// flood is what was sent: which orders are to be invoiced, and where each record
// lies.
type flood struct {
	bed      bed
	expected map[string]bool
	records  []*handlers.Record
}

// makeFlood makes that many records: every tenth order is cancelled, and of all
// records 30 % repeat an earlier one, byte for byte.
func makeFlood(b bed, n int) flood {
	random := rand.New(rand.NewPCG(1, 2))
	f := flood{bed: b, expected: map[string]bool{}}
	for seq := range n {
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
			Topic: b.name("orders"), Partition: -1, Offset: -1, Key: fmt.Append(nil, "customer-", random.IntN(floodKeys)),
			Value: fmt.Appendf(nil, `{"order_id": %q, "status": %q, "seq": %d, "padding": "%0200d"}`, o.OrderID, o.Status, o.Seq, seq),
		})
	}
	return f
}

// send publishes records, in order.
func (b bed) send(t *testing.T, broker string, records []*handlers.Record) {
	t.Helper()
	if err := b.produce(t.Context(), broker, records); err != nil {
		t.Fatal(err)
	}
}

func (b bed) produce(ctx context.Context, broker string, records []*handlers.Record) error {
	brokers := b.brokers
	if len(brokers) == 0 {
		brokers = []string{broker}
	}
	publisher, err := kafka.NewPublisher(kafka.Settings{Brokers: brokers}, kafka.Deps{Logger: discard()})
	if err != nil {
		return err
	}
	for i := 0; i < len(records) && err == nil; i += 2000 {
		err = publisher.Produce(ctx, records[i:min(i+2000, len(records))])
	}
	return errors.Join(err, publisher.Close())
}

// ended waits until the pipeline's group has committed the ends of its source.
func (b bed) ended(t *testing.T, p *process) {
	t.Helper()
	a := b.admin(t, p.broker())
	p.await("the group has committed the ends", func() bool {
		left, err := b.lag(t.Context(), a)
		if err != nil {
			t.Log(err) // a broker may be away in this test
			return false
		}
		return left == 0
	})
}

func (b bed) lag(ctx context.Context, a *kafka.Admin) (int64, error) {
	orders := b.name("orders")
	ends, err := a.EndOffsets(ctx, orders)
	if err != nil {
		return 0, err
	}
	committed, err := a.Committed(ctx, b.name("invoices"))
	if err != nil {
		return 0, err
	}
	left := int64(0)
	for partition, end := range ends[orders] {
		left += end - committed[orders][partition]
	}
	return left, nil
}

// invoiced waits until that many invoices are out.
func (b bed) invoiced(p *process, want int64) {
	p.t.Helper()
	a := b.admin(p.t, p.broker())
	p.await(fmt.Sprintf("%d invoices are out", want), func() bool {
		ends, err := a.EndOffsets(p.t.Context(), b.name("invoices"))
		if err != nil {
			p.t.Fatal(err)
		}
		n := int64(0)
		for _, end := range ends[b.name("invoices")] {
			n += end
		}
		return n > want
	})
}

// check compares the invoices with what was sent: none lost, none made up, the
// first of each order in its customer's order. It returns those that came more
// than once.
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

// committed is how far the flood's group is now.
func (b bed) committed(t *testing.T, broker string) map[int32]int64 {
	t.Helper()
	committed, err := b.admin(t, broker).Committed(t.Context(), b.name("invoices"))
	if err != nil {
		t.Fatal(err)
	}
	return committed[b.name("orders")]
}

// explain fails for every repeat whose last record lay before what was committed
// when the process died: it was done, and known to be.
func (f flood) explain(t *testing.T, repeated []order, committed map[int32]int64) {
	t.Helper()
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
		if r.Offset < committed[r.Partition] {
			t.Errorf("order %s (partition %d, offset %d) was repeated though committed up to %d", o.OrderID, r.Partition, r.Offset, committed[r.Partition])
		}
	}
	t.Logf("%d repeats, each explained", len(repeated))
}
