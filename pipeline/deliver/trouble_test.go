package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// A receiver that takes so many calls a second, and says 429 to the rest, is not
// away: nothing is dead-lettered, and its pace is nearly met.
func TestRateLimitedReceiver(t *testing.T) {
	for _, asked := range []time.Duration{0, time.Second} {
		for _, width := range []int{8, 48} {
			t.Run(fmt.Sprint(asked, " ", width), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sink := &scripted{script: bucket(20, asked)}
					r := newRig(t, storetest.NewModel(time.Now), nil, sink)
					began := time.Now()
					lanes(t, r, 600, width)
					took := time.Since(began)
					t.Logf("%d calls in %s", len(sink.calls), took)
					if len(r.letters.records) > 0 || r.journal.count(outcome.Delivered) != 600 {
						t.Errorf("%d delivered, letters %v", r.journal.count(outcome.Delivered), r.letters.reasons())
					}
					if asked == 0 && took > 40*time.Second {
						t.Errorf("600 records at 20/s took %s", took)
					}
				})
			})
		}
	}
}

// bucket answers 429 to what is more than rate calls a second.
func bucket(rate float64, asked time.Duration) func(*handlers.Call, int) error {
	var mu sync.Mutex
	tokens, last := rate, time.Now()
	return func(*handlers.Call, int) error {
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		tokens, last = min(rate, tokens+rate*now.Sub(last).Seconds()), now
		if tokens < 1 {
			return &handlers.Failure{Class: handlers.Infrastructure, Err: errors.New("429"), RetryAfter: asked}
		}
		tokens--
		return nil
	}
}

// Of two backends one answers 503: calls fail by chance, which no record is to
// refused for.
func TestHalfTheBackendsAreDown(t *testing.T) {
	for _, width := range []int{8, 48} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				coin := rand.New(rand.NewPCG(1, uint64(width)))
				sink := &scripted{script: func(*handlers.Call, int) error {
					time.Sleep(5 * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					if coin.IntN(2) == 0 {
						return nil
					}
					return &handlers.Failure{Class: handlers.Infrastructure, Suspect: true, Err: errors.New("503")}
				}}
				r := newRig(t, storetest.NewModel(time.Now), nil, sink)
				began := time.Now()
				lanes(t, r, 2000, width)
				t.Logf("%d calls in %s", len(sink.calls), time.Since(began))
				if len(r.letters.records) > 0 || r.journal.count(outcome.Delivered) != 2000 {
					t.Errorf("%d delivered, letters %v", r.journal.count(outcome.Delivered), r.letters.reasons())
				}
				if took := time.Since(began); took > 3*time.Minute {
					t.Errorf("2,000 records took %s", took)
				}
			})
		})
	}
}

// A sink whose system is away, and that has no class for it, or panics, costs
// nothing but time, and flows soon after it is back.
func TestPlainErrorsOfASystemThatIsAway(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("dial tcp: the database is away") },
		"panic": func() error { panic("the database is away") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				back := time.Now().Add(10 * time.Minute)
				var first time.Time
				sink := &scripted{script: func(*handlers.Call, int) error {
					if time.Now().Before(back) {
						return fail()
					}
					if first.IsZero() {
						first = time.Now()
					}
					return nil
				}}
				r := newRig(t, storetest.NewModel(time.Now), nil, sink)
				lanes(t, r, 500, 8)
				if len(r.letters.records) > 0 || r.journal.count(outcome.Delivered) != 500 {
					t.Errorf("%d delivered, letters %v", r.journal.count(outcome.Delivered), r.letters.reasons())
				}
				if first.Sub(back) > 6*time.Second || time.Since(back) > 6*time.Second {
					t.Errorf("the first was taken %s after the return, the last %s", first.Sub(back), time.Since(back))
				}
			})
		})
	}
}

