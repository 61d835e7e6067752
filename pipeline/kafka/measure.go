package kafka

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// measureInterval is how often the broker is asked how far its logs reach.
const measureInterval = 3 * time.Second

// measureLoop keeps the partitions' ends fresh, whether records come or not.
func (c *consumer) measureLoop(ctx context.Context) {
	for rest(ctx, measureInterval) == nil {
		c.measure(ctx)
	}
}

// measure asks the broker once how far the logs of the assigned partitions
// reach. What does not answer stays as it was.
func (c *consumer) measure(ctx context.Context) {
	seen := map[string]bool{}
	var topics []string
	parts := c.assigned()
	for _, p := range parts {
		if !seen[p.topic] {
			seen[p.topic] = true
			topics = append(topics, p.topic)
		}
	}
	if len(topics) == 0 {
		return
	}
	ends, err := kadm.NewClient(c.client).ListCommittedOffsets(ctx, topics...)
	if err != nil && len(ends) == 0 {
		return
	}
	for _, p := range parts {
		if end, ok := ends.Lookup(p.topic, p.number); ok && end.Err == nil {
			p.mu.Lock()
			p.end = end.Offset
			p.mu.Unlock()
		}
	}
}

// Measure asks the broker how far the logs reach, so that Status, which is
// otherwise up to a few seconds old, tells the lag of this moment. It returns
// when ctx ends at the latest; what has not answered then stays as it was.
func (s *Subscriber) Measure(ctx context.Context) {
	s.mu.Lock()
	consumers := slices.Clone(s.consumers)
	s.mu.Unlock()
	var asked sync.WaitGroup
	for _, c := range consumers {
		asked.Go(func() { c.measure(ctx) })
	}
	asked.Wait()
}
