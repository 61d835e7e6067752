package examples

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/scenario"
)

// The tests of every example, of the file at the project's root, and of the one
// that `millrace init` writes, pass.
func TestTheirOwnTests(t *testing.T) {
	files, err := filepath.Glob("*/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		files[i] = filepath.Join(filepath.Dir(file), "pipelines.yaml")
	}
	for _, file := range append(files, "../pipelines.yaml", "../cmd/starter.yaml") {
		t.Run(file, func(t *testing.T) {
			report, err := scenario.Run(t.Context(), scenario.Options{
				Files: []string{file}, Registry: builtin.Registry(),
				Load: config.Options{Env: func(string) (string, bool) { return "", false }},
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

// The records of an example end in a test as they do in a run, which wrote the
// first line of want.txt.
func TestTheirRecordsEndAsInARun(t *testing.T) {
	folders, err := filepath.Glob("*/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range folders {
		file := filepath.Join(filepath.Dir(want), "pipelines.yaml")
		t.Run(filepath.Dir(file), func(t *testing.T) {
			lines, err := os.ReadFile(filepath.Join(filepath.Dir(file), "records.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(filepath.Dir(file), "want.txt"))
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(want), "\n")
			name, _, _ := strings.Cut(first, ":")
			// A line of JSON is YAML as well.
			test := "tests:\n  - name: the records\n    pipeline: " + name + "\n    records:\n"
			records := strings.Split(strings.TrimSpace(string(lines)), "\n")
			for _, line := range records {
				test += "      - " + line + "\n"
			}
			test += "    expect: [" + strings.TrimSuffix(strings.Repeat("{}, ", len(records)), ", ") + "]\n"
			if got := name + ":" + outcomesOf(t, file, test); got != first {
				t.Errorf("a test says %q, a run %q", got, first)
			}
		})
	}
}

// outcomesOf counts how the records of one more test end.
func outcomesOf(t *testing.T, file, test string) string {
	t.Helper()
	report, err := scenario.Run(t.Context(), scenario.Options{
		Files: []string{file, "-"}, Registry: builtin.Registry(), Run: regexp.MustCompile("^the records$"),
		Load: config.Options{Env: func(string) (string, bool) { return "", false }, Stdin: strings.NewReader(test)},
	})
	if err != nil || len(report.Problems) > 0 || len(report.Results) != 1 {
		t.Fatal(err, report)
	}
	count := map[string]int{}
	for _, told := range report.Results[0].Told {
		if outcome, _, _ := strings.Cut(told.Text, " "); told.Sink == "" && told.Record != "" {
			count[outcome]++
		}
	}
	text := ""
	for _, o := range outcome.All() {
		if n := count[string(o)]; n > 0 {
			text += fmt.Sprintf(" %d %s", n, o)
		}
	}
	return text
}
