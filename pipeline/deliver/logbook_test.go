package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/secrets"
)

// What is logged is made of events alone: each distinct error of a row of retries once,
// dead letters at first and then once a minute, and the end of a pause only where what
// was waited for is back.
func TestLogbook(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	b := newLogbook(&plan.Pipeline{DeadLetter: "dlq", Idempotency: &plan.Idempotency{OnConflict: plan.ActionDuplicate}}, log, clock.NewTiming(nil))
	start := time.Now()
	at := func(kind events.Kind, offset int64, reason string, err error) events.Event {
		return events.Event{Kind: kind, Time: start.Add(time.Duration(offset) * time.Second), Sink: "s", Topic: "t", Offset: offset, Stage: outcome.StageWrite, Reason: reason, Attempt: 1, Err: err}
	}
	refused, scoped := &handlers.Failure{Err: errors.New("502")}, &handlers.Failure{Err: errors.New("no topic"), Scope: "x"}
	for _, e := range []events.Event{
		at(events.Record, 0, "", nil), at(events.Write, 0, "", nil),
		at(events.Retry, 1, "unknown", refused), at(events.Retry, 2, "unknown", refused), at(events.Retry, 3, "unknown", scoped),
		at(events.Retry, 4, "unknown", errors.New("503")), at(events.Retry, 5, "unknown", refused),
		at(events.Conflict, 6, "", nil), at(events.Conflict, 7, "", nil),
		at(events.DeadLetter, 10, "attempts", refused), at(events.DeadLetter, 11, "attempts", refused), at(events.DeadLetter, 12, "refused", refused),
		at(events.DeadLetter, 70, "attempts", refused), at(events.DeadLetter, 71, "attempts", refused),
		at(events.Pause, 80, "sink s", refused), at(events.Resume, 81, "sink s", nil),
		at(events.Pause, 82, "store", &idempotency.ResetError{Was: "a", Now: "b"}), at(events.Resume, 83, "store", errForgotten),
		at(events.Pause, 84, PauseOff, errors.New("no")),
	} {
		b.Observe(e)
	}
	b.close()
	want := `level=WARN msg="a write failed and is tried again" sink=s record=t/0/1 attempt=1 class=unknown err=502
level=WARN msg="a write failed and is tried again" sink=s record=t/0/4 attempt=1 class=unknown err=503
level=WARN msg="a write failed and is tried again" sink=s record=t/0/5 attempt=1 class=unknown err=502
level=WARN msg="a repeated key came with other content; counted from here on" record=t/0/6 on_conflict=duplicate
level=WARN msg="records went to the dead letters" topic=dlq reason=attempts records=1 last=t/0/10 sink=s stage=write err=502
level=WARN msg="records went to the dead letters" topic=dlq reason=refused records=1 last=t/0/12 sink=s stage=write err=502
level=WARN msg="records went to the dead letters" topic=dlq reason=attempts records=2 last=t/0/70 sink=s stage=write err=502
level=ERROR msg="paused; nothing is dropped, and it goes on by itself" waiting_for="sink s" err=502
level=INFO msg=resumed waited_for="sink s"
level=ERROR msg="blocked until a person accepts what is lost; nothing is dropped" waiting_for=store err="the key store lost its memory: effects may be repeated; ` + "`millrace keys accept-reset`" + ` goes on with an empty one"
level=ERROR msg="stands at a record that would be a dead letter, and does not go past it by itself (see ` + "`millrace skip`" + `); nothing is dropped" waiting_for="dead_letter: off" err=no
level=WARN msg="records went to the dead letters" topic=dlq reason=attempts records=1 last=t/0/71 sink=s stage=write err=502
`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(out.String(), "\n")); diff != "" {
		t.Errorf("what is logged (-want +got):\n%s", diff)
	}
}

// slowStore answers after a time.
type slowStore struct {
	idempotency.Store
	takes time.Duration
}

func (s slowStore) Claim(ctx context.Context, claims []idempotency.Claim) ([]idempotency.Verdict, error) {
	time.Sleep(s.takes)
	return s.Store.Claim(ctx, claims)
}

