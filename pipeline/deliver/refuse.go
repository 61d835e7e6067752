package deliver

import (
	"context"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/outcome"
)

// decodeFactor is how many times as large as its bytes a record may be once it is
// decoded.
const decodeFactor = 64

// decodeCost is how much memory the decoding of records takes, one after the other.
func (d *Delivery) decodeCost(records []*handlers.Record) int64 {
	largest := 0
	for _, r := range records {
		largest = max(largest, len(r.Value))
	}
	return min(int64(largest)*decodeFactor, expression.Limits{Bytes: d.workMost}.For(largest).Bytes)
}

// refuse dead-letters the records that could not be decided, or stands at them.
func (d *Delivery) refuse(ctx, effects context.Context, w *work, refused []letter) {
	if d.letters.topic == "" {
		d.stand(ctx, w, refused)
		return
	}
	now := d.timing.Now()
	for i := range refused {
		l := &refused[i]
		l.topicID, l.of, l.firstAt, l.lastAt = w.topicID(l.index), w.letter(l.index), now, now
	}
	if !d.letters.write(ctx, effects, refused) {
		return
	}
	now = d.timing.Now()
	for _, l := range refused {
		w.end(l.index, outcome.DeadLettered, l.reason, l.last, now)
	}
}

// detach makes a context for effects, so that a stop lets a call finish instead
// of cutting it off: it outlives ctx for as long as the partition is waited for.
func detach(ctx context.Context, drain time.Duration) (context.Context, func()) {
	effects, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		clock.Sleep(effects, kafka.EffectsLeft(ctx, drain))
		cancel()
	})
	return effects, func() { stop(); cancel() }
}

// repeatable tells whether a write that ended so may come again: nothing was done
// for it, or what was is known by its key.
func (d *Delivery) repeatable(o outcome.Outcome, reason string) bool {
	return o != outcome.DeadLettered && o != outcome.Delivered ||
		o == outcome.Delivered && d.guard != nil && reason != outcome.ReasonUnguarded
}
