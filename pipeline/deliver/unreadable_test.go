package deliver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/oversize"
	"github.com/millrace/millrace/pipeline/plan"
)

func TestUnreadableRecordsAreAnError(t *testing.T) {
	for _, action := range []plan.Action{plan.ActionDeadLetter, plan.ActionDrop, plan.ActionStop} {
		synctest.Test(t, func(t *testing.T) {
			sink := &scripted{}
			r := newRig(t, storetest.NewModel(time.Now), func(p *plan.Pipeline) { p.OnError = action }, sink)
			records := []*handlers.Record{rec(1, "a", "x"), {Topic: "in", Offset: 2}}
			done := make([]bool, len(records))
			batch := kafka.NewBatch("in", 0, [16]byte{1}, 0, records, func(i int) { done[i] = true })
			batch.Unreadable = map[int]error{1: errors.New("the batch at offsets 2 to 9 is too large")}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := r.delivery.Handle(kafka.NewMessage(ctx, batch))
			if got := sink.called(); len(got) != 1 || !done[0] {
				t.Errorf("%s: calls %v, done %v", action, got, done)
			}
			switch action {
			case plan.ActionStop:
				if len(r.stopped) != 1 || err != nil || done[1] {
					t.Errorf("stop: %d times, %v, done %v", len(r.stopped), err, done)
				}
			case plan.ActionDrop:
				if !done[1] || r.journal.outcomes[2] != outcome.Dropped || len(r.letters.records) != 0 {
					t.Errorf("drop: done %v, outcomes %v, %d letters", done, r.journal.outcomes, len(r.letters.records))
				}
			default:
				if got := r.letters.reasons(); !done[1] || len(got) != 1 || got[0] != "2 unreadable" {
					t.Fatalf("dead letter: done %v, letters %v", done, got)
				}
				l := r.letters.letter(t, 0)
				if l.LastError != "the batch at offsets 2 to 9 is too large" || !l.Record.Time.IsZero() || l.Record.Value != nil {
					t.Errorf("the letter is %+v", l)
				}
			}
		})
	}
}

// A record that is too large to be held is dead-lettered with what stands in for what
// was left out, under the reason that it has where it is read whole.
func TestRecordThatIsTooLargeIsDeadLetteredWithDigests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.NewModel(time.Now), nil, &scripted{})
		large := &oversize.Error{Value: oversize.PartOf([]byte("large")), Headers: &oversize.Part{Digest: "abc", Bytes: 7}}
		records := []*handlers.Record{{Topic: "in", Offset: 2, Key: []byte("k"), Time: time.Now()}}
		batch := kafka.NewBatch("in", 0, [16]byte{1}, 0, records, func(int) {})
		batch.Unreadable = map[int]error{0: large}
		if err := r.delivery.Handle(kafka.NewMessage(t.Context(), batch)); err != nil {
			t.Fatal(err)
		}
		if got := r.letters.reasons(); len(got) != 1 || got[0] != "2 decode_failed" {
			t.Fatalf("letters %v", got)
		}
		l := r.letters.letter(t, 0)
		want := letters.Missing{Value: &letters.Part{Digest: large.Value.Digest, Bytes: 5}, Headers: &letters.Part{Digest: "abc", Bytes: 7}}
		if diff := cmp.Diff(want, l.Missing); diff != "" {
			t.Error(diff)
		}
		if l.Record.Value != nil || string(l.Record.Key) != "k" {
			t.Errorf("key %q, value %q", l.Record.Key, l.Record.Value)
		}
	})
}

// Who finds no memory to decode in waits, and takes none where the batch ends first.
func TestDecodingWaitsForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &scripted{}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		work := memory.NewAccount(1000)
		r.delivery.work = work
		give, err := work.Take(t.Context(), 900)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		time.AfterFunc(10*time.Second, give) // it needs all of them
		done := false
		batch := kafka.NewBatch("in", 0, [16]byte{1}, 0, []*handlers.Record{rec(1, "a", strings.Repeat("x", 20))}, func(int) { done = true })
		if err := r.delivery.Handle(kafka.NewMessage(ctx, batch)); err != nil || !done || time.Since(began) != 10*time.Second {
			t.Errorf("done %v after %s: %v", done, time.Since(began), err)
		}
		if work.Used() != 0 {
			t.Errorf("%d bytes are taken after all", work.Used())
		}
		if _, err := work.Take(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		calls := len(sink.called())
		if err := r.delivery.Handle(kafka.NewMessage(ctx, batch)); err != nil || ctx.Err() == nil || len(sink.called()) != calls {
			t.Errorf("a batch that ended was delivered: %v", err)
		}
	})
}
