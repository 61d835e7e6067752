package pipeline

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/kafka/embedded"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

// ledgerSink counts effects by what stands in the record.
type ledgerSink struct {
	mu      sync.Mutex
	effects map[string]int
}

func (s *ledgerSink) Render(v handlers.View) (any, error) { return string(v.Record().Value), nil }

func (s *ledgerSink) Write(_ context.Context, batch []handlers.Call) error {
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range batch {
		s.effects[call.Request.(string)]++
	}
	return nil
}

func (s *ledgerSink) Close(context.Context) error { return nil }

// missing is how many of n records of each pipeline had no effect, and what had more
// than one.
func (s *ledgerSink) missing(pipelines, n int) (missing int, repeated []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range pipelines {
		for i := range n {
			id := fmt.Sprintf(`{"id":"%d-%d"}`, p, i)
			if s.effects[id] == 0 {
				missing++
			} else if s.effects[id] > 1 {
				repeated = append(repeated, id)
			}
		}
	}
	return missing, repeated
}

type noSettings struct{}

// lives keeps what is told of pipelines' lives.
type lives struct {
	mu   sync.Mutex
	told map[string][]string // by pipeline
}

func (l *lives) Observe(e events.Event) {
	if e.Kind != events.Lifecycle {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil {
		l.told = map[string][]string{}
	}
	l.told[e.Pipeline] = append(l.told[e.Pipeline], e.Reason)
	if e.Err != nil || e.Time.IsZero() {
		l.told[e.Pipeline] = append(l.told[e.Pipeline], fmt.Sprint(e.Time, e.Err))
	}
}

// check fails where a life was not told from its beginning to its end.
func (l *lives) check(t *testing.T, replaced int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for name, told := range l.told {
		times := map[string]int{}
		for _, reason := range told {
			times[reason]++
		}
		total += times[events.Replaced]
		starts := times[events.Starting]
		whole := len(told) == starts+times[events.Running]+times[events.Draining]+times[events.Stopped]+times[events.Replaced]
		if !whole || starts == 0 || times[events.Draining] != starts || times[events.Stopped] != starts || times[events.Running] > starts || told[len(told)-1] != events.Stopped {
			t.Errorf("of %s is told: %v", name, told)
		}
		if slices.Index(told, events.Running) < 1 {
			t.Errorf("%s is not told to run: %v", name, told)
		}
	}
	if total != replaced {
		t.Errorf("%d replacements are told of %d", total, replaced)
	}
}

// Pipelines that are started, stopped and replaced at random under load lose nothing
// and do nothing twice, and leave no goroutine behind.
func TestFlowsComeAndGo(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { testFlowsComeAndGo(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func testFlowsComeAndGo(t *testing.T, random *rand.Rand) {
	before := goleak.IgnoreCurrent()
	const pipelines, each = 4, 600
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	sink := &ledgerSink{effects: map[string]int{}}
	registry := handlers.NewRegistry(handlers.Define("ledger", "Counts.", "ledger: {}", func(noSettings, handlers.Env) (handlers.Sink, error) { return sink, nil }))
	versions := [2][]*plan.Pipeline{}
	for v, lanes := range []int{2, 5} {
		var text strings.Builder
		text.WriteString("pipelines:\n")
		for p := range pipelines {
			fmt.Fprintf(&text, "  p%d: {source: {topic: t%d, commit_interval: 100ms}, idempotency: {key: '${payload.id}'}, concurrency: {lanes: %d}, sinks: [{ledger: {}}]}\n", p, p, lanes)
		}
		plan, problems := compile.Load([]string{"-"}, config.Options{Stdin: strings.NewReader(text.String())}, registry)
		if plan == nil {
			t.Fatal(problems)
		}
		versions[v] = plan.Pipelines
	}

	folder, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	broker, err := OpenBroker(ctx, folder, "127.0.0.1:0", log, func(embedded.Alarm) {})
	if err != nil {
		t.Fatal(err)
	}
	settings := kafka.Settings{Brokers: []string{broker.Addr()}, ClientID: "test"}
	cluster, err := kafka.NewAdmin(settings, kafka.Deps{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	for p := range pipelines {
		if _, err := cluster.CreateTopics(ctx, []string{fmt.Sprintf("t%d", p)}, 3, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	store, err := keys.Open(ctx, plan.Store{Embedded: true}, keys.Deps{Folder: folder, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	publisher, err := kafka.NewPublisher(settings, kafka.Deps{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	run := idempotency.NewRun()
	told := new(lives)
	s := newSupervisor(flowDeps{
		settings: settings, store: store, producer: publisher, run: run, holder: idempotency.Holder{Host: "here", Run: run.ID()},
		memory: memory.NewBudget(0, pipelines), metrics: api.NewMetrics("test", nil), observer: told, log: log, version: "test", stdout: io.Discard,
	})

	var loading sync.WaitGroup
	loading.Go(func() {
		for i := range each {
			var records []*handlers.Record
			for p := range pipelines {
				id := fmt.Sprintf("%d-%d", p, i)
				records = append(records, &handlers.Record{Topic: fmt.Sprintf("t%d", p), Key: []byte(id), Value: []byte(`{"id":"` + id + `"}`)})
			}
			if err := publisher.Produce(ctx, records); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	loaded := make(chan struct{})
	go func() { loading.Wait(); close(loaded) }()
	changes, replaced := 0, 0
	for done := false; !done; changes++ {
		p := random.IntN(pipelines)
		plan := versions[random.IntN(2)][p]
		switch there := s.find(plan.Name) != nil; {
		case !there:
			err = s.start(ctx, plan)
		case random.IntN(2) == 0:
			err = s.stop(ctx, plan.Name)
		default:
			if s.find(plan.Name).plan.Digest != plan.Digest {
				replaced++ // else nothing changed
			}
			err = s.replace(ctx, plan)
		}
		if err != nil {
			t.Fatalf("change %d of %s: %v", changes, plan.Name, err)
		}
		select {
		case <-loaded:
			done = true
		case <-time.After(time.Duration(random.IntN(120)) * time.Millisecond):
		}
	}
	for _, plan := range versions[0] {
		if s.find(plan.Name) != nil {
			continue
		}
		if err := s.start(ctx, plan); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		missing, repeated := sink.missing(pipelines, each)
		if len(repeated) > 0 {
			t.Fatalf("after %d changes, %d effects were made again: %v", changes, len(repeated), repeated[:min(5, len(repeated))])
		}
		if missing == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %d changes, %d records had no effect", changes, missing)
		}
	}
	if err := s.start(ctx, versions[0][0]); err == nil {
		t.Error("one that runs was started again")
	}
	t.Logf("%d changes", changes)
	for _, end := range []func() error{
		s.drain, func() error { return s.close(ctx) }, publisher.Close, store.Close,
		func() error { cluster.Close(); return nil }, broker.Close,
	} {
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	goleak.VerifyNone(t, before)
	told.check(t, replaced)
}

// A pipeline whose records can't begin to flow leaves nothing open, nor its name taken.
func TestAFlowThatCannotBeginIsForgotten(t *testing.T) {
	loaded, problems := compile.Load([]string{"-"}, config.Options{
		Stdin: strings.NewReader("pipelines: {p: {source: {topic: t}, sinks: [{ledger: {}}]}}")},
		handlers.NewRegistry(handlers.Define("ledger", "Counts.", "ledger: {}",
			func(noSettings, handlers.Env) (handlers.Sink, error) { return &ledgerSink{}, nil })))
	if loaded == nil {
		t.Fatal(problems)
	}
	log := slog.New(slog.DiscardHandler)
	s := newSupervisor(flowDeps{
		settings: kafka.Settings{Brokers: []string{"127.0.0.1:1"}, ClientID: "test"}, memory: memory.NewBudget(0, 1),
		metrics: api.NewMetrics("test", nil), pauses: newPauseBook(log), log: log, version: "test", stdout: io.Discard,
	})
	f, err := s.add(t.Context(), loaded.Pipelines[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := f.subscriber.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.run(t.Context(), f); err == nil {
		t.Error("it runs without a source")
	}
	if s.find("p") != nil {
		t.Error("its name is still taken")
	}
	if state := f.running(); state != api.Stopped {
		t.Errorf("it is %s", state)
	}
}
