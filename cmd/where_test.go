package cmd

import (
	"strings"
	"testing"
)

// A --where that fails says so: for all records it was asked of none, which is a
// failure; for some, those are counted.
func TestWhereCountsItsErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", "limits: {steps: 10000}\nkafka: {embedded: {listen: 127.0.0.1:0}}\ntopics: {in: {partitions: 1}}\npipelines: {p: {source: {topic: in}, sinks: [{stdout: {}}]}}\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"publish", "in", "--create", `{"id":"a"}`, `{"id":"b"}`}, 0, "published 2"},
		{[]string{"tail", "in", "--until-end", "--where", "payload.id > 3"}, 1, "--where failed for 2 of 2 records, first: in/"},
		{[]string{"explain", "--where", "payload.id > 3"}, 1, "--where failed for 2 of 2 records, first: in/"},
		{[]string{"publish", "in", "not JSON", `{"id":5}`}, 0, "published 2"},
		{[]string{"tail", "in", "--until-end", "--where", "payload.id == 5"}, 0, "--where failed for 1 of 4 records"},
		{[]string{"explain", "--where", "payload.id == 5"}, 0, "--where failed for 1 of 4 records"},
		{[]string{"tail", "in", "--until-end", "--where", "value == 'x'"}, 0, "--where holds for none of 4 records"},
		{[]string{"publish", "in", `{"id":"` + strings.Repeat("a", 20_000) + `"}`}, 0, "published 1"},
		{[]string{"tail", "in", "--until-end", "--where", "value contains 'x'"}, 0, "--where failed for 1 of 5 records, first: in/"},
		{[]string{"explain", "--where", "value contains 'x'"}, 1, "the expressions take more than 10000 steps"},
	} {
		code, out, errs := millrace(t, dir, c.args...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%v: code %d, lacks %q:\n%s%s", c.args, code, c.want, out, errs)
		}
	}
}
