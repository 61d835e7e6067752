package kafka

import "testing"

// Measure tells the lag of this moment, also of a partition that is not fetched.
func TestMeasure(t *testing.T) {
	b := fakeBed(t)
	b.topic("orders", 1)
	s := b.subscriber(b.source("orders"))
	r := b.read(s, nil)
	defer r.close(t)
	b.write(numbered("orders", 0, 0, 3)...)
	b.eventually("3 records are committed", func() bool { return b.committed("g-orders", "orders", 0) == 3 })
	s.Pause()
	for round := range int64(3) {
		b.write(numbered("orders", 0, int(3+7*round), 7)...)
		s.Measure(within(t, patience))
		if got := s.Status(); len(got) != 1 || got[0].End != 10+7*round || got[0].Lag != 7+7*round {
			t.Errorf("got %+v, want a lag of %d", got, 7+7*round)
		}
	}
}
