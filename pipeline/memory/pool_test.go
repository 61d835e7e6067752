package memory

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const mib = 1 << 20

func TestReserveIsThereWhateverOthersHold(t *testing.T) {
	p := NewPool(100*mib, 2) // 25 MiB each, and 50 MiB for both
	greedy, modest := p.Share(), p.Share()
	if !greedy.Take(25*mib) || !greedy.Take(50*mib) || greedy.Take(1) {
		t.Error("a holder gets its reserve and what is common, and no more")
	}
	if !modest.Take(25*mib) || modest.Take(1) {
		t.Error("the other one has its reserve, and no more")
	}
	greedy.Give(75 * mib)
	if !modest.Take(50*mib) || p.Used() != 75*mib {
		t.Errorf("used %d after what is common was given back", p.Used())
	}
	modest.Give(75 * mib)
	if p.Used() != 0 {
		t.Errorf("used %d after all was given back", p.Used())
	}
}

func TestWhatIsThereAlreadyIsCounted(t *testing.T) {
	p := NewPool(10*mib, 1)
	s := p.Share()
	s.Note(20 * mib)
	if s.Take(1) || p.Used() != 20*mib {
		t.Errorf("used %d", p.Used())
	}
	s.Give(20 * mib)
	if !s.Take(10 * mib) {
		t.Error("nothing is free after all was given back")
	}
}

func TestOneBatchAlwaysGetsIn(t *testing.T) {
	p := NewPool(10*mib, 4)
	s, other := p.Share(), p.Share()
	if !other.Take(mib) {
		t.Fatal("the reserve is not there")
	}
	if !s.Take(64*mib) || s.Take(1) {
		t.Error("what is larger than all gets in where nothing common is held, and alone")
	}
	if other.Take(mib) {
		t.Error("another one got in beside it")
	}
}

// One who takes small amounts again and again would keep the one out who waits for
// much; and one who waits for what a third holds for ever must not keep others out.
func TestWaitersGetATurnAndLetOthersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(100*mib, 2)
		large, small := p.Share(), p.Share()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		// Two small ones after each other always hold 10 MiB of what is common.
		stop := make(chan struct{})
		var taken atomic.Int32
		small.Take(25 * mib)
		small.Take(10 * mib)
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
				if small.Take(10 * mib) {
					taken.Add(1)
					time.Sleep(50 * time.Millisecond)
					small.Give(10 * mib)
				}
			}
		}()
		time.AfterFunc(3*time.Second, func() { small.Give(10 * mib) })
		began := time.Now()
		if err := large.Wait(ctx, 75*mib); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < 3*time.Second || waited > 4*time.Second {
			t.Errorf("waited %s for what became free after 3 s", waited)
		}
		close(stop)
		if taken.Load() == 0 {
			t.Error("the small ones were kept out all the time")
		}
		// It holds all that is common for ever: the reserve is still there.
		small.Give(25 * mib)
		if !small.Take(25 * mib) {
			t.Error("the reserve is not there")
		}
		short, end := context.WithTimeout(ctx, 10*time.Second)
		defer end()
		if err := small.Wait(short, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err %v", err)
		}
		if !small.Take(-1) || len(p.waiting) != 0 {
			t.Errorf("%d still wait", len(p.waiting))
		}
	})
}

func TestWithoutAPoolNothingWaits(t *testing.T) {
	var p *Pool
	s := p.Share()
	s.Note(1 << 60)
	if !s.Take(1<<60) || s.Wait(t.Context(), 1<<60) != nil || p.Size() != 0 || p.Used() != 0 {
		t.Error("a nil pool has a limit")
	}
	s.Give(1)
	if s.Fair(3) < 1<<60 {
		t.Error("a nil pool has a share")
	}
}

func TestBudgetIsPartsOfTheLimit(t *testing.T) {
	b := NewBudget(1000*mib, 3)
	if b.Held.Size() != 400*mib || b.Work.Size() != 200*mib || b.Ingest != 80*mib {
		t.Errorf("held %d, work %d, ingest %d", b.Held.Size(), b.Work.Size(), b.Ingest)
	}
	if none := NewBudget(0, 3); none.Held.Size() != 0 || none.Work.Size() != 0 {
		t.Error("no limit is a limit")
	}
}

// Small amounts flow within a holder's reserve while large ones wait, its own and those
// of others; and the large one gets in though they never end.
func TestSmallFlowsWhileLargeWaits(t *testing.T) {
	for name, c := range map[string]struct {
		large int64
		own   bool
	}{"of another": {70 * mib, false}, "its own": {12 * mib, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewPool(100*mib, 2) // 25 MiB each, and 50 MiB for both
				s, other := p.Share(), p.Share()
				other.Note(75 * mib) // a sink is down
				waits := other
				if c.own {
					waits = s
				}
				s.Note(14 * mib)
				time.AfterFunc(10*time.Second, func() { s.Give(14 * mib) })
				s.Note(4 * mib)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- waits.Wait(ctx, c.large) }()
				// Two at a time, of which one ends as another begins.
				under, inARow, most := 2, 0, 0
				for range 150 {
					time.Sleep(100 * time.Millisecond)
					if s.Take(2 * mib) {
						under++
						inARow = 0
					} else {
						inARow++
						most = max(most, inARow)
					}
					if under > 0 {
						under--
						s.Give(2 * mib)
					}
				}
				select {
				case err := <-ended:
					if err != nil || !c.own {
						t.Errorf("the large one: %v", err)
					}
				default:
					if c.own {
						t.Error("the large one still waits")
					}
					cancel()
					<-ended
				}
				if most > 3 {
					t.Errorf("%d small ones were refused one after the other", most)
				}
			})
		})
	}
}
