package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/oversize"
	"github.com/millrace/millrace/pipeline/plan"
)

// redriver is a rig whose records are dead letters.
type redriver struct {
	*rig
	redrive *Redrive
}

func newRedriver(t *testing.T, store idempotency.Store, change func(*plan.Pipeline), redrive *Redrive, sinks ...*scripted) *redriver {
	t.Helper()
	r := newRig(t, store, change, sinks...)
	r.delivery.Close()
	var open []handlers.Sink
	for _, s := range sinks {
		if s.keeps {
			open = append(open, keeping{s})
			continue
		}
		open = append(open, s)
	}
	redrive.Resolved, redrive.By, redrive.Job = "resolved", "ann@box", "job-1"
	if redrive.Whole == nil {
		redrive.Whole = func(context.Context, *letters.Letter) error { return nil }
	}
	deps := Deps{Sinks: open, Store: store, Run: idempotency.NewRun(), Holder: idempotency.Holder{Host: "h", PID: 1, Run: "job-1"},
		Producer: r.letters, ConfigDigest: "digest", Observer: r.journal, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Again: &Again{Admit: func(*handlers.Record) bool { return true }, Forgotten: true, Met: func(*idempotency.Row) {}, Redrive: redrive}}
	if store == nil {
		deps.Store = nil
	}
	r.delivery = New(t.Context(), r.plan, deps)
	t.Cleanup(r.delivery.Close)
	return &redriver{r, redrive}
}

// dead is a letter of a record whose value is its key, as it lies in its topic.
func dead(offset int64, change func(*letters.Letter)) *handlers.Record {
	l := letters.Letter{Record: *rec(offset+100, "c", fmt.Sprint("v", offset)), TopicID: [16]byte{7}, Pipeline: "p", Sink: "s0", Generation: 1,
		Key: fmt.Sprint("k:v", offset), Stage: "write", Reason: "refused", FirstError: "at first", LastError: "then", Attempts: 2, Round: 1,
		First: time.Unix(1000, 0), Last: time.Unix(2000, 0)}
	if change != nil {
		change(&l)
	}
	r := letters.Encode(l)
	r.Topic, r.Offset = "p.dead-letter", offset
	return r
}

// resolved are the resolutions that were written, in words, and next the letters.
func (r *redriver) resolved(t *testing.T) (resolved []string, next []letters.Letter) {
	t.Helper()
	r.letters.mu.Lock()
	defer r.letters.mu.Unlock()
	for _, record := range r.letters.records {
		if record.Topic != "resolved" {
			l, err := letters.Decode(record)
			if err != nil {
				t.Fatal(err)
			}
			next = append(next, l)
			continue
		}
		how, err := letters.DecodeResolution(record)
		if err != nil || how.By != "ann@box" || how.Job != "job-1" || how.Letter.TopicID != [16]byte{1} {
			t.Errorf("%+v, %v", how, err)
		}
		resolved = append(resolved, fmt.Sprint(how.Letter.Offset, " ", how.How))
	}
	slices.Sort(resolved)
	return resolved, next
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A letter goes to its sink alone, as the identity of old; its key may be parked, or of
// an older generation, and a filter of today does not matter.
func TestRedriveToOneSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		parked := idempotency.Claim{ID: idempotency.Identity("p", "s1", 1, "k:v0"), Token: idempotency.NewRun().Next(), TTL: time.Hour, Lease: time.Minute}
		_, err1 := store.Claim(t.Context(), []idempotency.Claim{parked})
		_, err2 := store.Settle(t.Context(), []idempotency.Claim{parked}, idempotency.ParkedAway)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		strict := func(p *plan.Pipeline) {
			p.Filter, _ = p.Scope.Condition(`value == "x"`)
			p.Routes[0].Sinks[1].When = p.Filter
			p.Idempotency.Generation = 9
		}
		ids := map[string]int64{}
		note := func(c *handlers.Call, _ int) error {
			ids[c.ID] = c.Record.Offset
			if id := c.Identity; !id.Redrive || (id.Generation == 4) != (id.Key == "old") {
				t.Errorf("a Keeper is told %+v", id)
			}
			return nil
		}
		r := newRedriver(t, store, strict, &Redrive{}, &scripted{}, &scripted{keeps: true, script: note})
		of := func(l *letters.Letter) { l.Sink = "s1" }
		done, err := r.deliver(t.Context(), dead(0, of), dead(1, of), dead(2, func(l *letters.Letter) { of(l); l.Generation, l.Key = 4, "old" }))
		if err != nil || slices.Contains(done, false) {
			t.Fatal(done, err)
		}
		if r.sinks[0].called() != nil {
			t.Errorf("the other sink was called: %v", r.sinks[0].called())
		}
		for offset, id := range map[int64]idempotency.ID{100: parked.ID, 101: idempotency.Identity("p", "s1", 1, "k:v1"), 102: idempotency.Identity("p", "s1", 4, "old")} {
			if ids[id.External()] != offset {
				t.Errorf("offset %d did not come as %s: %v", offset, id.External(), ids)
			}
		}
		resolved, _ := r.resolved(t)
		same(t, "resolved", resolved, "0 delivered", "1 delivered", "2 delivered")

		// Once more, by another job: the keys are done.
		again := newRedriver(t, store, nil, &Redrive{}, &scripted{}, &scripted{})
		if done, err := again.deliver(t.Context(), dead(0, of)); err != nil || !done[0] || again.sinks[1].called() != nil {
			t.Error(done, err, again.sinks[1].called())
		}
	})
}

