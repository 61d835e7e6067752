package memory

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoFindsNoneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAccount(100)
		give, err := a.Take(t.Context(), 80)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := a.TryTake(30); ok {
			t.Error("30 more were taken of the 20 that were left")
		}
		began := time.Now()
		time.AfterFunc(time.Second, give)
		all, err := a.Take(t.Context(), 1000) // more than there are: alone
		if err != nil || time.Since(began) != time.Second || a.Used() != 100 {
			t.Errorf("taken after %s, %v; used %d", time.Since(began), err, a.Used())
		}
		give() // a second time
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err %v, want the context's", err)
		}
		all()
		if a.Used() != 0 {
			t.Errorf("used %d after all was given back", a.Used())
		}
	})
}

func TestWithoutAnAccountNothingWaits(t *testing.T) {
	var a *Account
	give, err := a.Take(t.Context(), 1<<60)
	if err != nil {
		t.Fatal(err)
	}
	give()
	if _, ok := a.TryTake(1); !ok || a.Size() != 0 || a.Used() != 0 {
		t.Error("a nil account has a limit")
	}
}

// Those who want much wait for each other, and nobody who wants little waits for them.
func TestWhoWantsLittleWaitsForNobodyWhoWantsMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewTieredAccount(128 << 20)
		much, err := a.Take(t.Context(), 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			give, err := a.Take(t.Context(), 1<<30)
			if err != nil {
				t.Error(err)
				return
			}
			give()
		}()
		synctest.Wait() // it waits
		began := time.Now()
		for range 1000 {
			give, err := a.Take(t.Context(), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			give()
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("who wants little waited for %s", took)
		}
		if _, ok := a.TryTake(64 << 20); ok {
			t.Error("who wants much went before one who waits")
		}
		much()
		synctest.Wait()
		if a.Used() != 0 {
			t.Errorf("used %d after all was given back", a.Used())
		}
	})
}
