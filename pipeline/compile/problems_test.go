package compile_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

// TestEveryCodeIsExplained compares the constants of the two packages with the
// explanations, which have a title, a reason and no line of more than the page
// can show.
func TestEveryCodeIsExplained(t *testing.T) {
	var declared []diag.Code
	for _, pattern := range []string{"../diag/codes*.go", "../expression/codes*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			declared = append(declared, codesIn(t, name)...)
		}
	}
	slices.Sort(declared)
	if diff := cmp.Diff(declared, diag.Codes()); diff != "" {
		t.Errorf("(-declared +explained):\n%s", diff)
	}
	for _, code := range diag.Codes() {
		e, ok := diag.Explain(code)
		if !ok || e.Title == "" || e.Why == "" || (e.Wrong == nil) != (e.Right == nil) || strings.HasSuffix(e.Title, ".") {
			t.Errorf("%s: %+v", code, e)
		}
	}
}

func codesIn(t *testing.T, name string) []diag.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []diag.Code
	ast.Inspect(file, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && strings.HasPrefix(text.Value, `"MR`) {
			codes = append(codes, diag.Code(strings.Trim(text.Value, `"`)))
		}
		return true
	})
	return codes
}

// TestExamplesOfProblems loads the examples of each code: the wrong one has just
// that problem, and says what the page shows; the right one has none.
func TestExamplesOfProblems(t *testing.T) {
	for _, code := range diag.Codes() {
		e, _ := diag.Explain(code)
		if e.Wrong == nil {
			continue
		}
		t.Run(string(code), func(t *testing.T) {
			archive, err := filepath.Abs("diag/problems/" + string(code) + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			if found := loadExample(t, e.Right, e.Files); len(found) > 0 {
				t.Errorf("the right example has problems: %v", found)
			}
			found := loadExample(t, e.Wrong, e.Files)
			if len(found) != 1 || found[0].Code != code {
				t.Errorf("the wrong example has %v", found)
			}
			var says bytes.Buffer
			if err := diag.Write(&says, diag.FormatText, found, false); err != nil {
				t.Fatal(err)
			}
			if *update {
				writeSays(t, archive, says.Bytes())
			} else if diff := cmp.Diff(e.Says, says.String()); diff != "" {
				t.Errorf("(-page +validate):\n%s", diff)
			}
		})
	}
}

// loadExample loads the YAML files of an example in a folder of its own.
func loadExample(t *testing.T, files, beside []diag.ExampleFile) diag.Problems {
	t.Helper()
	t.Chdir(t.TempDir())
	var names []string
	for _, f := range slices.Concat(files, beside) {
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, []byte(f.Text), 0o644); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(f.Name) == ".yaml" {
			names = append(names, f.Name)
		}
	}
	options := config.Options{Env: func(string) (string, bool) { return "", false }}
	_, problems := compile.Load(names, options, builtin.Registry())
	return problems
}

func writeSays(t *testing.T, name string, says []byte) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "says" })
	archive.Files = append(archive.Files, txtar.File{Name: "says", Data: says})
	if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
