// Package examples runs every example folder, on the embedded broker or on real
// components, and compares what comes of its records with want.txt.
package examples

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
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
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/topics"
)

var update = flag.Bool("update", false, "rewrite want.txt")

// bed is what the examples run on.
type bed struct {
	// brokers are a cluster's; none means the embedded broker.
	brokers []string
	// store is where keys live, on a cluster.
	store string
}

// put makes a plan run on the bed.
func (b bed) put(planned *plan.Plan) {
	if len(b.brokers) == 0 {
		planned.Embedded = "127.0.0.1:0"
		return
	}
	planned.Embedded, planned.Kafka.Brokers = "", b.brokers
	planned.Store = plan.Store{URL: handlers.Secret(b.store), OnReset: plan.ActionBlock}
}

func TestExamples(t *testing.T) { runExamples(t, bed{}) }

// runExamples runs every folder on the bed.
func runExamples(t *testing.T, b bed) {
	folders, err := filepath.Glob("*/want.txt")
	if err != nil || len(folders) < 4 {
		t.Fatalf("found %d examples, %v", len(folders), err)
	}
	for _, file := range folders {
		t.Run(filepath.Dir(file), func(t *testing.T) { t.Parallel(); runExample(t, b, filepath.Dir(file)) })
	}
}

func runExample(t *testing.T, b bed, dir string) {
	var receiver recorder
	server := httptest.NewServer(&receiver)
	defer server.Close()
	files := t.TempDir()
	vars := map[string]string{"RECEIVER": server.URL, "CLICKS": files}
	env := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	plan, problems := compile.Load([]string{filepath.Join(dir, "pipelines.yaml")}, config.Options{Env: env}, builtin.Registry())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	b.put(plan)
	records := readRecords(t, filepath.Join(dir, "records.jsonl"))

	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	ready := make(chan api.Status, 1)
	runner := pipeline.NewRunner(plan, pipeline.RunnerDeps{
		Version: "test", StateDir: t.TempDir(), Stdout: io.Discard, Logger: log, CreateTopics: true, OnReady: func(s api.Status) { ready <- s },
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	var status api.Status
	select {
	case status = <-ready:
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("not ready after a minute: ", runner.Status())
	}

	settings := kafka.Settings{Brokers: []string{status.Broker}}
	publisher, err := kafka.NewPublisher(settings, kafka.Deps{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := publisher.Produce(ctx, records); err != nil {
		t.Fatal(err)
	}
	if err := publisher.Close(); err != nil {
		t.Fatal(err)
	}
	got := outcomes(t, runner, len(records)) + receiver.String() + contents(t, files) + topicsOf(t, settings, plan, log)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}

	want := filepath.Join(dir, "want.txt")
	if *update {
		if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func readRecords(t *testing.T, path string) []*handlers.Record {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var records []*handlers.Record
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		r, err := handlers.DecodeJSON(lines.Bytes(), handlers.Record{Partition: -1, Offset: -1})
		if err != nil {
			t.Fatalf("%s:%d: %v", path, len(records)+1, err)
		}
		records = append(records, r)
	}
	return records
}

// outcomes waits until every record is finished.
func outcomes(t *testing.T, runner *pipeline.Runner, records int) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var text strings.Builder
		finished := int64(0)
		for _, p := range runner.Status().Pipelines {
			fmt.Fprintf(&text, "%s:", p.Name)
			for _, o := range outcome.All() {
				if n := p.Outcomes[string(o)]; n > 0 {
					fmt.Fprintf(&text, " %d %s", n, o)
					finished += n
				}
			}
			text.WriteString("\n")
		}
		if finished >= int64(records) {
			return text.String()
		}
		if time.Now().After(deadline) {
			t.Fatalf("not finished after a minute:\n%s", text.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// contents lists what was written to files.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		for line := range strings.Lines(string(text)) {
			lines = append(lines, filepath.ToSlash(name)+": "+line)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// topicsOf lists what was written to topics other than the sources.
func topicsOf(t *testing.T, settings kafka.Settings, plan *plan.Plan, log *slog.Logger) string {
	t.Helper()
	a, err := kafka.NewAdmin(settings, kafka.Deps{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	all := map[string]bool{}
	for _, w := range topics.Wanted(plan) {
		all[w.Name] = true
	}
	if plan.Embedded != "" {
		// Whatever was made there is this example's.
		there, err := a.Topics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range there {
			all[topic.Name] = true
		}
	}
	var lines []string
	for topic := range all {
		if slices.Contains(plan.Pipelines[0].Source.Topics, topic) {
			continue
		}
		reader, err := kafka.NewReader(settings, kafka.Deps{Logger: log}, topic, kafka.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			records, err := reader.Next(t.Context())
			for _, r := range records {
				lines = append(lines, describe(r))
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		reader.Close()
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// describe is a record without what differs from run to run.
func describe(r *handlers.Record) string {
	if l, err := letters.Decode(r); err == nil {
		return fmt.Sprintf("%s: %s (%s: %s)\n", r.Topic, r.Value, l.Reason, l.LastError)
	}
	return fmt.Sprintf("%s: %s\n", r.Topic, r.Value)
}

// recorder is a receiver that takes every request and keeps it.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(req.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf("%s %s %s\n", req.Method, req.URL.Path, body.String()))
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.lines)
	return strings.Join(r.lines, "")
}
