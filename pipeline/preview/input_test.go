package preview_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
)

const several = `
version: 1
pipelines:
  a: {source: {topics: [orders, returns]}, sinks: [{stdout: {}}]}
  b: {source: {topic: orders}, sinks: [{stdout: {}}]}
  c: {source: {pattern: '^logs_.*'}, sinks: [{stdout: {}}]}
`

const aLine = `a line is a record such as {"payload": …}, or with --values a bare value`

func newInput(plan *plan.Plan, lines string, chosen ...int) *preview.Input {
	pipelines := plan.Pipelines
	if len(chosen) > 0 {
		pipelines = nil
		for _, i := range chosen {
			pipelines = append(pipelines, plan.Pipelines[i])
		}
	}
	return preview.NewInput("in.jsonl", strings.NewReader(lines), plan, pipelines)
}

func TestInput(t *testing.T) {
	plan := load(t, several, nil)
	for name, c := range map[string]struct {
		lines  string
		chosen []int
		want   string
	}{
		"defaults": {
			"{\"payload\": 1}\n\n  {\"payload\": null} \r\n{\"payload\": 1, \"offset\": 9, \"partition\": 2}\n{\"payload\": 1, \"partition\": 2}\n{\"value\": \"\"}", []int{0, 1},
			"orders/0/0[0 1] orders/0/1[0 1] orders/2/9[0 1] orders/2/10[0 1] orders/0/2[0 1] EOF",
		},
		"topics":                {`{"topic": "returns", "payload": 1}` + "\n" + `{"topic": "logs_x", "payload": 1}`, nil, "returns/0/0[0] logs_x/0/0[2] EOF"},
		"of others":             {`{"topic": "logs_x", "payload": 1}` + "\n" + `{"payload": 1}`, []int{1}, "orders/0/0[0] EOF left 1"},
		"unknown topic":         {`{"payload": 1}` + "\n" + `{"topic": "order", "payload": 1}`, []int{0}, `orders/0/0[0] in.jsonl:2: no pipeline reads topic "order" (did you mean "orders"?)`},
		"no JSON":               {"\n{", []int{0}, "in.jsonl:2: the JSON ends too early; " + aLine},
		"bare payloads":         {`{"id": 1}`, []int{0}, `in.jsonl:1: unknown field "id"; ` + aLine},
		"a byte order mark":     {"\xef\xbb\xbf{\"payload\": 1}", []int{0}, "orders/0/0[0] EOF"},
		"a pattern, no topic":   {`{"payload": 1}`, []int{2}, `in.jsonl:1: the record has no topic, and pipeline "c" reads a pattern: add "topic" to it`},
		"pipelines of patterns": {`{"payload": 1}`, nil, `in.jsonl:1: the record has no topic, and pipeline "c" reads a pattern: add "topic" to it`},
		"empty":                 {"", nil, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			input := newInput(plan, c.lines, c.chosen...)
			var got []string
			for {
				items, err := input.Next()
				for _, item := range items {
					got = append(got, fmt.Sprintf("%s/%d/%d%v", item.Record.Topic, item.Record.Partition, item.Record.Offset, item.Pipelines))
				}
				if err != nil {
					got = append(got, err.Error())
					var line *preview.InputError
					if !errors.Is(err, io.EOF) && !errors.As(err, &line) {
						t.Errorf("an error without its line: %v", err)
					}
					break
				}
			}
			if input.Left > 0 {
				got = append(got, fmt.Sprint("left ", input.Left))
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("\n got %s\nwant %s", text, c.want)
			}
		})
	}
}

// TestInputDoesNotWaitForMore hands out what has come, as of a pipe that stays
// open.
func TestInputDoesNotWaitForMore(t *testing.T) {
	plan := load(t, several, nil)
	r, w := io.Pipe()
	defer w.Close()
	wrote := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w, "{\"topic\": \"orders\", \"payload\": 1}\n{\"topic\": \"orders\", \"payload\": 2}\n")
		wrote <- err
	}()
	items, err := preview.NewInput("pipe", r, plan, plan.Pipelines).Next()
	if err != nil || len(items) != 2 {
		t.Errorf("%d items, %v", len(items), err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
}