// What fails again is a letter of the next round, which says when it failed first and
// how often, with headers replaced; the old one is replaced by it, and nothing is passed
// before both are durable.
func TestRedriveThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := func(*handlers.Call, int) error {
			return &handlers.Failure{Class: handlers.NotApplied, Err: errors.New("still no")}
		}
		drop := func(p *plan.Pipeline) { p.OnError = plan.ActionDrop }
		r := newRedriver(t, storetest.NewModel(time.Now), drop, &Redrive{}, &scripted{script: refuse}, &scripted{render: errors.New("no template")})
		done, err := r.deliver(t.Context(), dead(0, func(l *letters.Letter) { l.Round = 2 }), dead(1, func(l *letters.Letter) { l.Sink = "s1" }))
		if err != nil || slices.Contains(done, false) {
			t.Fatal(done, err)
		}
		resolved, next := r.resolved(t)
		same(t, "resolved", resolved, "0 replaced", "1 replaced")
		if len(next) != 2 {
			t.Fatal(next)
		}
		slices.SortFunc(next, func(a, b letters.Letter) int { return strings.Compare(a.Sink, b.Sink) })
		a, b := next[0], next[1]
		if a.Round != 3 || a.FirstError != "at first" || !a.First.Equal(time.Unix(1000, 0)) || a.LastError != "still no" || a.Attempts != 3 || a.Key != "k:v0" ||
			a.Record.Offset != 100 || a.TopicID != [16]byte{7} || a.Generation != 1 || len(a.Record.Headers) != 0 {
			t.Errorf("%+v", a)
		}
		if b.Round != 2 || b.Sink != "s1" || b.Stage != "render" || b.Reason != "render_failed" || b.Attempts != 2 {
			t.Errorf("%+v", b)
		}
	})
}

// A letter that says of no sink is decided anew; without a key its coordinates of old
// stand for it.
func TestRedriveOfUndecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		none := func(p *plan.Pipeline) {
			p.Idempotency = nil
			p.Filter, _ = p.Scope.Condition(`value != "v1"`)
		}
		ids := map[string]bool{}
		r := newRedriver(t, nil, none, &Redrive{}, &scripted{script: func(c *handlers.Call, _ int) error { ids[c.ID] = true; return nil }})
		undecided := func(l *letters.Letter) { l.Sink, l.Key = "", "" }
		done, err := r.deliver(t.Context(), dead(0, undecided), dead(1, undecided), dead(2, func(l *letters.Letter) { l.Key = "" }))
		if err != nil || slices.Contains(done, false) {
			t.Fatal(done, err)
		}
		resolved, _ := r.resolved(t)
		same(t, "resolved", resolved, "0 delivered", "1 filtered", "2 delivered")
		for _, offset := range []int64{100, 102} {
			if !ids[idempotency.Coordinates("p", "s0", 1, [16]byte{7}, 0, offset).External()] {
				t.Errorf("offset %d did not come under its own identity: %v", offset, ids)
			}
		}
	})
}

