package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/kafka"
)

func TestUnreadableRecordsAreAnError(t *testing.T) {
	for _, action := range []Action{ActionDeadLetter, ActionDrop, ActionStop} {
		synctest.Test(t, func(t *testing.T) {
			sink := &scripted{}
			r := newRig(t, storetest.NewModel(time.Now), func(p *PipelinePlan) { p.OnError = action }, sink)
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
			case ActionStop:
				if len(r.stopped) != 1 || err != nil || done[1] {
					t.Errorf("stop: %d times, %v, done %v", len(r.stopped), err, done)
				}
			case ActionDrop:
				if !done[1] || r.journal.outcomes[2] != Dropped || len(r.letters.records) != 0 {
					t.Errorf("drop: done %v, outcomes %v, %d letters", done, r.journal.outcomes, len(r.letters.records))
				}
			default:
				if got := r.letters.reasons(); !done[1] || len(got) != 1 || got[0] != "2 unreadable" {
					t.Fatalf("dead letter: done %v, letters %v", done, got)
				}
				letter := r.letters.records[0]
				why, _ := letter.Header(HeaderLastError)
				_, timed := letter.Header(HeaderTimestamp)
				if string(why) != "the batch at offsets 2 to 9 is too large" || timed || letter.Value != nil {
					t.Errorf("the letter says %q, timed %v, value %q", why, timed, letter.Value)
				}
			}
		})
	}
}
