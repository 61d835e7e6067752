package kafka

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What stands in line at a place and is handed back keeps nothing up but what goes
// there, comes again however many wait, and in the order of the line.
func TestWhatIsSetAsideComesAgain(t *testing.T) {
	for _, order := range []Order{OrderKey, OrderPartition, OrderNone} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			b := newBed(t)
			b.topic("orders", 1)
			source := b.source("orders")
			source.Order, source.Lanes, source.MaxBatch = order, 1, 4
			var mu sync.Mutex
			var free, waited []int64
			open := false
			s := b.subscriber(source)
			b.read(s, func(m *message.Message, batch *Batch) {
				defer m.Ack()
				mu.Lock()
				defer mu.Unlock()
				for i, r := range batch.Records {
					switch {
					case r.Value[0] == 'f':
						free = append(free, r.Offset)
						batch.Done(i)
					case !open || batch.Ahead(i, "there"):
						batch.Stand(i, "there")
						batch.Aside(i)
					default:
						waited = append(waited, r.Offset)
						batch.Leave(i, "there")
						batch.Done(i)
					}
				}
			})
			const n = 200
			for i := range n {
				value := "free"
				if i%2 == 0 {
					value = "waits"
				}
				b.write(&kgo.Record{Topic: "orders", Key: []byte("k"), Value: []byte(value)})
			}
			b.eventually("what goes elsewhere", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(free) == n/2
			})
			time.Sleep(3 * asideEvery)
			if got := b.committed("g-orders", "orders", 0); got > 0 {
				t.Errorf("committed %d past what waits", got)
			}
			mu.Lock()
			open = true
			mu.Unlock()
			b.eventually("the commit", func() bool { return b.committed("g-orders", "orders", 0) == n })
			mu.Lock()
			defer mu.Unlock()
			if len(waited) != n/2 || !slices.IsSorted(waited) || order != OrderNone && !slices.IsSorted(free) {
				t.Errorf("%d waited, in the order %v", len(waited), waited)
			}
		})
	}
}
