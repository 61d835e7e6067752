package deliver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// scripted is a sink whose answers a test writes: script is asked for every
// call, and nil means taken.
type scripted struct {
	keeps  bool // it is a Keeper
	limit  int
	script func(call *handlers.Call, n int) error
	render error
	panics string                      // the value whose request can't be made
	rekey  bool                        // the records written have keys of their own
	whole  func(context.Context) error // fails a batch as a whole
	scope  func(value string) string   // nil where its system has no parts

	mu     sync.Mutex
	calls  []string // "offset" of every call, in the order they came
	taken  []*handlers.Record
	effect map[string]int
}

// Scope is the part of the system that a value goes to.
func (s *scripted) Scope(request any) string {
	if s.scope == nil {
		return ""
	}
	return s.scope(request.(string))
}

// order lists the offsets of the records of a key that were taken and whose value
// begins with a letter.
func (s *scripted) order(key string, letter byte) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.taken {
		if string(r.Key) == key && r.Value[0] == letter {
			all = append(all, fmt.Sprint(r.Offset))
		}
	}
	return all
}

func (s *scripted) Render(v handlers.View) (any, error) {
	if value := string(v.Record().Value); s.panics != "" && value == s.panics {
		panic("index out of range")
	}
	return string(v.Record().Value), s.render
}

func (s *scripted) Close(context.Context) error { return nil }

func (s *scripted) MaxBatch() int { return max(1, s.limit) }

func (s *scripted) Write(ctx context.Context, batch []handlers.Call) error {
	for i := range batch {
		if s.rekey {
			r := *batch[i].Record
			r.Key = r.Value
			batch[i].Record = &r
		}
	}
	if s.whole != nil {
		if err := s.whole(ctx); err != nil {
			return err
		}
	}
	return handlers.Each(func(ctx context.Context, c *handlers.Call) error {
		s.mu.Lock()
		s.calls = append(s.calls, fmt.Sprint(c.Record.Offset))
		n := len(s.calls)
		s.mu.Unlock()
		if s.script != nil {
			if err := s.script(c, n); err != nil {
				return err
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.effect == nil {
			s.effect = map[string]int{}
		}
		s.effect[c.ID]++
		s.taken = append(s.taken, c.Record)
		return nil
	})(ctx, batch)
}

func (s *scripted) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

func (s *scripted) effects() (keys, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.effect {
		total += n
	}
	return len(s.effect), total
}

// letterbox keeps dead letters; fail, where set, is asked for each Produce.
type letterbox struct {
	fail func(records []*handlers.Record) error

	mu      sync.Mutex
	records []*handlers.Record
}

func (b *letterbox) Produce(_ context.Context, records []*handlers.Record) error {
	if b.fail != nil {
		if err := b.fail(records); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, records...)
	return nil
}

func (b *letterbox) reasons() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, r := range b.records {
		l, err := letters.Decode(r)
		if err != nil {
			l.Reason = err.Error()
		}
		all = append(all, fmt.Sprint(l.Record.Offset, " ", l.Reason))
	}
	return all
}

// letter is the i-th that was written.
func (b *letterbox) letter(t *testing.T, i int) letters.Letter {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	l, err := letters.Decode(b.records[i])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// journal keeps outcomes by offset, and every event's kind in order.
type journal struct {
	mu       sync.Mutex
	outcomes map[int64]outcome.Outcome
	events   []events.Event
}

func (j *journal) Observe(e events.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
	if e.Kind == events.Record {
		if j.outcomes == nil {
			j.outcomes = map[int64]outcome.Outcome{}
		}
		j.outcomes[e.Offset] = e.Outcome
	}
}

func (j *journal) count(o outcome.Outcome) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, each := range j.outcomes {
		if each == o {
			n++
		}
	}
	return n
}

// rig is one delivery with everything around it.
type rig struct {
	plan     *plan.Pipeline
	store    idempotency.Store
	letters  *letterbox
	journal  *journal
	sinks    []*scripted
	delivery *Delivery
	skips    *Skips
	stopped  chan error
}

// reasons is why something is paused now, sorted.
func (r *rig) reasons() []string {
	var all []string
	for _, t := range r.delivery.Troubles() {
		all = append(all, t.Reason)
	}
	return all
}

// keyedOnValue is a pipeline without sinks whose key is the record's value.
func keyedOnValue(t testing.TB) *plan.Pipeline {
	t.Helper()
	scope := expression.NewScope(expression.Options{Format: expression.FormatText})
	key, findings := scope.Template("k:${value}", expression.PlaceKey)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return &plan.Pipeline{
		Name: "p", Format: expression.FormatText, Scope: scope, Result: scope,
		Source:     kafka.Source{Topics: []string{"in"}, Order: kafka.OrderKey, Drain: 20 * time.Second},
		DeadLetter: "p.dead-letter", OnError: plan.ActionDeadLetter, Unmatched: plan.ActionDrop,
		Idempotency: &plan.Idempotency{
			Key: key, TTL: 8 * 24 * time.Hour, Lease: 30 * time.Second, Generation: 1,
			OnConflict: plan.ActionDuplicate, OnStoreError: plan.ActionBlock, OnUncertain: plan.ActionRetry,
		},
		Routes: []plan.Route{{}},
	}
}

// newRig makes a pipeline keyed on the record's value, with one sink for each
// of sinks; change may alter the plan before it runs.
func newRig(t *testing.T, store idempotency.Store, change func(*plan.Pipeline), sinks ...*scripted) *rig {
	t.Helper()
	planned := keyedOnValue(t)
	var open []handlers.Sink
	for i, s := range sinks {
		planned.Routes[0].Sinks = append(planned.Routes[0].Sinks, plan.Sink{
			Name: fmt.Sprintf("s%d", i), Kind: "scripted", Retry: plan.Retry{Attempts: 5, Initial: 200 * time.Millisecond, Max: 30 * time.Second},
		})
		if s.keeps {
			open = append(open, keeping{s})
			continue
		}
		open = append(open, s)
	}
	if change != nil {
		change(planned)
	}
	r := &rig{plan: planned, store: store, letters: &letterbox{}, journal: &journal{}, sinks: sinks, stopped: make(chan error, 1), skips: new(Skips)}
	r.delivery = New(t.Context(), planned, Deps{
		Sinks: open, Store: store, Run: idempotency.NewRun(), Holder: idempotency.Holder{Host: "h", PID: 1},
		Producer: r.letters, ConfigDigest: "digest", Observer: r.journal,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Stop:   func(err error) { r.stopped <- err }, Skips: r.skips,
	})
	t.Cleanup(r.delivery.Close)
	return r
}

// rec is a record of the pipeline's topic: its value is its idempotency key.
func rec(offset int64, key, value string) *handlers.Record {
	return &handlers.Record{Topic: "in", Offset: offset, Key: []byte(key), Value: []byte(value)}
}

// deliver hands one lane batch over and returns the offsets that were finished,
// by index of the batch.
func (r *rig) deliver(ctx context.Context, records ...*handlers.Record) ([]bool, error) {
	done := make([]bool, len(records))
	var mu sync.Mutex
	batch := kafka.NewBatch("in", 0, [16]byte{1}, 0, records, func(i int) {
		mu.Lock()
		defer mu.Unlock()
		done[i] = true
	})
	err := r.delivery.Handle(kafka.NewMessage(ctx, batch))
	mu.Lock()
	defer mu.Unlock()
	return append([]bool(nil), done...), err
}
