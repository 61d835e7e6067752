package compile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/topics"
)

// bridge is the config of a sink that Millrace knows by its Spec alone: none of its
// fields is named as one of a built-in sink is.
type bridge struct {
	Stream handlers.Template `yaml:"stream" place:"topic" doc:"Where records go."`
	Target handlers.Template `yaml:"target" place:"url" schemes:"mqtt,mqtts" doc:"Where they go as well."`
	Peers  []string          `yaml:"peers" hosts:"true" doc:"The hosts of targets."`
	Any    handlers.Template `yaml:"any" place:"url" doc:"A URL of any scheme."`
	Audit  string            `yaml:"audit" doc:"Where a note of each goes."`
	Log    bool              `yaml:"log" doc:"Whether one goes to the topic bridge-log."`
}

// Topics are those that no template names.
func (b *bridge) Topics() (all []handlers.FieldTopic) {
	if b.Audit != "" {
		all = append(all, handlers.FieldTopic{Field: "audit", Topic: b.Audit})
	}
	if b.Log {
		all = append(all, handlers.FieldTopic{Topic: "bridge-log"})
	}
	return all
}

func loadBridge(t *testing.T, sinks string) (*plan.Plan, string) {
	t.Helper()
	spec := handlers.Define("bridge", "Carries records over.", "bridge: {stream: out}\n", func(bridge, handlers.Env) (handlers.Sink, error) { return nil, nil })
	dir := t.TempDir()
	file := filepath.Join(dir, "p.yaml")
	text := "pipelines:\n  a: {source: {topics: [in, audit, bridge-log]}, sinks: [" + sinks + "]}\n  b: {source: {topic: b-in}, sinks: [{kafka: {topic: in}}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	plan, problems := compile.Load([]string{file}, config.Options{}, builtin.Registry(spec))
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatText, problems, false); err != nil {
		t.Fatal(err)
	}
	return plan, strings.ReplaceAll(out.String(), dir+"/", "")
}

// TestOwnSinkIsAsked has a sink that is none of the built-in ones take part in what
// is found out about topics and hosts, by what its tags and its config say.
func TestOwnSinkIsAsked(t *testing.T) {
	for _, c := range []struct {
		sinks string
		want  []string // of what is said, nothing where it is empty
	}{
		{`{bridge: {stream: out}}`, nil},
		{`{bridge: {stream: in}}`, []string{`the pipeline reads the topic "in" that it writes to`, "stream: in", "^"}},
		{`{bridge: {stream: b-in}}`, []string{"warning: pipelines feed each other in a circle: a → b → a"}},
		{`{bridge: {stream: 'i${payload.x}'}}`, []string{"the pipeline may read what it writes: the topic may be in"}},
		{`{bridge: {stream: "a b"}}`, []string{"no legal topic name"}},
		{`{bridge: {audit: audit}}`, []string{`p.yaml:2:75: the pipeline reads the topic "audit" that it writes to`}},
		{`{bridge: {audit: __x}}`, []string{"the topic is internal"}},
		{`{bridge: {audit: "a b"}}`, []string{`"a b" is no legal name of a topic`}},
		{`{bridge: {audit: a.dead-letter}}`, []string{"is that of the pipeline's dead letters"}},
		{`{bridge: {log: true}}`, []string{`the pipeline reads the topic "bridge-log" that it writes to`}},
		{`{bridge: {stream: out, audit: b-in}}`, []string{"feed each other in a circle"}},
		{`{bridge: {audit: note, stream: 'i${payload.x}'}}`, []string{"the pipeline may read what it writes"}},
		{`{bridge: {target: 'mqtts://h/${payload.x}', any: 'amqp:h/x'}}`, nil},
		{`{bridge: {target: 'localhost:1883/x'}}`, []string{"the URL has no mqtt:// or mqtts://", "hint: write mqtt://localhost:1883/x"}},
		{`{bridge: {target: 'broker.example.com/x'}}`, []string{"hint: write mqtts://broker.example.com/x"}},
		{`{bridge: {target: 'mqtts:/broker/x'}}`, []string{"hint: write mqtts://broker/x"}},
		{`{bridge: {any: 'localhost:1883/x'}}`, nil},
		{`{bridge: {target: 'mqtt://${payload.host}/x'}}`, []string{"the scheme and the host of a URL must not depend on the record"}},
		{`{bridge: {target: 'mqtt://${payload.host}/x', peers: [h]}}`, nil},
		{`{bridge: {target: 'mqtt://${payload.host}/x', audit: allowed_hosts}}`, []string{"the scheme and the host of a URL must not depend on the record"}},
	} {
		_, said := loadBridge(t, c.sinks)
		if (said == "") != (c.want == nil) {
			t.Errorf("%s: %s", c.sinks, said)
		}
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s does not say %q:\n%s", c.sinks, want, said)
			}
		}
	}
}

// TestOwnSinksTopicsAreMade: they are among those that a start makes, and on the graph.
func TestOwnSinksTopicsAreMade(t *testing.T) {
	plan, said := loadBridge(t, `{bridge: {audit: note, stream: out}}`)
	if said != "" {
		t.Fatal(said)
	}
	var names []string
	for _, want := range topics.Wanted(plan) {
		names = append(names, want.Name)
	}
	if diff := cmp.Diff([]string{"in", "audit", "bridge-log", "a.dead-letter", "out", "note", "b-in", "b.dead-letter"}, names); diff != "" {
		t.Error(diff)
	}
}
