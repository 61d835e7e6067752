package preview_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/preview"
)

// TestHints names what looks like a mistake where all records meet the same.
func TestHints(t *testing.T) {
	many := func(n int, line string) string {
		var lines strings.Builder
		for i := range n {
			fmt.Fprintf(&lines, line+"\n", i)
		}
		return lines.String()
	}
	for name, c := range map[string]struct {
		config, records string
		want            []string
	}{
		"a value that none has": {
			"filter: payload.status == 'PAID'", many(3, `{"payload": {"status": "paid", "n": %d}}`) + many(1, `{"payload": {"status": "open", "n": %d}}`),
			[]string{"the filter dropped every record: payload.status == 'PAID'", `payload.status was "paid" in 75 %, "open" in 25 %`},
		},
		"a field that none has": {
			"filter: payload.state == 'paid'", many(3, `{"payload": {"status": "paid", "n": %d}}`),
			[]string{"the filter dropped every record: payload.state == 'paid'", "payload.state was missing or null in all of them"},
		},
		"many values": {
			"filter: payload.n > 1000", many(200, `{"payload": {"n": %d}}`),
			[]string{"the filter dropped every record: payload.n > 1000", "payload.n was 0 in <1 %, 1 in <1 %, 10 in <1 %, and 197 others"},
		},
		"a filter that drops nothing": {"filter: payload.n >= 0", many(10, `{"payload": {"n": %d}}`), []string{"the filter dropped no record: payload.n >= 0"}},
		"few records":                 {"filter: payload.n >= 0", many(3, `{"payload": {"n": %d}}`), nil},
		"one key for all": {
			"idempotency: {key: 'x${payload.k}', ttl: 8d}", many(5, `{"payload": {"k": 1, "n": %d}}`),
			[]string{"all records but one repeat the same key: does the key name the effect?"},
		},
		"no JSON": {
			"", many(2, `{"value": "a=%d"}`),
			[]string{"every record would be dead-lettered: 2 decode_failed", "no value could be read: is source.format right?"},
		},
		"a stop": {
			"on_error: stop\n    filter: payload.n > 0", `{"payload": {"n": 1}}` + "\n" + `{"payload": {}}`,
			[]string{"the pipeline would stop at orders/0/1 (filter_failed): what follows is shown as if it went on"},
		},
		"tombstones": {"filter: payload.n == 1", "{\"payload\": null}\n{\"payload\": null}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			plan := load(t, "version: 1\npipelines:\n  p:\n    source: {topic: orders}\n    sinks: [{stdout: {}}]\n    "+c.config+"\n", nil)
			p := open(t, plan, nil)
			decide(t, p, plan, c.records)
			if diff := cmp.Diff(c.want, p.Summaries()[0].Hints()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestMissing counts what the filter, the key and the transform read, and what
// routes and sinks read of the transformed record.
func TestMissing(t *testing.T) {
	plan := load(t, `
version: 1
pipelines:
  p:
    source: {topic: orders}
    filter: payload.a
    transform: {payload: {b: 'payload.b.c ?? nil'}}
    sinks: [{when: payload.b, stdout: {}}]
`, nil)
	p := open(t, plan, nil)
	decide(t, p, plan, `
{"payload": {"a": true, "b": {"c": true}}}
{"payload": {"a": true, "b": {}}}
{"payload": {"a": null}}
{"payload": null}
{"value": "no JSON"}
`)
	want := []preview.Field{{Name: "payload.b.c", Missing: 2, Among: 3}, {Name: "payload.a", Missing: 1, Among: 3}, {Name: "transformed payload.b", Missing: 1, Among: 2}}
	if diff := cmp.Diff(want, p.Summaries()[0].Missing()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSinksOfOneName counts a write once, whichever routes have a sink of its name.
func TestSinksOfOneName(t *testing.T) {
	plan := load(t, `
version: 1
pipelines:
  p:
    source: {topic: orders}
    routes:
      - {when: payload.a == 1, sinks: [{kafka: {topic: one}}]}
      - {when: payload.a == 2, sinks: [{kafka: {topic: two}}]}
      - {when: payload.a == 3, sinks: [{kafka: {topic: 'three${payload.z}'}}]}
`, nil)
	p := open(t, plan, nil)
	decide(t, p, plan, `{"payload": {"a": 1}}`+"\n"+`{"payload": {"a": 3}}`)
	want := []preview.SinkSummary{{Name: "kafka", Outcomes: map[outcome.Outcome]int{outcome.Delivered: 1, outcome.DeadLettered: 1}}}
	if diff := cmp.Diff(want, p.Summaries()[0].Sinks); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
