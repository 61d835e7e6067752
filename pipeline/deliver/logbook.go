package deliver

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/plan"
)

// logbook logs what a person may want to know of deliveries, and never a record by
// itself: a retry once for each distinct error in a row, dead letters by reason once a
// minute, and pauses where they begin and end.
type logbook struct {
	plan   *plan.Pipeline
	log    *slog.Logger
	timing clock.Timing

	mu       sync.Mutex
	warned   map[string]string // the last error of a retry, by sink
	letters  map[string]*tally // by reason
	conflict bool              // one was told
}

// tally counts dead letters of one reason since they were last logged.
type tally struct {
	at    time.Time
	since int
	last  events.Event
}

// tallyEvery is how often dead letters of one reason are logged.
const tallyEvery = time.Minute

func newLogbook(plan *plan.Pipeline, log *slog.Logger, timing clock.Timing) *logbook {
	return &logbook{plan: plan, log: log, timing: timing, warned: map[string]string{}, letters: map[string]*tally{}}
}

// Observe logs what e says, where that is new.
func (b *logbook) Observe(e events.Event) {
	switch e.Kind {
	case events.Retry:
		b.retry(e)
	case events.DeadLetter:
		b.letter(e)
	case events.Conflict:
		b.conflicting(e)
	case events.Pause:
		b.pause(e)
	case events.Resume:
		if e.Err == nil {
			b.log.Info("resumed", "waited_for", e.Reason)
		}
	}
}

// retry logs a retry, once for each distinct error in a row.
func (b *logbook) retry(e events.Event) {
	if f, ok := errors.AsType[*handlers.Failure](e.Err); ok && f.Scope != "" {
		return // the pause says it
	}
	text := e.Err.Error()
	b.mu.Lock()
	fresh := text != b.warned[e.Sink]
	b.warned[e.Sink] = text
	b.mu.Unlock()
	if fresh {
		b.log.Warn("a write failed and is tried again", "sink", e.Sink, "record", place(e), "attempt", e.Attempt,
			"class", e.Reason, "err", e.Err)
	}
}

// letter logs the first dead letter of each reason, and then how many more there
// were, once a minute.
func (b *logbook) letter(e events.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.letters[e.Reason]
	if t == nil {
		t = &tally{at: e.Time.Add(-tallyEvery)}
		b.letters[e.Reason] = t
	}
	t.since++
	t.last = e
	if e.Time.Sub(t.at) >= tallyEvery {
		b.report(t, e.Time)
	}
}

// report logs what a tally counted. The caller holds mu.
func (b *logbook) report(t *tally, now time.Time) {
	b.log.Warn("records went to the dead letters", "topic", b.plan.DeadLetter, "reason", t.last.Reason, "records",
		t.since,
		"last", place(t.last), "sink", t.last.Sink, "stage", string(t.last.Stage), "err", t.last.Err)
	t.since, t.at = 0, now
}

// close logs what was counted and not told yet.
func (b *logbook) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, reason := range slices.Sorted(maps.Keys(b.letters)) {
		if t := b.letters[reason]; t.since > 0 {
			b.report(t, b.timing.Now())
		}
	}
}

// conflicting says once that a repeated key came with other content.
func (b *logbook) conflicting(e events.Event) {
	b.mu.Lock()
	told := b.conflict
	b.conflict = true
	b.mu.Unlock()
	if !told {
		b.log.Warn("a repeated key came with other content; counted from here on", "record", place(e), "on_conflict",
			string(b.plan.Idempotency.OnConflict))
	}
}

func (b *logbook) pause(e events.Event) {
	message := "paused; nothing is dropped, and it goes on by itself"
	switch {
	case IsReset(e.Err):
		message = "blocked until a person accepts what is lost; nothing is dropped"
	case e.Reason == PauseOff:
		message = "stands at a record that would be a dead letter, and " + notByItself + "; nothing is dropped"
	}
	b.log.Error(message, "waiting_for", e.Reason, "err", e.Err)
}

// observe tells what happened to a job last.
func (e *errand) observe(j *job, happened events.Event) {
	happened.Time, happened.Pipeline, happened.Sink = e.at, e.d.plan.Name, e.gate.plan.Name
	happened.Topic, happened.Partition, happened.Offset = j.rec.Topic, j.rec.Partition, j.rec.Offset
	happened.Key = shownKey(e.d.plan, j.key)
	e.d.observer.Observe(happened)
}

// place names the record of an event for people.
func place(e events.Event) string { return fmt.Sprintf("%s/%d/%d", e.Topic, e.Partition, e.Offset) }

// shownKey is a key that people may see, empty for one that is secret.
func shownKey(plan *plan.Pipeline, key string) string {
	if plan.Idempotency == nil || plan.Idempotency.Key.Secret() {
		return ""
	}
	return key
}
