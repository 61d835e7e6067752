package compile_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/outcome"
)

// nowhere is a producer for sinks that are only to render.
type nowhere struct{}

func (nowhere) Produce(context.Context, []*handlers.Record) error { return nil }

// TestARecordCannotChooseItsOwnSource renders topics that records name: those that
// the pipeline reads, its dead letters, the cluster's own and illegal ones are the
// record's error.
func TestARecordCannotChooseItsOwnSource(t *testing.T) {
	for source, c := range map[string]struct {
		name string
		want string
	}{
		"{topic: in}":         {"in", "the pipeline reads the topic"},
		"{topics: [a, b]}":    {"b", "the pipeline reads the topic"},
		"{pattern: '^in_.*'}": {"in_x", "the pipeline reads the topic"},
		"{topic: c}":          {"p.dead-letter", "dead letters"},
		"{topic: d}":          {"p.dead-letter.resolved", "dead letters"},
		"{topic: e}":          {"__consumer_offsets", "internal"},
		"{topic: f}":          {"a/b", "no legal topic name"},
		"{topic: g}":          {"..", "no legal topic name"},
		"{topic: h}":          {"out", ""},
	} {
		yaml := "pipelines: {p: {source: " + source + ", sinks: [{kafka: {topic: '${payload.x}'}}]}}"
		plan, problems := compile.Load([]string{"-"}, config.Options{Stdin: strings.NewReader(yaml)}, builtin.Registry())
		if plan == nil {
			t.Fatal(problems)
		}
		p := plan.Pipelines[0]
		sink, err := p.Sinks()[0].Spec.Open(p.Sinks()[0].Config, handlers.Env{Producer: nowhere{}})
		if err != nil {
			t.Fatal(err)
		}
		value := fmt.Sprintf(`{"x": %q}`, c.name)
		dec := decide.NewDecider(p, []handlers.Sink{sink}).Decide(&handlers.Record{Topic: "in", Value: []byte(value)})
		if len(dec.Writes) != 1 {
			t.Fatalf("%s: %+v", source, dec)
		}
		write := dec.Writes[0]
		switch {
		case c.want == "" && write.Err != nil:
			t.Errorf("%s to %s: %v", source, c.name, write.Err)
		case c.want != "" && (write.Err == nil || write.Stage != outcome.StageRender || !strings.Contains(write.Err.Error(), c.want)):
			t.Errorf("%s to %s: %v at %q, want %q", source, c.name, write.Err, write.Stage, c.want)
		}
	}
}
