package handlers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// system keeps what is written to it, a list for each write.
type system struct {
	mu     sync.Mutex
	writes [][]string
	gate   chan struct{} // a write waits for it where it is not nil
	fails  func(c *Call) *Failure
}

func (s *system) write(ctx context.Context, batch []Call) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, nil)
	last := &s.writes[len(s.writes)-1]
	return Each(func(_ context.Context, c *Call) error {
		if s.fails != nil {
			if f := s.fails(c); f != nil {
				return f
			}
		}
		*last = append(*last, c.ID)
		c.Answer = "took " + c.ID
		return nil
	})(ctx, batch)
}

func (s *system) sizes() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []int
	for _, w := range s.writes {
		all = append(all, len(w))
	}
	return all
}

// numbered are n calls of one Order, with IDs that begin with a name.
func numbered(name string, n int) []Call {
	calls := make([]Call, n)
	for i := range calls {
		calls[i] = Call{ID: fmt.Sprint(name, i), Order: []byte("k")}
	}
	return calls
}

func classOf(f *Failure) string {
	switch {
	case f == nil:
		return ""
	case f.NotSent:
		return "not sent"
	default:
		return f.Class.String()
	}
}

// What lanes write while a write runs goes together in the next, and none is
// acknowledged before.
func TestLanesShareAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &system{gate: make(chan struct{})}
		c := Coalesce(s.write, Batch{Count: 1000})
		var lanes sync.WaitGroup
		acked := 0
		for lane := range 32 {
			lanes.Go(func() {
				calls := numbered(fmt.Sprint("l", lane, "-"), 10)
				if err := c.Write(t.Context(), calls); err != nil {
					t.Error(err)
				}
				for i := range calls {
					if calls[i].Answer != "took "+calls[i].ID {
						t.Errorf("the answer to %s is %q", calls[i].ID, calls[i].Answer)
					}
				}
				s.mu.Lock()
				acked++
				s.mu.Unlock()
			})
			synctest.Wait()
		}
		if acked != 0 {
			t.Errorf("%d lanes were acknowledged before the system answered", acked)
		}
		close(s.gate)
		lanes.Wait()
		if diff := cmp.Diff([]int{10, 310}, s.sizes()); diff != "" {
			t.Errorf("calls by write: %s", diff)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatEndsTheWait(t *testing.T) {
	size := func(c *Call) int { return len(c.ID) }
	for name, c := range map[string]struct {
		batch Batch
		close time.Duration
		want  time.Duration
		sizes []int
	}{
		"time":             {Batch{Wait: time.Minute}, 0, time.Minute, []int{4}},
		"count":            {Batch{Wait: time.Minute, Count: 4}, 0, 3 * time.Second, []int{4}},
		"bytes":            {Batch{Wait: time.Minute, Bytes: 8, Size: size}, 0, 3 * time.Second, []int{4}},
		"a large one":      {Batch{Wait: time.Minute, Bytes: 1, Size: size}, 0, 3 * time.Second, []int{1, 1, 1, 1}},
		"closing":          {Batch{Wait: time.Minute}, 10 * time.Second, 10 * time.Second, []int{4}},
		"nothing to wait":  {Batch{}, 0, 3 * time.Second, []int{1, 1, 1, 1}},
		"less than a full": {Batch{Wait: time.Minute, Count: 3}, 0, time.Minute + 3*time.Second, []int{3, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &system{}
				co := Coalesce(s.write, c.batch)
				began := time.Now()
				var lanes sync.WaitGroup
				for lane := range 4 {
					lanes.Go(func() {
						time.Sleep(time.Duration(lane) * time.Second)
						if err := co.Write(t.Context(), numbered(fmt.Sprint(lane), 1)); err != nil {
							t.Error(err)
						}
					})
				}
				if c.close > 0 {
					time.Sleep(c.close)
					if err := co.Close(t.Context()); err != nil {
						t.Error(err)
					}
				}
				lanes.Wait()
				if took := time.Since(began); took != c.want {
					t.Errorf("took %s, want %s", took, c.want)
				}
				if diff := cmp.Diff(c.sizes, s.sizes()); diff != "" {
					t.Errorf("calls by write: %s", diff)
				}
			})
		})
	}
}