// A flap of a second costs no more than two.
func TestFlapIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		back := began.Add(2 * time.Second)
		var first time.Time
		sink := &scripted{script: func(*handlers.Call, int) error {
			time.Sleep(5 * time.Millisecond)
			if now := time.Now(); now.After(began.Add(time.Second)) && now.Before(back) {
				return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Err: errors.New("connection refused")}
			} else if now.After(back) && first.IsZero() {
				first = now
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		lanes(t, r, 12000, 48)
		if pause := first.Sub(began.Add(time.Second)); pause > 2*time.Second {
			t.Errorf("a flap of 1 s paused for %s", pause)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("all took %s", took)
		}
	})
}

// A sink that is back is not run over: first one call goes, then one at a time
// until these are taken, then two.
func TestReopeningIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(10 * time.Second)
		var mu sync.Mutex
		under := 0
		var wide []int // calls under way as each began, since the return
		sink := &scripted{script: func(c *handlers.Call, n int) error {
			if time.Now().Before(back) {
				return refusedConnection(c, n)
			}
			mu.Lock()
			under++
			wide = append(wide, under)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			under--
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		lanes(t, r, 480, 48)
		if diff := cmp.Diff([]int{1, 1, 1, 2}, wide[:4]); diff != "" {
			t.Errorf("calls under way as each began: %s", diff)
		}
		if most := slices.Max(wide); most != 48 {
			t.Errorf("at most %d of 48 lanes called at once", most)
		}
	})
}

// One 503 costs a quiet pipeline a moment.
func TestOneFailureOfAQuietPipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{script: func(_ *handlers.Call, n int) error {
			if n == 1 {
				return &handlers.Failure{Class: handlers.Infrastructure, Suspect: true, Err: errors.New("503")}
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		began := time.Now()
		r.deliver(t.Context(), rec(1, "a", "x"))
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("it was delivered after %s", took)
		}
	})
}

// Sixty records in a row that the receiver never takes, one faulty deploy of a
// producer, hold the good ones behind them for a moment only.
func TestRowOfBadRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{script: func(c *handlers.Call, _ int) error {
			time.Sleep(20 * time.Millisecond)
			if c.Record.Offset < 60 {
				return errors.New("500")
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		good := make(chan time.Duration, 1)
		began := time.Now()
		go func() {
			for r.journal.count(outcome.Delivered) < 1000 {
				time.Sleep(100 * time.Millisecond)
			}
			good <- time.Since(began)
		}()
		lanes(t, r, 20000, 8) // so many that the bad ones are judged
		if took := <-good; took > 20*time.Second {
			t.Errorf("the good ones took %s", took)
		} else {
			t.Logf("the good ones took %s, all %s", took, time.Since(began))
		}
		if n := r.journal.count(outcome.DeadLettered); n != 60 {
			t.Errorf("%d dead-lettered", n)
		}
	})
}

// A share of the records always fails, by an error of their own or by bringing the
// receiver down: they are dead-lettered, all others are not.
func TestShareOfBadRecords(t *testing.T) {
	for name, fail := range map[string]error{
		"500":   errors.New("500"),
		"502":   &handlers.Failure{Class: handlers.Infrastructure, Suspect: true, Err: errors.New("502")},
		"403":   &handlers.Failure{Class: handlers.NotApplied, Suspect: true, Err: errors.New("403")},
		"panic": nil,
	} {
		for _, percent := range []int64{1, 4} {
			t.Run(fmt.Sprint(name, " ", percent), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sink := &scripted{script: func(c *handlers.Call, _ int) error {
						time.Sleep(20 * time.Millisecond)
						// Good ones come at the end, so that the last bad one can be judged.
						if c.Record.Offset%(100/percent) != 0 || c.Record.Offset >= 4000 {
							return nil
						}
						if fail == nil {
							panic("a bad record")
						}
						return fail
					}}
					r := newRig(t, storetest.NewModel(time.Now), nil, sink)
					began := time.Now()
					lanes(t, r, 20000, 8)
					bad := int(4000 * percent / 100)
					t.Logf("%d calls in %s", len(sink.calls), time.Since(began))
					if n := r.journal.count(outcome.DeadLettered); n != bad {
						t.Errorf("%d dead-lettered, %d are bad", n, bad)
					}
					if took := time.Since(began); took > 3*time.Minute {
						t.Errorf("all took %s", took)
					}
				})
			})
		}
	}
}

