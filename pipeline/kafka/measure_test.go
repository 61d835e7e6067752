package kafka

import (
	"encoding/json"
	"testing"
	"time"
)

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
		if got := s.Status(); len(got) != 1 || got[0].End != 10+7*round || int64(got[0].Lag) != 7+7*round {
			t.Errorf("got %+v, want a lag of %d", got, 7+7*round)
		}
	}
}

// TestLagThatNobodyTellsIsUnknown is one of a log whose end the broker has not told,
// or not for some time: it is not 0.
func TestLagThatNobodyTellsIsUnknown(t *testing.T) {
	p := newPartition(t.Context(), "t", 0, Source{}.withDefaults())
	for _, c := range []struct {
		told time.Time
		want string
	}{
		{time.Time{}, `null`}, {time.Now(), `7`}, {time.Now().Add(-staleAfter), `null`},
	} {
		p.committed, p.end, p.told = 3, 10, c.told
		s := p.status()
		text, err := json.Marshal(s.Lag)
		if err != nil || string(text) != c.want {
			t.Errorf("told at %v: %s, want %s (%v)", c.told, text, c.want, err)
		}
		var back Lag
		if err := json.Unmarshal(text, &back); err != nil || back != s.Lag {
			t.Errorf("%s is read as %s (%v)", text, back, err)
		}
		if sum := SumLag([]PartitionStatus{{Lag: 2}, s}); (sum == LagUnknown) != (s.Lag == LagUnknown) {
			t.Errorf("with another partition %s", sum)
		}
	}
}