// A context that ends gives its own calls up, and nobody else's.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &system{gate: make(chan struct{})}
		c := Coalesce(s.write, Batch{Count: 3})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		shorter, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		got := map[string][]string{}
		var mu sync.Mutex
		var lanes sync.WaitGroup
		write := func(ctx context.Context, name string, n int) {
			lanes.Go(func() {
				calls := numbered(name, n)
				err := c.Write(ctx, calls)
				mu.Lock()
				defer mu.Unlock()
				for i := range calls {
					got[name] = append(got[name], classOf(FailureOf(err, i)))
				}
			})
			synctest.Wait()
		}
		write(short, "a", 4)       // three are being written, one waits
		write(shorter, "b", 1)     // waits
		write(t.Context(), "c", 2) // goes on
		time.Sleep(2 * time.Second)
		synctest.Wait()
		close(s.gate)
		lanes.Wait()
		want := map[string][]string{"a": {"unknown", "unknown", "unknown", "not sent"}, "b": {"not sent"}, "c": {"", ""}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int{2}, s.sizes()); diff != "" {
			t.Errorf("the write that nobody waited for went on: %s", diff)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Write(ended, numbered("d", 1)); classOf(FailureOf(err, 0)) != "not sent" {
			t.Errorf("after its context ended: %v", err)
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		hung := func(context.Context, []Call) error { <-gate; return nil }
		c := Coalesce(hung, Batch{})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Write(short, numbered("a", 1)); err == nil {
			t.Error("written to a system that hangs")
		}
		if err := c.Close(short); err == nil {
			t.Error("closed while a write runs")
		}
		close(gate)
		for range 2 {
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPanicIsAnError(t *testing.T) {
	c := Coalesce(func(context.Context, []Call) error { panic("boom") }, Batch{})
	err := c.Write(t.Context(), numbered("a", 2))
	for i := range 2 {
		if f := FailureOf(err, i); classOf(f) != "unknown" || !strings.Contains(f.Error(), "boom") {
			t.Errorf("call %d: %v", i, f)
		}
	}
}

// Whatever is put together, each Write learns what became of its own calls, and within
// it none takes effect behind an earlier one of its Order that failed.
func TestCoalescedWritesKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batch := Batch{
			Count: rapid.IntRange(0, 5).Draw(rt, "count"), Bytes: rapid.Int64Range(0, 9).Draw(rt, "bytes"),
			Wait:   time.Duration(rapid.IntRange(0, 2).Draw(rt, "wait")) * time.Second,
			Writes: rapid.IntRange(0, 3).Draw(rt, "writes"), Size: func(c *Call) int { return len(c.ID) % 4 },
		}
		type lane struct {
			calls []Call
			wait  time.Duration
		}
		bad := map[string]bool{}
		var lanes []lane
		for n := range rapid.IntRange(1, 6).Draw(rt, "lanes") {
			var l lane
			l.wait = time.Duration(rapid.IntRange(0, 3).Draw(rt, "begins")) * time.Second
			for i := range rapid.IntRange(0, 8).Draw(rt, "calls") {
				order := rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "order")
				id := fmt.Sprintf("%d-%d", n, i)
				bad[id] = rapid.IntRange(0, 4).Draw(rt, "is refused") == 0
				l.calls = append(l.calls, Call{ID: id, Order: []byte(order)})
			}
			lanes = append(lanes, l)
		}
		var failures []string // told outside of the bubble
		fail := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
		synctest.Test(t, func(t *testing.T) {
			s := &system{fails: func(c *Call) *Failure {
				if bad[c.ID] {
					return Permanent(errors.New("refused"))
				}
				return nil
			}}
			slow := func(ctx context.Context, calls []Call) error {
				time.Sleep(1500 * time.Millisecond)
				return s.write(ctx, calls)
			}
			c := Coalesce(slow, batch)
			errs := make([]error, len(lanes))
			var wg sync.WaitGroup
			for n, l := range lanes {
				wg.Go(func() {
					time.Sleep(l.wait)
					errs[n] = c.Write(t.Context(), l.calls)
				})
			}
			wg.Wait()
			if err := c.Close(t.Context()); err != nil {
				fail("close: %v", err)
			}
			place, written := map[string]int{}, 0
			for _, w := range s.writes {
				if batch.Count > 0 && len(w) > batch.Count {
					fail("%d calls in one write", len(w))
				}
				for _, id := range w {
					written++
					place[id] = written
				}
			}
			if written != len(place) {
				fail("written twice: %v", s.writes)
			}
			for n, l := range lanes {
				broken, last := map[string]bool{}, map[string]int{}
				for i, call := range l.calls {
					order := string(call.Order)
					want := ""
					switch {
					case broken[order]:
						want = "not_attempted"
					case bad[call.ID]:
						want, broken[order] = "not_applied", true
					}
					if got := classOf(FailureOf(errs[n], i)); got != want || (place[call.ID] > 0) != (want == "") {
						fail("%s: %q, want %q; written %v", call.ID, got, want, s.writes)
					}
					if want == "" && place[call.ID] < last[order] {
						fail("%s was written before an earlier one of its order: %v", call.ID, s.writes)
					}
					last[order] = max(last[order], place[call.ID])
				}
			}
		})
		if len(failures) > 0 {
			rt.Fatal(strings.Join(failures, "\n"))
		}
	})
}
