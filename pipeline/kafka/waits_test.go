package kafka

import (
	"fmt"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A record that waits for long keeps up what is in its order, and nothing else of
// its lane.
func TestLaneGoesOnBesideWhatWaits(t *testing.T) {
	for name, c := range map[string]struct {
		order Order
		free  int // records that go on beside the one that waits
	}{
		"key":       {OrderKey, 60},
		"none":      {OrderNone, 90},
		"partition": {OrderPartition, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.topic("orders", 1)
			source := b.source("orders")
			source.Order, source.Lanes = c.order, 1
			var mu sync.Mutex
			seen := map[string][]int64{}
			count := func() (n int) {
				mu.Lock()
				defer mu.Unlock()
				for _, offsets := range seen {
					n += len(offsets)
				}
				return n
			}
			release := make(chan struct{})
			s := b.subscriber(source)
			b.read(s, func(m *message.Message, batch *Batch) {
				defer m.Ack()
				for i, r := range batch.Records {
					if r.Offset == 0 {
						batch.Waits()
						<-release
					}
					mu.Lock()
					seen[string(r.Key)] = append(seen[string(r.Key)], r.Offset)
					mu.Unlock()
					batch.Done(i)
				}
			})
			b.write(&kgo.Record{Topic: "orders", Key: []byte("k0"), Value: []byte("waits")})
			b.eventually("the first waits", func() bool { st := s.Status(); return len(st) == 1 && st[0].Pending == 1 })
			var records []*kgo.Record
			for i := range 90 {
				records = append(records, &kgo.Record{Topic: "orders", Key: fmt.Appendf(nil, "k%d", i%3), Value: []byte("x")})
			}
			for _, r := range records {
				b.write(r)
			}
			b.eventually("the free ones", func() bool { return count() == c.free })
			close(release)
			b.eventually("all", func() bool { return count() == 91 })
			for key, offsets := range seen {
				for i := 1; i < len(offsets); i++ {
					if c.order != OrderNone && offsets[i] < offsets[i-1] {
						t.Fatalf("key %s came in the order %v", key, offsets)
					}
				}
			}
			b.eventually("the commit", func() bool { return b.committed("g-orders", "orders", 0) == 91 })
		})
	}
}
