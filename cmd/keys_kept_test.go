package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// inbox is a sink that keeps its own keys: it knows those that a test gives it.
type inbox struct{ known map[[32]byte]*handlers.Kept }

type inboxConfig struct {
	To handlers.Template `yaml:"to" required:"true" doc:"Where to."`
}

func (inbox) Render(handlers.View) (any, error)            { return "request", nil }
func (inbox) Write(context.Context, []handlers.Call) error { return nil }
func (inbox) Close(context.Context) error                  { return nil }
func (inbox) Forget(context.Context, [][32]byte) error     { return nil }
func (b inbox) Kept(_ context.Context, ids [][32]byte) ([]*handlers.Kept, error) {
	all := make([]*handlers.Kept, len(ids))
	for i, id := range ids {
		all[i] = b.known[id]
	}
	return all, nil
}

// keys get and explain ask a sink that keeps the keys of its effects itself.
func TestKeysThatASinkKeeps(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	known := map[[32]byte]*handlers.Kept{
		idempotency.Identity("p", "inbox", 1, "k:1"): {At: at, Expires: at.Add(time.Hour), Answer: "row 7"},
		idempotency.Identity("p", "inbox", 1, "k:2"): {At: at, Expires: at.Add(time.Hour), Parked: true},
	}
	spec := handlers.Define("inbox", "Keeps keys.", "inbox: {to: x}\n", func(inboxConfig, handlers.Env) (handlers.Sink, error) { return inbox{known}, nil })
	program := program{registry: handlers.NewRegistry(append(builtin.Specs(), spec)...)}
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {in: {partitions: 1}}
pipelines:
  p:
    source: {topic: in}
    idempotency: {key: 'k:${payload.id}'}
    sinks: [{inbox: {to: there}}, {stdout: {}}]
`)
	run := func(code int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := program.run(t.Context(), append(args, "-f", filepath.Join(dir, "pipelines.yaml")), strings.NewReader(""), &out, &errs); got != code {
			t.Fatalf("%v: code %d\n%s%s", args, got, out.String(), errs.String())
		}
		return out.String()
	}
	wants := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("it lacks %q:\n%s", want, text)
			}
		}
	}
	run(0, "topics", "apply", "--yes")
	run(0, "publish", "in", `{"id":1}`, `{"id":2}`)
	wants(run(0, "keys", "get", "p", "k:1"), `p inbox: the sink itself keeps done 2026-01-31T08:00:00.000Z, the sink answered "row 7"`, "p stdout: not there")
	wants(run(0, "keys", "get", "p", "k:2"), "p inbox: the sink itself keeps parked 2026-01-31")
	wants(run(1, "keys", "get", "p", "k:3", "--exit-code"), "p inbox: the sink itself keeps nothing of this key", "p inbox: not there")
	run(0, "keys", "get", "p", "k:1", "--sink", "inbox", "--exit-code")
	var got struct {
		Sink string
		Kept *struct{ State, Answer string }
	}
	if err := json.Unmarshal([]byte(run(0, "keys", "get", "p", "k:1", "--sink", "inbox", "--format", "json")), &got); err != nil || got.Kept == nil || got.Kept.State != "confirmed" || got.Kept.Answer != "row 7" {
		t.Errorf("%+v, %v", got, err)
	}
	wants(run(0, "explain", "p", "--at", "in/0/0"), "inbox, generation 1: done 2026-01-31T08:00:00.000Z", "waiting for stdout, while its other sinks are done")
	wants(run(0, "explain", "p", "--at", "in/0/1", "--format", "json"), `"kept":{"state":"parked"`)
	if slices.Contains(builtin.Registry().Kinds(), "inbox") {
		t.Error("the test's sink is in every binary")
	}
}
