package kafka

import (
	"strconv"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/handlers"
)

func value(r *handlers.Record) int {
	n, err := strconv.Atoi(string(r.Value))
	if err != nil {
		return -1
	}
	return n
}

// checkKeyOrder fails where the records of a key are out of order or repeat.
func checkKeyOrder(t *testing.T, records []*handlers.Record) {
	t.Helper()
	last := map[string]int{}
	for _, r := range records {
		key := strconv.Itoa(int(r.Partition)) + string(r.Key)
		if before, ok := last[key]; ok && value(r) <= before {
			t.Fatalf("key %s: %d came after %d", key, value(r), before)
		}
		last[key] = value(r)
	}
}

func TestReadsEveryRecordOnceInKeyOrder(t *testing.T) { testReadsEveryRecordOnceInKeyOrder(t, fakeBed) }

func testReadsEveryRecordOnceInKeyOrder(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 3)
	for p := range int32(3) {
		b.write(numbered("orders", p, 0, 2000)...)
	}
	r := b.read(b.subscriber(b.source("orders")), nil)
	b.eventually("6000 records", func() bool { return r.count() >= 6000 })
	r.close(t)
	if r.count() != 6000 {
		t.Fatalf("%d records, want 6000", r.count())
	}
	checkKeyOrder(t, r.records())
	for p := range int32(3) {
		if got := b.committed("g-orders", "orders", p); got != 2000 {
			t.Errorf("partition %d: committed %d, want 2000", p, got)
		}
	}
}

func TestCommitsTheFinishedPrefixOnly(t *testing.T) { testCommitsTheFinishedPrefixOnly(t, fakeBed) }

func testCommitsTheFinishedPrefixOnly(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 100)...)
	release := make(chan struct{})
	s := b.subscriber(b.source("orders"))
	r := b.read(s, nil)
	b.eventually("commit of 100", func() bool { return b.committed("g-orders", "orders", 0) == 100 })
	r.close(t)

	// Record 130 is held back: nothing from it on may be committed.
	b.write(numbered("orders", 0, 100, 100)...)
	held := b.read(b.subscriber(b.source("orders")), func(m *message.Message, batch *Batch) {
		for i, rec := range batch.Records {
			if value(rec) == 130 {
				<-release
			}
			batch.Done(i)
		}
		m.Ack()
	})
	b.eventually("commit of 130", func() bool { return b.committed("g-orders", "orders", 0) == 130 })
	close(release)
	b.eventually("commit of 200", func() bool { return b.committed("g-orders", "orders", 0) == 200 })
	held.close(t)
}

func TestCleanCloseAndRejoinLosesAndRepeatsNothing(t *testing.T) {
	testCleanCloseAndRejoinLosesAndRepeatsNothing(t, fakeBed)
}

func testCleanCloseAndRejoinLosesAndRepeatsNothing(t *testing.T, newBed func(*testing.T) *bed) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("run", func(t *testing.T) {
		b := newBed(t)
		b.topic("orders", 2)
		var all []*handlers.Record
		for round := range 3 {
			for p := range int32(2) {
				b.write(numbered("orders", p, round*500, 500)...)
			}
			r := b.read(b.subscriber(b.source("orders")), nil)
			b.eventually("some records", func() bool { return r.count() > 100 })
			r.close(t)
			all = append(all, r.records()...)
		}
		r := b.read(b.subscriber(b.source("orders")), nil)
		b.eventually("all records", func() bool { return len(all)+r.count() >= 3000 })
		r.close(t)
		all = append(all, r.records()...)
		if len(all) != 3000 {
			t.Fatalf("%d records, want 3000", len(all))
		}
		checkKeyOrder(t, all)
	})
}
