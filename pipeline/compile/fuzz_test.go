package compile_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

// FuzzLoad feeds any text as a configuration: there is no panic, each problem
// stands inside the file and can be shown in every format, and each mend changes
// the file.
func FuzzLoad(f *testing.F) {
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name == "pipelines.yaml" {
				f.Add(file.Data)
			}
		}
	}
	f.Chdir(f.TempDir())
	registry := builtin.Registry()
	f.Fuzz(func(t *testing.T, text []byte) {
		options := config.Options{Stdin: bytes.NewReader(text), SkipEnv: true,
			Env: func(string) (string, bool) { return "", false }}
		plan, problems := compile.Load([]string{"-"}, options, registry)
		if (plan == nil) != problems.HasErrors() {
			t.Errorf("plan is nil: %v, errors: %v", plan == nil, problems)
		}
		if plan != nil {
			_ = planText(plan)
		}
		lines := strings.Count(string(text), "\n") + strings.Count(string(text), "\r") + 1
		for _, p := range problems {
			if p.Place.Line > lines || p.Place.Line > 0 && p.Place.Column < 1 {
				t.Errorf("%v stands outside of the file", p)
			}
			if p.Message == "" || p.Code == "" {
				t.Errorf("problem without a message or code: %#v", p)
			}
		}
		for _, p := range problems {
			if e, ok := p.Edit(); ok && bytes.Equal(diag.Apply(text, p.Place.File, []diag.Edit{e}), text) {
				t.Errorf("the mend of %v changes nothing: %+v", p, e)
			}
		}
		for _, format := range diag.Formats() {
			if err := diag.Write(io.Discard, format, problems, true); err != nil {
				t.Error(err)
			}
		}
	})
}

// The bounds of one load of a file of at most 1 MiB. They are far above what is
// seen (1.3 s, and 30 s under the race detector of a busy machine), and far below
// what a file without bounds would take.
const (
	maxLoadTime  = 2 * time.Minute
	maxLoadAlloc = 2 << 30
)

// TestLoadIsBounded loads files that are made to be slow or large.
func TestLoadIsBounded(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range bombs() {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile("big.yaml", []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, problems := compile.Load([]string{"big.yaml"}, config.Options{}, builtin.Registry())
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if !problems.HasErrors() {
				t.Error("there is no error")
			}
			if len(problems) > 1001 {
				t.Errorf("there are %d problems", len(problems))
			}
			if alloc := after.TotalAlloc - before.TotalAlloc; took > maxLoadTime || alloc > maxLoadAlloc {
				t.Errorf("it took %s and %d MiB", took, alloc>>20)
			}
			if err := diag.Write(io.Discard, diag.FormatSARIF, problems, false); err != nil {
				t.Error(err)
			}
		})
	}
}

func bombs() map[string]string {
	const size = 1<<20 - 100
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	merges := "m0: &m0 {k: v}\n"
	for i := 1; i < 20; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
		merges += fmt.Sprintf("m%d: &m%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*m%d, ", i-1), 9), ", "))
	}
	blocks, items := "", ""
	for i := range 700 {
		blocks += strings.Repeat(" ", i) + "a:\n"
	}
	for i := range 500 {
		items += strings.Repeat(" ", 2*i) + "- \n"
	}
	pipe := "pipelines:\n  a:\n    source: {topic: a}\n    sinks: [{stdout: {}}]\n    filter: "
	return map[string]string{
		"brackets":         fill("["),
		"braces":           fill("{"),
		"both":             fill("[{a: "),
		"closed brackets":  strings.Repeat("[", size/2) + strings.Repeat("]", size/2),
		"braces in pairs":  "a: " + fill("{{"),
		"quote":            "a: \"" + fill("x\n "),
		"quotes":           "a: " + fill("'x' "),
		"escapes":          "a: \"" + fill("\\q"),
		"keys":             "pipelines:\n" + fill("  a: {}\n"),
		"unknown keys":     unknownKeys(size),
		"list":             fill("- \n") + "b: c\n",
		"nested lists":     "a: " + fill("- "),
		"deep blocks":      blocks,
		"deep items":       items,
		"long lines":       "a: " + fill("b: "),
		"colons":           fill("a\n"),
		"tabs":             "a:\n" + fill("\t"),
		"comments":         fill("# x\n") + "\tb: c\n",
		"too large":        strings.Repeat("#", 1<<20+1),
		"aliases":          "a: &a [" + strings.Repeat("x,", 1000) + "]\nb: [" + strings.Repeat("*a,", 100000) + "]\n",
		"anchors":          "a: &a\n  b: *a\n",
		"laughs":           laughs,
		"merges":           merges,
		"many anchors":     "a: [" + fill("&a x, ") + "]\n",
		"tags":             "a: " + fill("!a "),
		"expression":       pipe + strings.Repeat("(", size-200) + "\n",
		"operators":        pipe + "a " + strings.Repeat("+ a ", size/4-100) + "\n",
		"long block":       pipe + "|\n" + strings.Repeat("      a b\n", size/10-100),
		"template":         "drain: '" + strings.Repeat("${", size/2-100) + "'\n",
		"documents":        fill("---\n"),
		"carriage returns": fill("a\r"),
		"conflicts":        fill("<<<<<<< a\n"),
	}
}

func unknownKeys(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size-20; i++ {
		fmt.Fprintf(&b, "topix%d: 1\n", i)
	}
	return b.String()
}
