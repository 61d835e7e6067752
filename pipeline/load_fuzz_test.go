package pipeline_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/diag"
)

// FuzzLoad feeds any text as a configuration: there is no panic, each problem
// stands inside the file, and it can be shown.
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
		options := pipeline.LoadOptions{Stdin: bytes.NewReader(text), SkipEnv: true,
			Env: func(string) (string, bool) { return "", false }}
		plan, problems := pipeline.Load([]string{"-"}, options, registry)
		if (plan == nil) != problems.HasErrors() {
			t.Errorf("plan is nil: %v, errors: %v", plan == nil, problems)
		}
		if plan != nil {
			_ = plan.String()
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
		if err := diag.Write(io.Discard, diag.FormatText, problems, true); err != nil {
			t.Error(err)
		}
	})
}

// TestLoadIsBounded loads files that are made to be slow.
func TestLoadIsBounded(t *testing.T) {
	t.Chdir(t.TempDir())
	const size = 1 << 20
	for name, text := range map[string]string{
		"brackets":   strings.Repeat("[", size),
		"quote":      "a: \"" + strings.Repeat("x\n ", size/3-2),
		"keys":       "pipelines:\n" + strings.Repeat("  a: {}\n", size/8-2),
		"list":       strings.Repeat("- \n", size/3) + "b: c\n",
		"long lines": "a: " + strings.Repeat("b: ", size/3-2),
		"colons":     strings.Repeat("a\n", size/2),
		"too large":  strings.Repeat("#", size+1),
		"aliases":    "a: &a [" + strings.Repeat("x,", 1000) + "]\nb: [" + strings.Repeat("*a,", 100000) + "]\n",
		"anchors":    "a: &a\n  b: *a\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile("big.yaml", []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, problems := pipeline.Load([]string{"big.yaml"}, pipeline.LoadOptions{}, builtin.Registry()); !problems.HasErrors() {
				t.Error("there is no error")
			}
		})
	}
}