// What a letter does not hold is fetched; where it is gone, the letter stays as it is,
// and what is too large still is a letter again.
func TestRedriveOfPartsThatAreMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetch := func(_ context.Context, l *letters.Letter) error {
			switch l.Record.Offset {
			case 100:
				l.Record.Value, l.Missing = []byte("fetched"), letters.Missing{}
			case 101:
				return fmt.Errorf("%w: the topic was made again", letters.ErrSourceGone)
			case 102:
				return &oversize.Error{Value: &oversize.Part{Digest: "d", Bytes: 9}, Why: "too large"}
			}
			return nil
		}
		r := newRedriver(t, storetest.NewModel(time.Now), nil, &Redrive{Whole: fetch}, &scripted{})
		lacks := func(l *letters.Letter) {
			l.Record.Value, l.Missing.Value = nil, &letters.Part{Digest: "d", Bytes: 9}
		}
		done, err := r.deliver(t.Context(), dead(0, lacks), dead(1, lacks), dead(2, lacks))
		if err != nil || slices.Contains(done, false) {
			t.Fatal(done, err)
		}
		resolved, next := r.resolved(t)
		same(t, "resolved", resolved, "0 delivered", "2 replaced")
		if len(next) != 1 || next[0].Missing.Value == nil || next[0].Missing.Value.Digest != "d" || next[0].Key != "k:v2" {
			t.Errorf("%+v", next)
		}
		gone := slices.ContainsFunc(r.journal.events, func(e events.Event) bool { return e.Offset == 1 && e.Reason == "source_gone" })
		if len(r.sinks[0].taken) != 1 || string(r.sinks[0].taken[0].Value) != "fetched" || !gone {
			t.Errorf("%d were sent, gone %v", len(r.sinks[0].taken), gone)
		}
	})
}

// While resolutions can't be written nothing is passed, and what waits says why. A stop
// leaves the letters; done keys tell the next run.
func TestRedriveWaitsForResolutions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		r := newRedriver(t, store, nil, &Redrive{}, &scripted{limit: 10})
		r.letters.fail = func([]*handlers.Record) error { return errors.New("no leader") }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			time.Sleep(10 * time.Second)
			if reasons := r.reasons(); len(reasons) != 1 || !strings.Contains(reasons[0], "write how dead letters were resolved: ") {
				t.Errorf("it waits for %v", reasons)
			}
		}()
		done, err := r.deliver(ctx, dead(0, nil), dead(1, nil))
		if err != nil || slices.Contains(done, true) || len(r.sinks[0].called()) != 2 {
			t.Fatal(done, err)
		}
		next := newRedriver(t, store, nil, &Redrive{}, &scripted{})
		if done, err := next.deliver(t.Context(), dead(0, nil), dead(1, nil)); err != nil || slices.Contains(done, false) || next.sinks[0].called() != nil {
			t.Error(done, err, next.sinks[0].called())
		}
		resolved, _ := next.resolved(t)
		same(t, "resolved by the same job", resolved, "0 delivered", "1 delivered")
	})
}

// Discarding calls no sink, and the keys of the letters are done; a letter that lies
// behind another one's key says nothing of that.
func TestDiscard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		fails := &scripted{render: errors.New("not asked")}
		r := newRedriver(t, store, nil, &Redrive{Discard: true}, fails)
		r.delivery.gates[0].sink = taking{}
		done, err := r.deliver(t.Context(), dead(0, nil), dead(1, func(l *letters.Letter) { l.Sink = "gone" }), dead(2, func(l *letters.Letter) { l.Sink = "" }),
			dead(3, func(l *letters.Letter) { l.Reason = "parked" }), dead(4, func(l *letters.Letter) {
				l.Record.Value, l.Missing.Value = nil, &letters.Part{Digest: idempotency.DigestOf([]byte("v4")).String(), Bytes: 2}
			}))
		if err != nil || slices.Contains(done, false) {
			t.Fatal(done, err)
		}
		resolved, next := r.resolved(t)
		same(t, "resolved", resolved, "0 discarded", "1 discarded", "2 discarded", "3 discarded", "4 discarded")
		live := newRig(t, store, nil, &scripted{})
		if _, err := live.deliver(t.Context(), rec(100, "c", "v0"), rec(103, "c", "v3"), rec(104, "c", "v4")); err != nil || next != nil {
			t.Fatal(err, next)
		}
		same(t, "called afterwards", live.sinks[0].called(), "103")
	})
}

// taking takes all calls.
type taking struct{ handlers.Sink }

func (taking) Write(context.Context, []handlers.Call) error { return nil }
