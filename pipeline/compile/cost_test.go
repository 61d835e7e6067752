package compile_test

import (
	"bytes"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
)

// Files that are made to be slow are refused before much is made of them: what
// counts is the memory that passes through, which time follows.
func TestHostileFilesCostLittle(t *testing.T) {
	many := func(n int, line string) string {
		var out strings.Builder
		for i := range n {
			out.WriteString(strings.ReplaceAll(line, "%d", strconv.Itoa(i)))
		}
		return out.String()
	}
	const most = 1<<20 - 1000
	for name, c := range map[string]struct {
		text string
		code diag.Code
		mib  uint64
	}{
		"12,000 pipelines":            {"pipelines:\n" + many(12_000, "  p%d: {source: {topic: t}, sinks: [{stdout: {}}]}\n"), diag.CodeTooLarge, 40},
		"1,001 pipelines":             {"pipelines:\n" + many(1001, "  p%d: {source: {topic: t}, sinks: [{stdout: {}}]}\n"), diag.CodeRange, 40},
		"95,000 unknown keys":         {many(95_000, "k%d: 1\n"), diag.CodeTooLarge, 40},
		"40,000 unknown keys":         {many(40_000, "k%d: 1\n"), diag.CodeUnknownKey, 80},
		"30,000 keys on a line":       {"{" + many(30_000, "kä%d: \"v%d\", ") + "}\n", diag.CodeUnknownKey, 250},
		"30,000 keys on an open line": {"{" + many(30_000, "kä%d: \"v%d\", ") + "\n", diag.CodeSyntax, 150},
		"a list of 500,000":           {"a: [" + strings.Repeat("1,", most/2) + "]\n", diag.CodeTooLarge, 40},
		"a template of 55,000":        {"pipelines: {p: {source: {topic: t}, sinks: [{stdout: {template: '" + many(55_000, "${payload.a%d}") + "'}}]}}\n", diag.Code(expression.CodeTooLarge), 60},
		"500,000 open brackets":       {"a: " + strings.Repeat("[", 500_000), diag.CodeSyntax, 400},
		"an expression of a megabyte": {"pipelines: {p: {source: {topic: t}, filter: '" + strings.Repeat("1+", most/2) + "1', sinks: [{stdout: {}}]}}\n", diag.Code(expression.CodeTooLarge), 40},
	} {
		text := []byte(c.text)
		if len(text) > 1<<20 {
			text = append(text[:1<<20-20:1<<20-20], "}'}}]}}\n"...)
		}
		began := time.Now()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		plan, problems := compile.Load([]string{"-"}, config.Options{Stdin: bytes.NewReader(text)}, builtin.Registry())
		if err := diag.Write(io.Discard, diag.FormatText, problems, true); err != nil {
			t.Error(err)
		}
		runtime.ReadMemStats(&after)
		if plan != nil || len(problems) == 0 {
			t.Errorf("%s: it is taken", name)
			continue
		}
		if problems[0].Code != c.code {
			t.Errorf("%s: %v %s, want %s", name, problems[0], problems[0].Code, c.code)
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > c.mib {
			t.Errorf("%s: %d MiB passed through, want at most %d", name, used, c.mib)
		} else {
			t.Logf("%s: %d MiB, %d problems, %s", name, used, len(problems), time.Since(began))
		}
	}
}