func (s slowStore) Confirm(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	time.Sleep(2 * s.takes)
	return s.Store.Confirm(ctx, claims)
}

// Each step of a record's way is told with its time, the key and how long it took; a
// key that holds a secret is told nowhere.
func TestEventsTellEachStep(t *testing.T) {
	for name, key := range map[string]string{"open": "k:${value}", "secret": `k:${value}${file("token")}`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				scope := expression.NewScope(expression.Options{Format: expression.FormatText, Constants: expression.Constants{
					File: func(string) (string, error) { return "hunter22", nil },
				}})
				compiled, findings := scope.Template(key, expression.PlaceKey)
				if len(findings) > 0 {
					t.Fatal(findings)
				}
				sink := &scripted{script: func(c *handlers.Call, n int) error {
					time.Sleep(5 * time.Millisecond)
					if string(c.Record.Value) == "bad" {
						return &handlers.Failure{Class: handlers.NotApplied, Err: errors.New("422")}
					}
					return nil
				}}
				r := newRig(t, slowStore{storetest.NewModel(time.Now), 10 * time.Millisecond}, func(p *plan.Pipeline) { p.Idempotency.Key = compiled }, sink)
				began := time.Now()
				for i, value := range []string{"good", "bad"} {
					if _, err := r.deliver(t.Context(), rec(int64(i), "k", value)); err != nil {
						t.Fatal(err)
					}
				}
				shown := func(value string) string {
					if name == "secret" {
						return ""
					}
					return "k:" + value
				}
				want := []string{
					"10ms claim in/0/0 " + shown("good") + " go 10ms", "15ms write in/0/0 " + shown("good") + "  5ms",
					"35ms confirm in/0/0 " + shown("good") + "  20ms", "35ms record in/0/0 " + shown("good") + "  0s",
					"45ms claim in/0/1 " + shown("bad") + " go 10ms", "50ms dead_letter in/0/1 " + shown("bad") + " refused 0s",
					"50ms record in/0/1 " + shown("bad") + " refused 0s",
				}
				var got []string
				for _, e := range r.journal.events {
					got = append(got, fmt.Sprintf("%s %s %s %s %s %s", e.Time.Sub(began), e.Kind, place(e), e.Key, e.Reason, e.Took))
					if e.Pipeline != r.plan.Name {
						t.Errorf("%s is told of pipeline %q", e.Kind, e.Pipeline)
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("what is told (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// What a receiver said is kept by the key store and by dead letters, for others to
// read: no secret of it is.
func TestWhatIsKeptShowsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel(time.Now)
		kept := func(key string) string {
			rows, err := store.Get(t.Context(), []idempotency.ID{idempotency.Identity("p", "s0", 1, key)})
			if err != nil || rows[0] == nil {
				t.Fatalf("no row of %s: %v", key, err)
			}
			return rows[0].Answer
		}
		tried := ""
		sink := &scripted{script: func(c *handlers.Call, n int) error {
			if string(c.Record.Value) == "good" {
				c.Answer = "thanks for hunter22"
				return nil
			}
			tried = kept("k:bad") // since the attempt before
			return &handlers.Failure{Class: handlers.Unknown, Own: true, Err: errors.New("you sent hunter22")}
		}}
		r := newRig(t, store, func(p *plan.Pipeline) {
			p.Name, p.Redactor = "p", secrets.New([]string{"hunter22"}, false)
			p.Routes[0].Sinks[0].Retry.Initial = 20 * time.Second // claims are extended meanwhile
		}, sink)
		if _, err := r.deliver(t.Context(), rec(0, "k", "good"), rec(1, "l", "bad")); err != nil {
			t.Fatal(err)
		}
		letter := r.letters.letter(t, 0)
		if letter.FirstError != "you sent [redacted]" || letter.LastError != "you sent [redacted]" {
			t.Errorf("the letter says %q and %q", letter.FirstError, letter.LastError)
		}
		if got := kept("k:good"); got != "thanks for [redacted]" || tried != "you sent [redacted]" {
			t.Errorf("the store keeps %q and %q", got, tried)
		}
	})
}
