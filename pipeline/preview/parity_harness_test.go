package preview_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
	"github.com/millrace/millrace/pipeline/state"
)

// at names a record of a pipeline, and with a sink one write of it.
type at struct {
	pipeline, sink string
	topic          string
	partition      int32
	offset         int64
}

// ended is how a record ended.
type ended struct {
	Outcome outcome.Outcome
	Reason  string
	Err     string
}

// said is all that a run, or a dry run, made of records.
type said struct {
	Records map[at]ended
	// Writes are the requests that sinks took, Letters what dead letters say of
	// stage, reason, error and key.
	Writes, Letters map[at]string
}

func newSaid() *said {
	return &said{Records: map[at]ended{}, Writes: map[at]string{}, Letters: map[at]string{}}
}

// watcher takes what a run does.
type watcher struct {
	mu   sync.Mutex
	said *said
	more []string // what came twice
}

func (w *watcher) Observe(e events.Event) {
	if e.Kind != events.Record {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	where := at{pipeline: e.Pipeline, topic: e.Topic, partition: e.Partition, offset: e.Offset}
	if _, twice := w.said.Records[where]; twice {
		w.more = append(w.more, fmt.Sprint("ended twice: ", where))
	}
	w.said.Records[where] = ended{e.Outcome, e.Reason, text(e.Err)}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// registry is that of the binary, with sinks that render as theirs do and take
// every write.
func (w *watcher) registry() handlers.Registry {
	all := builtin.Registry()
	for kind, spec := range all {
		open := spec.Open
		spec.Open = func(config any, env handlers.Env) (handlers.Sink, error) {
			sink, err := open(config, env)
			return &taking{Sink: sink, watcher: w, pipeline: env.Pipeline, name: env.Name}, err
		}
		all[kind] = spec
	}
	return all
}

type taking struct {
	handlers.Sink
	watcher        *watcher
	pipeline, name string
}

func (s *taking) MaxBatch() int {
	if l, ok := s.Sink.(handlers.Limiter); ok {
		return l.MaxBatch()
	}
	return 1024
}

func (s *taking) Write(_ context.Context, batch []handlers.Call) error {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	for _, call := range batch {
		where := at{s.pipeline, s.name, call.Record.Topic, call.Record.Partition, call.Record.Offset}
		if _, twice := s.watcher.said.Writes[where]; twice {
			s.watcher.more = append(s.watcher.more, fmt.Sprint("written twice: ", where))
		}
		s.watcher.said.Writes[where] = call.ID + " " + requestText(call.Request)
	}
	return nil
}

func requestText(request any) string {
	if r, ok := request.(*handlers.Record); ok {
		return string(handlers.AppendJSON(nil, r))
	}
	text, err := json.Marshal(request)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// stage is a state folder with a broker that holds records, and a configuration.
type stage struct {
	dir   string
	files []string
	env   map[string]string
	log   *slog.Logger
	// again reads with groups, and dead-letters to topics, of their own.
	again bool
}

func newStage(t *testing.T, files []string, env map[string]string) *stage {
	return &stage{dir: t.TempDir(), files: files, env: env, log: slog.New(slog.DiscardHandler)}
}

func (s *stage) plan(t *testing.T, registry handlers.Registry) *plan.Plan {
	t.Helper()
	env := func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }
	plan, problems := compile.Load(s.files, config.Options{Env: env}, registry)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	plan.Embedded = "127.0.0.1:0"
	for _, p := range plan.Pipelines {
		if s.again {
			p.Source.Group += "-again"
			p.DeadLetter += "-again"
		}
	}
	return plan
}

// withBroker runs the broker alone.
func (s *stage) withBroker(t *testing.T, do func(settings kafka.Settings, admin *kafka.Admin)) {
	t.Helper()
	folder, err := state.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	broker, err := pipeline.OpenBroker(t.Context(), folder, "127.0.0.1:0", s.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	settings := kafka.Settings{Brokers: []string{broker.Addr()}}
	admin, err := kafka.NewAdmin(settings, kafka.Deps{Logger: s.log})
	if err != nil {
		t.Fatal(err)
	}
	do(settings, admin)
	admin.Close()
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
}

// publish makes the topics and writes records to them.
func (s *stage) publish(t *testing.T, partitions int, records []*handlers.Record) {
	t.Helper()
	names := map[string]bool{}
	for _, r := range records {
		names[r.Topic] = true
	}
	s.withBroker(t, func(settings kafka.Settings, admin *kafka.Admin) {
		if _, err := admin.CreateTopics(t.Context(), slices.Sorted(maps.Keys(names)), partitions, 1, nil); err != nil {
			t.Fatal(err)
		}
		publisher, err := kafka.NewPublisher(settings, kafka.Deps{Logger: s.log})
		if err != nil {
			t.Fatal(err)
		}
		if err := publisher.Produce(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		if err := publisher.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// dryRun is what a dry run says of all records in the topics.
func (s *stage) dryRun(t *testing.T) *said {
	t.Helper()
	plan := s.plan(t, builtin.Registry())
	keys, err := keys.NewReader(plan.Store, s.dir, s.log)
	if err != nil {
		t.Fatal(err)
	}
	got := newSaid()
	s.withBroker(t, func(settings kafka.Settings, admin *kafka.Admin) {
		topics, err := admin.Topics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		id := func(name string) ([16]byte, bool) {
			i := slices.IndexFunc(topics, func(k kafka.Topic) bool { return k.Name == name })
			return topics[max(i, 0)].ID, i >= 0
		}
		p, err := preview.New(t.Context(), plan, plan.Pipelines, preview.Deps{Version: "test", Keys: keys, TopicID: id, Logger: s.log})
		if err != nil {
			t.Fatal(err)
		}
		reader := preview.Topics{Settings: settings, Admin: admin, Deps: kafka.Deps{Logger: s.log}}
		items, _, err := reader.Sample(t.Context(), plan.Pipelines, preview.Window{Last: -1})
		if err != nil {
			t.Fatal(err)
		}
		for batch := range slices.Chunk(items, 700) {
			results, err := p.DryRun(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			for i := range results {
				got.add(&results[i])
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	return got
}

func (s *said) add(r *preview.Result) {
	where := at{pipeline: r.Pipeline, topic: r.Record.Topic, partition: r.Record.Partition, offset: r.Record.Offset}
	s.Records[where] = ended{r.Outcome, r.Reason, text(r.Err)}
	if r.Outcome == outcome.DeadLettered && len(r.Writes) == 0 {
		s.Letters[where] = letter(string(r.Stage), r.Reason, text(r.Err), r.Key)
	}
	for _, w := range r.Writes {
		where.sink = w.Sink
		switch w.Outcome {
		case outcome.Delivered:
			s.Writes[where] = w.ID + " " + requestText(w.Request)
		case outcome.DeadLettered:
			s.Letters[where] = letter(string(w.Stage), w.Reason, text(w.Err), r.Key)
		}
	}
}

func letter(parts ...string) string { return strings.Join(parts, " | ") }

// run runs the configuration until the end of its topics.
func (s *stage) run(t *testing.T) *said {
	t.Helper()
	w := &watcher{said: newSaid()}
	plan := s.plan(t, w.registry())
	runner := pipeline.NewRunner(plan, pipeline.RunnerDeps{
		Version: "test", StateDir: s.dir, Stdout: io.Discard, Logger: s.log, Observer: w, UntilEnd: true,
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := runner.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("the run did not end: ", runner.Status())
	}
	if len(w.more) > 0 {
		t.Error(w.more[:min(len(w.more), 10)])
	}
	s.withBroker(t, func(settings kafka.Settings, _ *kafka.Admin) {
		for _, p := range plan.Pipelines {
			s.letters(t, settings, p.DeadLetter, w.said)
		}
	})
	return w.said
}

// letters reads a dead-letter topic.
func (s *stage) letters(t *testing.T, settings kafka.Settings, topic string, into *said) {
	t.Helper()
	reader, err := kafka.NewReader(settings, kafka.Deps{Logger: s.log}, topic, kafka.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for {
		records, err := reader.Next(t.Context())
		for _, r := range records {
			l, err := letters.Decode(r)
			if err != nil {
				t.Fatal(err)
			}
			where := at{pipeline: l.Pipeline, sink: l.Sink, topic: l.Record.Topic, partition: l.Record.Partition, offset: l.Record.Offset}
			into.Letters[where] = letter(l.Stage, l.Reason, l.LastError, l.Key)
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// same compares what a dry run said with what a run did.
func same(t *testing.T, dry, run *said) {
	t.Helper()
	differ(t, "outcome", dry.Records, run.Records)
	differ(t, "write", dry.Writes, run.Writes)
	differ(t, "dead letter", dry.Letters, run.Letters)
}

func differ[V comparable](t *testing.T, what string, dry, run map[at]V) {
	t.Helper()
	shown := 0
	all := maps.Clone(dry)
	maps.Copy(all, run)
	for where := range all {
		d, inDry := dry[where]
		r, inRun := run[where]
		if d == r && inDry == inRun {
			continue
		}
		if shown++; shown <= 5 {
			t.Errorf("%s of %+v (dry run %v, run %v):\n%s", what, where, inDry, inRun, cmp.Diff(d, r))
		}
	}
	if shown > 5 {
		t.Errorf("and %d more of %ss differ", shown-5, what)
	}
}

// examples are the folders of the project's examples.
func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../examples/*/want.txt")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for i, file := range files {
		files[i] = filepath.Join(filepath.Dir(file), "pipelines.yaml")
	}
	return files
}
