package cmd

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// TestEval runs the command in this process: records in, values out.
func TestEval(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "token", "s3cret\n")
	write(t, dir, "schema.json", `{"type": "object", "properties": {"status": {"type": "string"}}}`)
	write(t, dir, "pipelines.yaml", `version: 1
topics: {orders: {schema: schema.json}}
pipelines:
  orders: {source: {topic: orders}, sinks: [{stdout: {}}]}
  raw: {source: {topic: raw, format: bytes}, sinks: [{stdout: {}}]}
`)
	write(t, dir, "records.jsonl", `{"payload": {"n": 12345678901234567890, "s": "ä\"<"}, "key": "k"}`+"\n\n"+`{"payload": {"n": 1.10}}`+"\n")
	write(t, dir, "small.yaml", "limits: {steps: 10000}\npipelines: {p: {source: {topic: t}, sinks: [{stdout: {}}]}}\n")
	write(t, dir, "long.jsonl", `{"payload": {"s": "`+strings.Repeat("a", 20_000)+`"}}`+"\n"+`{"payload": {"s": "a"}}`+"\n")
	t.Chdir(dir)
	t.Setenv("NAME", "value")
	for name, c := range map[string]struct {
		args  []string
		stdin string
		code  int
		out   string
		errs  string
	}{
		"constant":              {args: []string{"1 + 2"}, out: "3\n"},
		"constant, text":        {args: []string{`"a<" + env.NAME`}, out: `"a<value"` + "\n"},
		"raw text":              {args: []string{"-r", "env.NAME"}, out: "value\n"},
		"${ in quotes":          {args: []string{`replaceAll("abc", "(b)", "[${1}x]")`}, out: `"a[bx]c"` + "\n"},
		"${ in a slip's quotes": {args: []string{`replaceAl("abc", "(b)", "[${1}x]")`}, code: 2, errs: "replaceAl"},
		"a quoted template":     {args: []string{`"${payload.n}"`}, stdin: `{"payload": {"n": 1}}`, out: `"\"1\""` + "\n"},
		"template of JSON":      {args: []string{`see {"n": ${payload.n}}`}, stdin: `{"payload": {"n": 1}}`, out: `"see {\"n\": 1}"` + "\n"},
		"constant template":     {args: []string{"-r", "x-${env.NAME}"}, out: "x-value\n"},
		"what a file holds":     {args: []string{`"Bearer " + file("token")`}, out: "\"[redacted]\"\n"},
		"no part of a record":   {args: []string{"sum([1, 2])"}, out: "3\n"},
		"local name":            {args: []string{"let x = 3; x + 1"}, stdin: "{}", out: "4\n"},
		"a part in a function":  {args: []string{"len(topic)"}, out: ""},
		"records of a file":     {args: []string{"payload.n", "--input", "records.jsonl"}, out: "12345678901234567890\n1.10\n"},
		"records of stdin":      {args: []string{"payload"}, stdin: `{"payload": {"a" : 1.0}}`, out: `{"a" : 1.0}` + "\n"},
		"template":              {args: []string{"${key}:${payload.s}", "--input", "records.jsonl"}, code: 1, out: `"k:ä\"<"` + "\n", errs: "records.jsonl:3: ${key}: it is null\n  ${key}:${payload.s}\n  ^^^^^^\nmillrace: the expression failed for 1 of 2 records\n"},
		"values":                {args: []string{"payload.a", "--values"}, stdin: "{\"a\": 1}\n{\"a\": 2}\n", out: "1\n2\n"},
		"within the limits":     {args: []string{"len(payload.s)", "--input", "long.jsonl"}, out: "20000\n1\n"},
		"too costly":            {args: []string{"len(payload.s)", "--input", "long.jsonl", "-f", "small.yaml"}, code: 1, out: "1\n", errs: "long.jsonl:1: the expressions take more than 10000 steps, which limits.steps allows one record"},
		"too costly for it":     {args: []string{"${len(payload.s)}", "--input", "long.jsonl", "-f", "small.yaml", "--pipeline", "p"}, code: 1, out: "\"1\"\n", errs: "long.jsonl:1: ${len(payload.s)}: the expressions take more than 10000 steps"},
		"limits of a bad file":  {args: []string{"len(payload.s)", "--input", "long.jsonl", "-f", "records.jsonl"}, out: "20000\n1\n"},
		"no record":             {args: []string{"payload.a"}, out: ""},
		"fails":                 {args: []string{"1 + payload.a"}, stdin: `{"payload": {}}`, code: 1, errs: "<stdin>:1: payload.a is null: cannot calculate with +\n  1 + payload.a\n      ^^^^^^^^^\nmillrace: the expression failed for 1 of 1 record\n"},
		"no JSON":               {args: []string{"key ?? len(value)"}, stdin: `{"value": "no"}`, out: "2\n"},
		"no record line":        {args: []string{"payload.a"}, stdin: `{"a": 1}`, code: 1, errs: `<stdin>:1: unknown field "a"; a line is a record`},
		"wrong":                 {args: []string{"payload.a + paylod.b"}, code: 2, errs: "millrace: unknown name \"paylod\"\n  payload.a + paylod.b\n              ^^^^^^\nhint: did you mean \"payload\"?\n"},
		"wrong on a line below": {args: []string{"1 +\n\t(2 + ä)"}, code: 2, errs: "  \t(2 + ä)\n  \t     ^\n"},
		"by schema":             {args: []string{"payload.status == 1", "--pipeline", "orders"}, code: 2, errs: "they are never equal"},
		"by format":             {args: []string{"payload", "--pipeline", "raw"}, code: 2, errs: "there is no payload with format: bytes"},
		"no such pipeline":      {args: []string{"1", "--pipeline", "order"}, code: 2, errs: `did you mean "orders"?`},
		"two arguments":         {args: []string{"1", "+", "2"}, code: 2, errs: "it takes one expression, in quotes"},
		"two inputs":            {args: []string{"1", "--at", "a/0/0", "--input", "x"}, code: 2, errs: "--at names one record"},
		"nothing ran yet":       {args: []string{"payload", "--at", "orders/0/0"}, code: 1, errs: "no broker runs, or ever ran, on .millrace"},
		"bad place":             {args: []string{"payload", "--at", "a/0"}, code: 2, errs: "topic/partition/offset"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(context.WithoutCancel(t.Context()), append([]string{"eval"}, c.args...), strings.NewReader(c.stdin), &out, &errs)
			if code != c.code || out.String() != c.out || !strings.Contains(errs.String(), c.errs) {
				t.Errorf("code %d, want %d\nstdout %q\n  want %q\nstderr %s\n  want %s", code, c.code, out.String(), c.out, errs.String(), c.errs)
			}
			if strings.Contains(out.String()+errs.String(), "s3cret") {
				t.Error("a secret is shown")
			}
		})
	}
}
