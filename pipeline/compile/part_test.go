package compile_test

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

// A command that uses one block is stopped by what is wrong in that block and by
// nothing else, and never takes a block that it could not read for one that is
// not there: another broker would answer.
func TestLoadPart(t *testing.T) {
	const head = "version: 1\n"
	const kafka = "kafka: {brokers: [k:1]}\nidempotency: {store: redis://r:6379/0}\n"
	const sound = "  a: {source: {topic: t}, idempotency: {key: 'a:${payload.id}'}, sinks: [{stdout: {}}]}\n"
	for _, c := range []struct {
		name, text string
		// stops is what stops the command, empty for nothing; elsewhere how many
		// errors are left to others.
		stops     string
		elsewhere int
	}{
		{"nothing wrong", head + kafka + "pipelines:\n" + sound, "", 0},
		{"no pipelines", head + kafka, "", 0},
		{"a sink's variable", head + kafka + "pipelines:\n  a: {source: {topic: t}, sinks: [{http: {url: 'http://h/${env.GONE}'}}]}\n", "", 0},
		{"a filter's variable", head + kafka + "pipelines:\n  a: {source: {topic: t}, filter: env.GONE == key, sinks: [{stdout: {}}]}\n", "", 1},
		{"a mistake in a pipeline", head + kafka + "pipelines:\n" + sound + "  b: {source: {topc: t}, sinks: [{stdout: {}}]}\n", "", 1},
		{"half a file", head + kafka + "topics: {a: {partitions: 1}}\npipelines:\n  a:\n    filter: [1, 2\n    sinks: [{stdout: {}}]\n", "", 1},
		{"half a file, and what is used behind it", head + "pipelines:\n  a: {source: {topic: t\n\n" + kafka, "", 1},
		{"two halves", head + "drain: [\npipelines:\n  a: {source: {topic: t\n" + kafka, "", 2},
		{"the block's variable", head + "kafka: {brokers: ['${env.GONE}']}\n", "GONE is not set", 0},
		{"the block is half", head + "kafka: {brokers: [k:1\npipelines:\n" + sound, "never closed", 0},
		{"the block's name", head + "kafak: {brokers: [k:1]}\n", "kafak", 0},
		{"a line of no block", head + "kafka {brokers: [k:1]}\npipelines:\n" + sound, "", -1},
		{"no store", head + "kafka: {brokers: [k:1]}\npipelines:\n" + sound, "idempotency.store must be written", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := config.Options{Env: func(string) (string, bool) { return "", false }, Texts: map[string][]byte{"p.yaml": []byte(c.text)}}
			part := compile.LoadPart([]string{"p.yaml"}, o, builtin.Registry(), func(p diag.Problem) bool {
				return p.Path.Within("kafka") || p.Path.Within("idempotency") || p.Code == diag.CodeStore
			})
			switch {
			case c.stops == "" && c.elsewhere >= 0:
				if part.Plan == nil || len(part.Plan.Kafka.Brokers) != 1 || len(part.Elsewhere) != c.elsewhere {
					t.Errorf("plan %v, problems:\n%v\nelsewhere:\n%v", part.Plan != nil, part.Problems, part.Elsewhere)
				}
			case part.Plan != nil || !strings.Contains(part.Problems.Error(), c.stops):
				t.Errorf("plan %v, problems: %v", part.Plan != nil, part.Problems)
			}
		})
	}
}
