package scenario

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Tasks take turns in the order in which they began and woke, and time passes
// only where all of them wait.
func TestClockTakesTurns(t *testing.T) {
	for range 20 {
		c := &clock{now: begin(), stuck: func() { t.Error("stuck") }}
		var said []string
		say := func(format string, args ...any) {
			said = append(said, c.Now().Sub(begin()).String()+" "+fmt.Sprintf(format, args...))
		}
		bell := make(chan struct{})
		c.AfterFunc(25*time.Second, func() { say("timer") })
		stop := c.AfterFunc(26*time.Second, func() { say("a timer that was stopped") })
		c.Together([]func(){
			func() {
				say("a begins")
				c.Wait(t.Context(), nil, 20*time.Second)
				say("a rings")
				close(bell)
				c.Wait(t.Context(), nil, 10*time.Second)
				say("a ends")
			},
			func() {
				say("b begins")
				c.Wait(t.Context(), bell, -1)
				say("b heard it")
				stop()
				c.Wait(t.Context(), nil, 10*time.Second)
				say("b ends")
			},
		})
		want := []string{"0s a begins", "0s b begins", "20s a rings", "20s b heard it", "25s timer", "30s a ends", "30s b ends"}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Fatal(diff)
		}
	}
}

// Where everybody waits for what will not come, the end is called for, and waits
// end with their contexts.
func TestClockThatIsStuck(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &clock{now: begin()}
	calls := 0
	c.stuck = func() { calls++; c.over = true; cancel() }
	ended := 0
	c.Together([]func(){
		func() { c.Wait(ctx, nil, -1); ended++ },
		func() { c.Wait(ctx, make(chan struct{}), -1); ended++ },
	})
	if calls != 1 || ended != 2 || !c.Now().Equal(begin()) {
		t.Errorf("stuck %d times, %d tasks ended, at %s", calls, ended, c.Now())
	}
}

// A task that waits again and again without end is stuck too.
func TestClockGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &clock{now: begin()}
	c.stuck = func() { c.over = true; cancel() }
	waits := 0
	c.Together([]func(){func() {
		for ctx.Err() == nil {
			c.Wait(ctx, nil, time.Second)
			waits++
		}
	}})
	if waits != maxWaits+1 {
		t.Errorf("it gave up after %d waits", waits)
	}
}
