package pipeline_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/diag"
)

// TestSlipsAreFoundOnTheirLine makes a slip on each line of a good file in turn.
// Whatever it does to the rest of the file, there is one error at most, and it
// stands on that line.
func TestSlipsAreFoundOnTheirLine(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/load/good-example.txtar")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("schemas", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("schemas/order.json", []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(archive.Files[0].Data), "\n"), "\n")
	for name, slip := range slips() {
		t.Run(name, func(t *testing.T) {
			errors := 0
			for i, line := range lines {
				broken := slices.Clone(lines)
				broken[i] = slip(line)
				for j, p := range loadErrors(strings.Join(broken, "\n") + "\n") {
					errors++
					if j > 0 || p.Place.Line != i+1 {
						t.Errorf("line %d, %q: error %d: %v", i+1, broken[i], j+1, p)
					}
				}
			}
			if errors == 0 {
				t.Error("no line gave an error")
			}
		})
	}
}

func slips() map[string]func(line string) string {
	drop := func(any string) func(string) string {
		return func(line string) string {
			if i := strings.LastIndexAny(line, any); i >= 0 {
				return line[:i] + line[i+1:]
			}
			return line
		}
	}
	before := func(text string) func(string) string {
		return func(line string) string { return strings.Replace(line, ": ", ": "+text, 1) }
	}
	return map[string]func(string) string{
		"a colon is missing":          func(line string) string { return strings.Replace(line, ":", "", 1) },
		"a space is missing":          func(line string) string { return strings.Replace(line, ": ", ":", 1) },
		"a bracket is not closed":     drop("]}"),
		"a quote is not closed":       drop(`"`),
		"a value starts with @":       before("@"),
		"a value starts with !":       before("!"),
		"a value starts with braces":  before("{{ x }} "),
		"a value starts with a quote": before(`"x" `),
		"a tab indents":               func(line string) string { return indentWith(line, "\t") },
	}
}

func indentWith(line, indent string) string {
	if rest, ok := strings.CutPrefix(line, "  "); ok {
		return indent + rest
	}
	return line
}

func loadErrors(text string) diag.Problems {
	options := pipeline.LoadOptions{Stdin: bytes.NewReader([]byte(text)), Env: func(string) (string, bool) { return "x", true }}
	_, problems := pipeline.Load([]string{"-"}, options, builtin.Registry())
	return slices.DeleteFunc(problems, func(p diag.Problem) bool { return p.Severity != diag.Error })
}
