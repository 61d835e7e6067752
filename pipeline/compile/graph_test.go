package compile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
)

// graphs are the archives of testdata/graph by name.
func graphs(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	names, err := filepath.Glob("testdata/graph/*.txtar")
	if err != nil || len(names) < 3 {
		t.Fatalf("found %v, %v", names, err)
	}
	all := map[string]*txtar.Archive{}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = archive
	}
	return all
}

func TestGraph(t *testing.T) {
	for name, archive := range graphs(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			options := config.Options{
				Env:   func(string) (string, bool) { return "", false },
				Stdin: strings.NewReader(string(archive.Files[0].Data)),
			}
			plan, problems := compile.Load([]string{"-"}, options, builtin.Registry())
			if plan == nil {
				t.Fatal(problems)
			}
			graph := plan.Graph()
			for i, got := range []string{graph.Mermaid(), graph.DOT()} {
				if strings.Contains(got, "hunter2") {
					t.Errorf("it shows a secret:\n%s", got)
				}
				if *update {
					archive.Files[i+1].Data = []byte(got)
				} else if diff := cmp.Diff(string(archive.Files[i+1].Data), got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", archive.Files[i+1].Name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
