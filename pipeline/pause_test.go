package pipeline

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/kafka/embedded"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

// A pause holds for whatever flow takes the place of the one that was paused, and
// for one that starts while its pipeline is paused.
func TestPauseSurvivesReplace(t *testing.T) {
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	sink := &ledgerSink{effects: map[string]int{}}
	registry := handlers.NewRegistry(handlers.Define("ledger", "Counts.", "ledger: {}", func(noSettings, handlers.Env) (handlers.Sink, error) { return sink, nil }))
	text := "pipelines: {p: {source: {topic: t, commit_interval: 100ms}, sinks: [{ledger: {}}]}}\n"
	loaded, problems := compile.Load([]string{"-"}, config.Options{Stdin: strings.NewReader(text)}, registry)
	if loaded == nil {
		t.Fatal(problems)
	}
	folder, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	broker, err := OpenBroker(ctx, folder, "127.0.0.1:0", log, func(embedded.Alarm) {})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	settings := kafka.Settings{Brokers: []string{broker.Addr()}, ClientID: "test"}
	if err := declare(ctx, broker.Addr(), []plan.Topic{{Name: "t", Partitions: 3}}, log); err != nil {
		t.Fatal(err)
	}
	publisher, err := kafka.NewPublisher(settings, kafka.Deps{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	publish := func(from, n int) {
		t.Helper()
		for i := range n {
			record := &handlers.Record{Topic: "t", Value: fmt.Appendf(nil, `{"id":"0-%d"}`, from+i)}
			if err := publisher.Produce(ctx, []*handlers.Record{record}); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(0, 10)
	book := newPauseBook(log)
	s := newSupervisor(flowDeps{
		settings: settings, producer: publisher, memory: memory.NewBudget(0, 1), metrics: api.NewMetrics("test", nil),
		pauses: book, log: log, version: "test", stdout: io.Discard,
	})
	defer func() { _, _ = s.drain(), s.close(ctx) }()
	pause := func() {
		if _, _, err := book.pause("p", api.Pause{User: "ann"}); err != nil {
			t.Fatal(err)
		}
		for _, f := range s.all() {
			book.apply(f)
		}
	}
	effects := func() int { missing, _ := sink.missing(1, 30); return 30 - missing }
	still := func(want int) {
		t.Helper()
		await(t, "it has joined", func() bool { return s.find("p").subscriber.Ready() })
		time.Sleep(300 * time.Millisecond)
		if got := effects(); got != want {
			t.Errorf("%d effects, want %d", got, want)
		}
		if status := s.find("p").status(false); status.State != api.Paused || status.Paused.User != "ann" {
			t.Errorf("status is %+v", status)
		}
	}
	pause()
	if err := s.start(ctx, loaded.Pipelines[0]); err != nil {
		t.Fatal(err)
	}
	still(0)
	if _, err := book.resume("p"); err != nil {
		t.Fatal(err)
	}
	book.apply(s.find("p"))
	await(t, "10 effects", func() bool { return effects() == 10 })
	pause()
	publish(10, 10)
	if err := s.replace(ctx, loaded.Pipelines[0]); err != nil {
		t.Fatal(err)
	}
	still(10)
	if _, err := book.resume("p"); err != nil {
		t.Fatal(err)
	}
	book.apply(s.find("p"))
	await(t, "20 effects", func() bool { return effects() == 20 })
	if _, repeated := sink.missing(1, 30); len(repeated) > 0 {
		t.Errorf("made again: %v", repeated)
	}
}

// await waits until something holds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// What persists is written whole or not at all, and one pipeline's is no other's.
func TestPauseBook(t *testing.T) {
	dir := t.TempDir()
	folder, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	reopened := func(names ...string) *pauseBook {
		t.Helper()
		b := newPauseBook(slog.New(slog.DiscardHandler))
		if err := b.open(folder, names); err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := reopened("a", "b")
	first := api.Pause{User: "ann", Host: "box", PID: 1, Since: time.Unix(1_700_000_000, 0).UTC(), Reason: "one"}
	if _, changed, err := b.pause("a", first); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if reopened("a", "b").of("a") != nil {
		t.Error("a pause that does not persist does")
	}
	holds, changed, err := b.pause("a", api.Pause{User: "bob", Reason: "two", Persist: true})
	if err != nil || changed || holds.User != "ann" || holds.Reason != "one" || !holds.Persist {
		t.Errorf("%+v, %v, %v", holds, changed, err)
	}
	again := reopened("a", "b", "c")
	if got := again.of("a"); got == nil || *got != holds {
		t.Errorf("after a restart it is %+v, want %+v", got, holds)
	}
	if again.of("b") != nil || reopened("b").of("a") != nil {
		t.Error("another pipeline is paused")
	}
	if was, err := again.resume("b"); err != nil || was != nil {
		t.Error(was, err)
	}
	if was, err := again.resume("a"); err != nil || was == nil || was.User != "ann" {
		t.Error(was, err)
	}
	if reopened("a").of("a") != nil {
		t.Error("what was resumed is paused after a restart")
	}

	// A folder that can't be written leaves it as it was.
	if err := os.RemoveAll(filepath.Join(dir, "paused")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "paused"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := again.pause("c", api.Pause{Persist: true}); err == nil || changed || again.of("c") != nil {
		t.Errorf("paused %v, %v", again.of("c"), err)
	}
	none := newPauseBook(slog.New(slog.DiscardHandler))
	if _, _, err := none.pause("a", api.Pause{Persist: true}); err == nil || !strings.Contains(err.Error(), "no state folder") {
		t.Error(err)
	}
}