// A credential that is refused for a while, on a URL with record parts, is
// nobody's fault.
func TestRefusedCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(30 * time.Second)
		sink := &scripted{script: func(*handlers.Call, int) error {
			time.Sleep(5 * time.Millisecond)
			if time.Now().Before(back) {
				return &handlers.Failure{Class: handlers.NotApplied, Suspect: true, Err: errors.New("401")}
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		lanes(t, r, 500, 8)
		if len(r.letters.records) > 0 || r.journal.count(outcome.Delivered) != 500 {
			t.Errorf("%d delivered, letters %v", r.journal.count(outcome.Delivered), r.letters.reasons())
		}
	})
}

// One part of a sink's system is away: what goes there waits, and arrives in order
// and once; all else flows.
func TestOneScopeIsAway(t *testing.T) {
	for _, limit := range []int{1, 100} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				back := time.Now().Add(time.Hour)
				sink := &scripted{limit: limit, scope: func(c string) string { return c[:1] }, script: func(c *handlers.Call, _ int) error {
					if c.Record.Value[0] == 'x' && time.Now().Before(back) {
						return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Scope: "x", Err: errors.New("no such topic x")}
					}
					return nil
				}}
				r := newRig(t, storetest.NewModel(time.Now), nil, sink)
				finished := make(chan struct{})
				go func() {
					defer close(finished)
					r.deliver(t.Context(), rec(0, "a", "y0"), rec(1, "a", "x1"), rec(2, "a", "y2"), rec(3, "b", "x3"), rec(4, "a", "x4"), rec(5, "b", "y5"))
				}()
				time.Sleep(time.Minute)
				if n := r.journal.count(outcome.Delivered); n != 3 {
					t.Errorf("%d delivered while x is away", n)
				}
				if reasons := r.reasons(); len(reasons) != 1 || reasons[0] != "sink s0: x: no such topic x" {
					t.Errorf("reasons %q", reasons)
				}
				<-finished
				if keys, total := sink.effects(); keys != 6 || total != 6 || len(r.letters.records) > 0 {
					t.Errorf("%d effects of %d keys, letters %v", total, keys, r.letters.reasons())
				}
				if diff := cmp.Diff([]string{"1", "4"}, sink.order("a", 'x')); diff != "" {
					t.Error(diff)
				}
				if reasons := r.reasons(); len(reasons) > 0 {
					t.Errorf("still paused: %v", reasons)
				}
			})
		})
	}
}

// A record that brings the receiver down is found out also where others come only
// now and then: what it meets while nobody else calls says nothing.
func TestBadRecordBesideLittleTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{script: func(c *handlers.Call, _ int) error {
			time.Sleep(5 * time.Millisecond)
			if c.Record.Offset == 0 {
				return &handlers.Failure{Class: handlers.Infrastructure, Suspect: true, Err: errors.New("502")}
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.Routes[0].Sinks[0].Retry.Max = 500 * time.Millisecond }, sink)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { r.deliver(ctx, rec(0, "bad", "bad")) })
		began := time.Now()
		for i := 1; r.journal.count(outcome.DeadLettered) == 0 && ctx.Err() == nil; i++ {
			time.Sleep(3 * time.Second)
			for n := range 4 {
				r.deliver(ctx, rec(int64(10*i+n), fmt.Sprint(i, n), fmt.Sprint("v", i, n)))
			}
		}
		wg.Wait()
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it was dead-lettered after %s", took)
		}
	})
}
