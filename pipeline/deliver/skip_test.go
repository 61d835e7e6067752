package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

func (r *rig) standing() []string {
	var all []string
	for _, s := range r.delivery.Standing() {
		all = append(all, fmt.Sprintf("%s/%d/%d %s: %s", s.Topic, s.Partition, s.Offset, s.Sink, s.Why))
	}
	return all
}

func (r *rig) skip(offset int64) { r.skips.Add("in", [16]byte{1}, 0, offset) }

// ended are the record's outcome and its reason, as it was told.
func (r *rig) ended(offset int64) string {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	for _, e := range r.journal.events {
		if e.Kind == events.Record && e.Offset == offset {
			return string(e.Outcome) + " " + e.Reason
		}
	}
	return ""
}

// key is what the store has of a record's key.
func (r *rig) key(t *testing.T, value string) *idempotency.Row {
	t.Helper()
	rows, err := r.store.(idempotency.Inspector).Get(t.Context(), []idempotency.ID{idempotency.Identity("p", "s0", 1, "k:"+value)})
	if err != nil {
		t.Fatal(err)
	}
	return rows[0]
}

// Where a sink refuses a record and dead letters are off, skipping it lets its key's
// others go on at once; its key is as if it never was, and others stand as before.
func TestSkipWhatASinkRefuses(t *testing.T) {
	for name, refusal := range map[string]*handlers.Failure{
		"refused": {Class: handlers.NotApplied, Err: errors.New("422")},
		"unknown": {Class: handlers.Unknown, Err: errors.New("500")},
	} {
		synctest.Test(t, func(t *testing.T) {
			sink := &scripted{script: func(c *handlers.Call, _ int) error {
				if c.Record.Value[0] == 'x' {
					return refusal
				}
				return nil
			}}
			r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.DeadLetter = "" }, sink)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan []bool)
			go func() {
				d, _ := r.deliver(ctx, rec(0, "a", "x0"), rec(1, "a", "y1"), rec(2, "b", "x2"), rec(3, "c", "y3"))
				done <- d
			}()
			time.Sleep(5 * time.Minute)
			at := r.standing()
			if len(at) != 2 || at[0] != "in/0/0 s0: "+refusal.Err.Error() || at[1] != "in/0/2 s0: "+refusal.Err.Error() {
				t.Errorf("%s: it stands at %q", name, at)
			}
			r.skip(7) // nothing is there
			r.skip(0)
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if got := r.ended(0); got != "dropped skipped" {
				t.Errorf("%s: it ended as %q", name, got)
			}
			if row := r.key(t, "x0"); row != nil {
				t.Errorf("%s: its key is %+v", name, row)
			}
			if got := r.ended(1); got != "delivered " {
				t.Errorf("%s: what is behind it ended as %q", name, got)
			}
			if at := r.standing(); len(at) != 1 || r.delivery.Stands("in", 0) != "" && len(r.delivery.Troubles()) != 1 {
				t.Errorf("%s: it stands at %q", name, at)
			}
			r.skip(2)
			if d := <-done; !slices.Equal(d, []bool{true, true, true, true}) {
				t.Errorf("%s: finished are %v", name, d)
			}
			if at, reasons := r.standing(), r.reasons(); len(at)+len(reasons) > 0 {
				t.Errorf("%s: it stands at %q, %q", name, at, reasons)
			}
			cancel()
		})
	}
}

// A record that can't be decided is skipped as well, and what lies in order behind it
// comes with the next delivery of the batch, however long others of the batch stand.
func TestSkipWhatCantBeDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.DeadLetter = "" }, &scripted{panics: "bad"})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan []bool)
		go func() {
			d, _ := r.deliver(ctx, rec(0, "a", "bad"), rec(1, "a", "y"), rec(2, "b", "bad"), rec(3, "c", "z"))
			ended <- d
		}()
		synctest.Wait()
		if at := r.standing(); len(at) != 2 {
			t.Fatalf("it stands at %q", at)
		}
		r.skip(0)
		if d := <-ended; !slices.Equal(d, []bool{true, false, false, true}) {
			t.Fatalf("finished are %v", d)
		}
		if got := r.ended(0); got != "dropped skipped" || r.ended(1) != "" || r.ended(2) != "" {
			t.Errorf("it ended as %q, %q, %q", got, r.ended(1), r.ended(2))
		}
		if at := r.standing(); len(at) != 0 {
			t.Errorf("without a batch it stands at %q", at)
		}
	})
}

