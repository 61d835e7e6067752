package scenario_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/scenario"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestScenarios runs the tests of each archive in testdata and compares what is
// shown, with all that happened, with the archive's last file, `want`. Of an
// archive whose name begins with fail- every test fails, of the others none. A
// line of the comment that begins with ! sets something: `!files a b` loads
// those, `!env NAME=value` sets a variable.
func TestScenarios(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			absolute, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			archive, err := txtar.ParseFile(absolute)
			if err != nil {
				t.Fatal(err)
			}
			options, want := unpack(t, archive)
			report := runAll(t, options)
			for _, r := range report.Results {
				if fails := strings.HasPrefix(filepath.Base(name), "fail-"); r.Passed() == fails {
					t.Errorf("%s: passed is %v", r.Name, r.Passed())
				}
			}
			tests += len(report.Results)
			got := shown(t, report, scenario.TextOptions{Verbose: true})
			if *update {
				golden(t, absolute, archive, got)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if tests < 40 {
		t.Errorf("only %d tests were run", tests)
	}
}

// unpack puts an archive into a folder of its own, which becomes the working
// directory.
func unpack(t *testing.T, archive *txtar.Archive) (o scenario.Options, want string) {
	t.Helper()
	env := map[string]string{}
	o = scenario.Options{Files: []string{"pipelines.yaml"}, Registry: builtin.Registry()}
	o.Load.Env = func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	for line := range strings.Lines(string(archive.Comment)) {
		switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "!files":
			o.Files = strings.Fields(rest)
		case "!env":
			name, value, _ := strings.Cut(rest, "=")
			env[name] = value
		}
	}
	t.Chdir(t.TempDir())
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return o, want
}

func golden(t *testing.T, name string, archive *txtar.Archive, got string) {
	t.Helper()
	files := archive.Files[:0:0]
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, f)
		}
	}
	archive.Files = append(files, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// runAll runs tests and takes the machine's time out of what it returns.
func runAll(t *testing.T, o scenario.Options) *scenario.Report {
	t.Helper()
	report, err := scenario.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if report.Problems.HasErrors() {
		t.Fatal(report.Problems)
	}
	for i := range report.Results {
		report.Results[i].Took = 0
	}
	return report
}

func shown(t *testing.T, r *scenario.Report, o scenario.TextOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatText, r.Problems, false); err != nil {
		t.Fatal(err)
	}
	if err := scenario.WriteText(&out, r, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A test ends the same way, event for event, each time.
func TestRunsAreAlike(t *testing.T) {
	const conf = `
kafka: {brokers: [localhost:9092]}
idempotency: {store: redis://localhost:6379/0}
pipelines:
  p:
    source: {topic: a}
    idempotency: {key: 'k:${payload.id}'}
    sinks:
      - http: {url: http://localhost/}
      - kafka: {topic: b}
      - stdout: {}
tests:
  - name: everything at once
    pipeline: p
    together: true
    records:
      - {payload: {id: 1}, key: a}
      - {payload: {id: 2}, key: b}
      - {payload: {id: 1}, key: c}
      - {payload: {id: 3}, key: a, partition: 1}
    sinks: {http: [fail 500, timeout, fail 503, ok, ok, refused], kafka: [reset, ok], stdout: [unknown x7]}
    crash: {after_confirm: 2}
    expect: [{}, {}, {}, {}]
`
	var first string
	for range 20 {
		report := runAll(t, scenario.Options{
			Files: []string{"-"}, Registry: builtin.Registry(), Load: config.Options{Stdin: strings.NewReader(conf)},
		})
		text := shown(t, report, scenario.TextOptions{Verbose: true})
		if first == "" {
			first = text
		}
		if diff := cmp.Diff(first, text); diff != "" {
			t.Fatal(diff)
		}
	}
	if !strings.Contains(first, "the process starts again") {
		t.Error(first)
	}
}
