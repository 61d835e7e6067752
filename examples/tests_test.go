package examples

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/scenario"
)

// The tests of every example, of the file at the project's root, and of the one
// that `millrace init` writes, pass.
func TestTheirOwnTests(t *testing.T) {
	files, err := filepath.Glob("*/pipelines.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../pipelines.yaml", "../cmd/millrace/starter.yaml") {
		t.Run(file, func(t *testing.T) {
			report, err := scenario.Run(t.Context(), scenario.Options{
				Files: []string{file}, Registry: builtin.Registry(),
				Load: pipeline.LoadOptions{Env: func(string) (string, bool) { return "", false }},
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Problems) > 0 || len(report.Results) == 0 {
				t.Fatalf("%d tests, problems: %v", len(report.Results), report.Problems)
			}
			if report.Failed() > 0 {
				var text bytes.Buffer
				if err := scenario.WriteText(&text, report, scenario.TextOptions{Verbose: true}); err != nil {
					t.Fatal(err)
				}
				t.Error(text.String())
			}
		})
	}
}