// A record that can't be read is skipped where it stands, and on arrival.
func TestSkipWhatCantBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.DeadLetter = "" }, &scripted{})
		for range 2 {
			var done atomic.Bool
			batch := kafka.NewBatch("in", 0, [16]byte{1}, 0, []*handlers.Record{{Topic: "in", Offset: 4}}, func(int) { done.Store(true) })
			batch.Unreadable = map[int]error{0: errors.New("its checksum is wrong")}
			ended := make(chan error)
			go func() { ended <- r.delivery.Handle(kafka.NewMessage(t.Context(), batch)) }()
			synctest.Wait()
			if at := r.standing(); len(at) == 1 {
				r.skip(4)
			}
			if err := <-ended; err != nil || !done.Load() || r.ended(4) != "dropped skipped" {
				t.Errorf("it ended as %q, %v", r.ended(4), err)
			}
		}
		if n := r.journal.count(outcome.Dropped); n != 1 {
			t.Errorf("%d records were dropped", n)
		}
	})
}

// A journaled record ends on arrival, before anything is begun of it; what a process
// before claimed for it is given up, and what another record's is stays.
func TestSkipOnArrival(t *testing.T) {
	sink := &scripted{}
	r := newRig(t, storetest.NewModel(time.Now), nil, sink)
	claim := func(value string, offset int64) {
		t.Helper()
		_, err := r.store.Claim(t.Context(), []idempotency.Claim{{
			ID: idempotency.Identity("p", "s0", 1, "k:"+value), Token: idempotency.NewRun().Next(), Lease: time.Minute, TTL: time.Hour,
			Origin: idempotency.Origin{Topic: "in", Offset: offset},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	claim("mine", 0)
	claim("theirs", 9)
	r.skip(0)
	r.skip(1)
	r.skips.Add("in", [16]byte{2}, 0, 2) // of another incarnation of the topic
	done, err := r.deliver(t.Context(), rec(0, "a", "mine"), rec(1, "b", "theirs"), rec(2, "c", "other"))
	if err != nil || !slices.Equal(done, []bool{true, true, true}) {
		t.Fatal(done, err)
	}
	if r.ended(0) != "dropped skipped" || r.ended(1) != "dropped skipped" || r.ended(2) != "delivered " {
		t.Errorf("they ended as %q, %q, %q", r.ended(0), r.ended(1), r.ended(2))
	}
	if row := r.key(t, "mine"); row != nil {
		t.Errorf("its key is %+v", row)
	}
	if row := r.key(t, "theirs"); row == nil || row.State != idempotency.Claimed {
		t.Errorf("another's key is %+v", row)
	}
	if got := sink.called(); len(got) != 1 {
		t.Errorf("calls %v", got)
	}
	r.skips.Remove("in", 0, 0)
	if _, err := r.deliver(t.Context(), rec(0, "a", "mine")); err != nil || len(sink.called()) != 2 {
		t.Errorf("a skip that is over still holds: %v", err)
	}
}

// A record that its receiver never takes, with nothing beside it that could tell so, is
// skipped while its sink waits, for as long as that wants to be left alone.
func TestSkipWhatIsNeverTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		sink := &scripted{script: func(c *handlers.Call, _ int) error {
			switch {
			case down.Load():
				return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Err: errors.New("refused")}
			case c.Record.Offset == 0:
				return &handlers.Failure{Class: handlers.Infrastructure, Suspect: true, Err: errors.New("503"), RetryAfter: 50 * time.Minute}
			}
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.Source.Order = kafka.OrderPartition }, sink)
		done := make(chan []bool)
		go func() {
			d, _ := r.deliver(t.Context(), rec(0, "a", "x"), rec(1, "b", "y"))
			done <- d
		}()
		time.Sleep(150 * time.Minute)
		if at := r.standing(); len(at) != 1 || at[0] != "in/0/0 s0: 503" {
			t.Fatalf("it stands at %q, %q", at, r.reasons())
		}
		began := time.Now()
		r.skip(0)
		synctest.Wait()
		if got := r.ended(0); got != "dropped skipped" {
			t.Errorf("it ended as %q", got)
		}
		if row := r.key(t, "x"); row != nil {
			t.Errorf("its key is %+v", row)
		}
		if d := <-done; !slices.Equal(d, []bool{true, true}) || r.journal.count(outcome.Delivered) != 1 {
			t.Errorf("finished are %v after %s", d, time.Since(began))
		}
		// A receiver that is down is not the record's fault.
		down.Store(true)
		go func() {
			d, _ := r.deliver(t.Context(), rec(2, "a", "z"))
			done <- d
		}()
		time.Sleep(time.Hour)
		if at := r.standing(); len(at) != 0 {
			t.Errorf("while the sink is down it stands at %q", at)
		}
		down.Store(false)
		<-done
	})
}

// Of a record with several sinks, what was delivered counts.
func TestSkipOneSinkOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := &scripted{script: func(*handlers.Call, int) error {
			return &handlers.Failure{Class: handlers.NotApplied, Err: errors.New("422")}
		}}
		r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.DeadLetter = "" }, never, &scripted{})
		done := make(chan []bool)
		go func() {
			d, _ := r.deliver(t.Context(), rec(0, "a", "x"))
			done <- d
		}()
		time.Sleep(time.Second)
		r.skip(0)
		<-done
		if got := r.ended(0); got != "delivered " {
			t.Errorf("it ended as %q", got)
		}
	})
}
