package preview_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// load compiles a configuration whose folder has the given files as well.
func load(t *testing.T, text string, files map[string]string) *plan.Plan {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "pipelines.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	plan, problems := compile.Load([]string{path}, config.Options{}, builtin.Registry())
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return plan
}

// open makes a preview of all pipelines of a plan.
func open(t *testing.T, plan *plan.Plan, keys keys.Reader) *preview.Preview {
	t.Helper()
	p, err := preview.New(t.Context(), plan, plan.Pipelines, preview.Deps{Version: "test", Keys: keys, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return p
}

// decide runs lines of records through a preview.
func decide(t *testing.T, p *preview.Preview, plan *plan.Plan, lines string) []preview.Result {
	t.Helper()
	results, err := p.DryRun(t.Context(), itemsOf(t, plan, lines))
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// itemsOf reads lines of records for all pipelines of a plan.
func itemsOf(t *testing.T, plan *plan.Plan, lines string) []preview.Item {
	t.Helper()
	input := preview.NewInput("records.jsonl", strings.NewReader(lines), plan, plan.Pipelines)
	var all []preview.Item
	for {
		items, err := input.Next()
		all = append(all, items...)
		if errors.Is(err, io.EOF) && len(all) > 0 {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// keyRows is a store that holds rows by key, for one pipeline and sink.
type keyRows struct {
	rows map[idempotency.ID]*idempotency.Row
	now  time.Time
	err  error
}

func (k *keyRows) Get(_ context.Context, ids []idempotency.ID) ([]*idempotency.Row, time.Time, error) {
	rows := make([]*idempotency.Row, len(ids))
	for i, id := range ids {
		rows[i] = k.rows[id]
	}
	return rows, k.now, k.err
}

func (k *keyRows) Close() error { return nil }

// golden compares text with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(bytes.ReplaceAll(got, []byte("\r"), nil))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
