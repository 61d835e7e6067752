//go:build real

package kafka

import (
	"syscall"
	"testing"
	"time"
)

// TestRealStoppedMemberMovesNothing stops a member for three session timeouts
// in the middle of its work and continues it: what it commits late must not
// move what its successor has committed.
func TestRealStoppedMemberMovesNothing(t *testing.T) {
	t.Parallel()
	b := realBed(t)
	b.topic("orders", 4)
	const session = 2 * time.Second
	order := readerOrder{Brokers: b.settings.Brokers, Topic: b.name("orders"), Group: b.name("g-orders"),
		SessionTimeout: session, CommitInterval: 300 * time.Millisecond}
	written := map[int32]int{}
	write := func(n int) {
		for p := range int32(4) {
			b.write(numbered("orders", p, written[p], n)...)
			written[p] += n
		}
	}
	first := startReader(t, order)
	b.eventually("the first reads", func() bool { write(5); return first.count("read") > 0 })
	highest := map[int32]int64{}
	check := func() {
		for p := range int32(4) {
			at := b.committed("g-orders", "orders", p)
			if at < highest[p] {
				t.Fatalf("the offset of partition %d went from %d back to %d", p, highest[p], at)
			}
			highest[p] = at
		}
	}
	for range 3 {
		// There is always something finished that is not committed yet.
		b.eventually("more records at the first", func() bool { write(5); check(); return first.count("read") > 0 })
		first.signal(t, syscall.SIGSTOP)
		stopped := time.Now()
		source := b.source("orders")
		source.SessionTimeout = session
		second := b.read(b.subscriber(source), nil)
		b.eventually("three session timeouts, and the second reads", func() bool {
			write(5)
			check()
			return time.Since(stopped) > 3*session && second.count() > 100
		})
		first.signal(t, syscall.SIGCONT)
		s := second.Subscriber
		b.eventually("both share again", func() bool { write(5); check(); return len(s.Status()) == 2 })
		second.close(t)
		mine := first.count("read")
		b.eventually("the first reads alone again", func() bool { write(5); check(); return first.count("read") > mine+40 })
	}
	total := int64(0)
	b.eventually("every offset committed", func() bool {
		check()
		total = 0
		for p, n := range written {
			total += int64(n) - highest[p]
		}
		return total == 0
	})
	first.end(t)
	check()
}
