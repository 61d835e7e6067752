package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Order is that of the source, whatever the records are written under.
func TestOrderOfTheSourceHoldsBehindAFailure(t *testing.T) {
	for name, c := range map[string]struct {
		order kafka.Order
		keys  string
		want  []string
	}{
		"partition": {kafka.OrderPartition, "abc", []string{"1", "1", "2", "3"}},
		"key":       {kafka.OrderKey, "aaa", []string{"1", "1", "2", "3"}},
		"none":      {kafka.OrderNone, "aaa", []string{"1", "2", "3", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &scripted{limit: 10, rekey: true, script: func(_ *handlers.Call, n int) error {
					if n == 1 {
						return errBoom
					}
					return nil
				}}
				r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.Source.Order = c.order }, sink)
				r.deliver(t.Context(), rec(1, c.keys[:1], "x"), rec(2, c.keys[1:2], "y"), rec(3, c.keys[2:], "z"))
				if diff := cmp.Diff(c.want, sink.called()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// Without dead letters a record that can't be decided holds what is behind it in
// its order, and nothing else.
func TestDeadLetterOffKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{}
		r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.DeadLetter = "" }, sink)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			// An empty value makes an empty key, which is an error.
			done, _ := r.deliver(ctx, rec(1, "a", "x"), rec(2, "a", ""), rec(3, "a", "y"), rec(4, "b", "z"))
			if diff := cmp.Diff([]bool{true, false, false, true}, done); diff != "" {
				t.Error(diff)
			}
		})
		time.Sleep(30 * time.Second)
		if reasons := r.reasons(); len(reasons) != 1 || !strings.HasPrefix(reasons[0], PauseOff+": in/0/2: ") {
			t.Errorf("reasons %q", reasons)
		}
		wg.Wait()
		if diff := cmp.Diff([]string{"1", "4"}, sink.called()); diff != "" {
			t.Error(diff)
		}
		if reasons := r.reasons(); len(reasons) != 0 {
			t.Errorf("reasons afterwards %q", reasons)
		}
	})
}

// A panic while a request is made is that record's error.
func TestPanicInRender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.NewModel(time.Now), nil, &scripted{panics: "2"})
		done, err := r.deliver(t.Context(), rec(1, "a", "1"), rec(2, "a", "2"), rec(3, "a", "3"))
		if err != nil || !all(done) || r.journal.count(outcome.Delivered) != 2 {
			t.Errorf("err %v, outcomes %v", err, r.journal.outcomes)
		}
		if diff := cmp.Diff([]string{"2 render_failed"}, r.letters.reasons()); diff != "" {
			t.Error(diff)
		}
	})
}

// A dead letter fits in the end, whichever part of its record is too large.
func TestDeadLetterFits(t *testing.T) {
	large := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		key, value, header string
		want               string
	}{
		"value":   {"k", large, "h", "key headers -value"},
		"headers": {"k", "v", large, "key -headers -value"},
		"key":     {large, "v", "h", "-key -headers -value"},
		"all":     {large, large, large, "-key -headers -value"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &scripted{script: func(*handlers.Call, int) error { return handlers.Permanent(errBoom) }}
				r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.Idempotency = nil }, sink)
				r.letters.fail = func(records []*handlers.Record) error {
					if sizeOf(records[0]) > 5000 {
						return handlers.Permanent(fmt.Errorf("refused: %w", handlers.ErrTooLarge))
					}
					return nil
				}
				record := rec(1, c.key, c.value)
				record.Headers = []handlers.Header{{Key: "trace", Value: []byte(c.header)}}
				if done, _ := r.deliver(t.Context(), record); !all(done) || len(r.letters.records) != 1 {
					t.Fatalf("done %v, letters %v", done, r.letters.reasons())
				}
				if got := described(r.letters.letter(t, 0)); got != c.want {
					t.Errorf("the letter has %s, want %s", got, c.want)
				}
			})
		})
	}
}

func sizeOf(r *handlers.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// described lists what a letter has of its record, and with a minus what it has
// only the digest of.
func described(l letters.Letter) string {
	var parts []string
	for _, part := range []struct {
		name    string
		has     bool
		missing *letters.Part
	}{
		{"key", l.Record.Key != nil, l.Missing.Key},
		{"headers", len(l.Record.Headers) > 0, l.Missing.Headers},
		{"value", l.Record.Value != nil, l.Missing.Value},
	} {
		if part.missing != nil {
			parts = append(parts, "-"+part.name)
		}
		if part.has {
			parts = append(parts, part.name)
		}
	}
	return strings.Join(parts, " ")
}
