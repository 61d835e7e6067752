//go:build real

package kafka

import (
	"testing"
	"time"
)

// TestRealDecompressionBomb reads past a batch of 1 GB that is small on the
// wire, in a process whose memory is measured.
func TestRealDecompressionBomb(t *testing.T) {
	b := realBed(t)
	b.topic("orders", 2)
	b.write(numbered("orders", 0, 0, 100)...)
	const records = 1024
	batch := bomb(t, records, 1<<20)
	if len(batch) > 1<<20 {
		t.Fatalf("the batch has %d bytes", len(batch))
	}
	b.produceRaw("orders", 0, batch)
	b.write(numbered("orders", 0, 100, 100)...)
	b.write(numbered("orders", 1, 0, 100)...)
	begun := time.Now()
	c := startReader(t, readerOrder{Brokers: b.settings.Brokers, Topic: b.name("orders"), Group: b.name("g-orders"), CommitInterval: 100 * time.Millisecond})
	b.eventually("the innocent records", func() bool { return c.count("read") == 300 })
	b.eventually("a commit at the end", func() bool { return b.committed("g-orders", "orders", 0) == 200+records })
	took := time.Since(begun)
	c.end(t)
	if got := c.numbers("unreadable", 0); len(got) != 1 || got[0] != 100 {
		t.Errorf("unreadable: %v", got)
	}
	peak := c.numbers("peak", 0)
	if len(peak) != 1 || peak[0] > 512<<10 {
		t.Errorf("a peak of %v kB, want less than 512 MiB", peak)
	}
	t.Logf("%d bytes on the wire were passed over in %v with a peak of %v kB", len(batch), took, peak)
}
