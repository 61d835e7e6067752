package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/kafka/embedded"
	"github.com/millrace/millrace/pipeline/outcome"
)

// Packages that know nothing of pipelines tell what happens in words of their own.
// Here, and nowhere else, these become events.

func (f *flow) alarm(a kafka.Alarm) {
	f.observer.Observe(alarmed(events.Event{Pipeline: f.plan.Name, Topic: a.Topic, Partition: a.Partition,
		Reason: a.Kind}, a.Message, a.Cleared))
}

func (f *flow) tell(reason string, err error) {
	f.observer.Observe(events.Event{Kind: events.Lifecycle, Time: time.Now(), Pipeline: f.plan.Name, Reason: reason,
		Err: err})
}

func (r *Runner) brokerAlarm(a embedded.Alarm) {
	r.observer.Observe(alarmed(events.Event{Topic: a.Topic, Partition: a.Partition, Reason: a.Kind}, a.Message,
		a.Cleared))
}

func (r *Runner) storeReset(loss *idempotency.ResetError) {
	r.observer.Observe(events.Event{Kind: events.Reset, Time: time.Now(), Err: loss})
}

func (r *Runner) ingested(route string, status int) {
	r.observer.Observe(events.Event{Kind: events.Ingest, Time: time.Now(), Route: route, Status: status})
}

func alarmed(e events.Event, message string, cleared bool) events.Event {
	e.Time, e.Kind = time.Now(), events.Cleared
	if !cleared {
		e.Kind, e.Err = events.Alarm, errors.New(message)
	}
	return e
}

// tally is what a status shows of a flow's past, and of what a person should see to.
type tally struct {
	retries atomic.Int64
	counts  [6]atomic.Int64 // in the order of Outcomes
	alarms
}

// Observe counts e.
func (t *tally) Observe(e events.Event) {
	switch e.Kind {
	case events.Record:
		for i, o := range outcome.All() {
			if o == e.Outcome {
				t.counts[i].Add(1)
			}
		}
	case events.Retry:
		t.retries.Add(1)
	case events.Alarm, events.Cleared:
		t.alarms.Observe(e)
	}
}

func (t *tally) outcomes() map[string]int64 {
	all := map[string]int64{}
	for i, o := range outcome.All() {
		if n := t.counts[i].Load(); n > 0 {
			all[string(o)] = n
		}
	}
	return all
}

// alarms are what a person should see to now.
type alarms struct {
	mu  sync.Mutex
	now map[string]events.Event // by where and what it is
}

// Observe keeps alarms until they are cleared.
func (a *alarms) Observe(e events.Event) {
	if e.Kind != events.Alarm && e.Kind != events.Cleared {
		return
	}
	where := e.Reason
	if e.Topic != "" {
		where = fmt.Sprintf("%s/%d %s", e.Topic, e.Partition, e.Reason)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.Kind == events.Cleared {
		delete(a.now, where)
		return
	}
	if a.now == nil {
		a.now = map[string]events.Event{}
	}
	a.now[where] = e
}

// troubles are all of them, sorted.
func (a *alarms) troubles() []deliver.Trouble {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []deliver.Trouble
	for _, where := range slices.Sorted(maps.Keys(a.now)) {
		all = append(all, deliver.Trouble{Kind: where, Reason: where + ": " + a.now[where].Err.Error()})
	}
	return all
}

// brokerTroubles are those alarms of the embedded broker with which the process is not
// ready: while it takes no records, or nobody can reach it. Of the rest, which the
// broker logs, records flow on.
type brokerTroubles struct{ alarms }

// Observe keeps the alarms of the broker.
func (b *brokerTroubles) Observe(e events.Event) {
	if e.Reason == embedded.AlarmFull || e.Reason == embedded.AlarmUnreachable {
		b.alarms.Observe(e)
	}
}

// why is the message of one kind of alarm, empty where there is none.
func (b *brokerTroubles) why(kind string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, there := b.now[kind]; there {
		return e.Err.Error()
	}
	return ""
}
