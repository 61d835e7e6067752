package compile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

// TestSlipsAreFoundOnTheirLine makes a slip on each line of a good file in turn.
// Whatever it does to the rest of the file, there is one error at most, and it
// stands on that line, or names it as the other of two places.
func TestSlipsAreFoundOnTheirLine(t *testing.T) {
	files := goodFiles(t)
	for name, slip := range slips() {
		t.Run(name, func(t *testing.T) {
			found := 0
			for file, text := range files {
				t.Chdir(filepath.Dir(file))
				found += slipOnEachLine(t, file, strings.Split(strings.TrimSuffix(text, "\n"), "\n"), slip)
			}
			if found == 0 {
				t.Error("no line gave an error")
			}
		})
	}
}

// goodFiles are the example of the loader and those of the project, each where
// its schemas are.
func goodFiles(t *testing.T) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/load/good-example.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "schemas"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "schemas/order.json"), []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{filepath.Join(dir, "pipelines.yaml"): string(archive.Files[0].Data)}
	names, err := filepath.Glob("../../examples/*/want.txt")
	if err != nil || len(names) < 3 {
		t.Fatalf("examples: %v, %v", names, err)
	}
	for i, name := range names {
		names[i] = filepath.Join(filepath.Dir(name), "pipelines.yaml")
	}
	for _, name := range append(names, "../../pipelines.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		absolute, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		files[absolute] = string(text)
	}
	return files
}

// slipOnEachLine counts the errors that a slip on each line gives.
func slipOnEachLine(t *testing.T, file string, lines []string, slip func(string) string) int {
	t.Helper()
	found := 0
	for i, line := range lines {
		wrong := slip(line)
		if wrong == line {
			continue
		}
		broken := slices.Clone(lines)
		broken[i] = wrong
		for j, p := range loadErrors(strings.Join(broken, "\n") + "\n") {
			found++
			last := i + 1 + strings.Count(wrong, "\n")
			named := p.Place.Line >= i+1 && p.Place.Line <= last || p.Related != nil && p.Related.Place.Line >= i+1 && p.Related.Place.Line <= last
			if j > 0 || !named {
				t.Errorf("%s line %d, %q: error %d: %v", filepath.Base(filepath.Dir(file)), i+1, wrong, j+1, p)
			}
		}
	}
	return found
}

// keyOf finds a key of the language on a line of block style; what people name
// themselves may be named elsewhere, too.
var keyOf = regexp.MustCompile(`^(\s*(?:- )?)(version|kafka|brokers|client_id|idempotency|store|lease|allow_eviction|on_store_reset|topics|ingest|listen|routes|drain|server|health|` +
	`pipelines|description|source|topic|pattern|group|start|format|fetch|max_record_bytes|session_timeout|commit_interval|filter|digest|generation|transform|` +
	`sinks|http|stdout|file|method|timeout|retry|dead_letter|on_error|concurrency|rate_limit|unmatched|when|tests|pipeline|records|expect|outcome)(:.*)$`)

// opens tells of a line whose value stands below it.
var opens = regexp.MustCompile(`:\s*(#.*)?$`)

func slips() map[string]func(line string) string {
	drop := func(any string) func(string) string {
		return func(line string) string {
			if i := strings.LastIndexAny(line, any); i >= 0 && !strings.Contains(line[:i], "#") {
				return line[:i] + line[i+1:]
			}
			return line
		}
	}
	before := func(text string) func(string) string {
		return func(line string) string { return strings.Replace(line, ": ", ": "+text, 1) }
	}
	key := func(change func(key string) string) func(string) string {
		return func(line string) string {
			m := keyOf.FindStringSubmatch(line)
			if m == nil {
				return line
			}
			return m[1] + change(m[2]) + m[3]
		}
	}
	return map[string]func(string) string{
		"a colon is missing":          func(line string) string { return strings.Replace(line, ":", "", 1) },
		"a space is missing":          func(line string) string { return strings.Replace(line, ": ", ":", 1) },
		"a bracket is not closed":     drop("]}"),
		"a quote is not closed":       drop(`"`),
		"a single quote is missing":   drop(`'`),
		"a value starts with @":       before("@"),
		"a value starts with !":       before("!"),
		"a value starts with braces":  before("{{ x }} "),
		"a value starts with a quote": before(`"x" `),
		"a tab indents":               func(line string) string { return indentWith(line, "\t") },
		"two letters of a key swap":   key(func(k string) string { return k[:1] + k[2:3] + k[1:2] + k[3:] }),
		"a letter of a key is gone":   key(func(k string) string { return k[:2] + k[3:] }),
		"a letter of a key is double": key(func(k string) string { return k[:2] + k[1:] }),
		"a key in capital letters":    key(strings.ToUpper),
		"a key with dashes":           key(func(k string) string { return strings.ReplaceAll(k, "_", "-") }),
		"a line is double": func(line string) string {
			if keyOf.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "-") && !opens.MatchString(line) {
				return line + "\n" + line
			}
			return line
		},
		"one space too many": func(line string) string {
			if keyOf.MatchString(line) && strings.HasPrefix(line, " ") && !opens.MatchString(line) {
				return " " + line
			}
			return line
		},
		"an equals sign for a colon": func(line string) string {
			if m := keyOf.FindStringSubmatch(line); m != nil && strings.HasPrefix(m[3], ": ") {
				return m[1] + m[2] + " =" + m[3][1:]
			}
			return line
		},
	}
}

func indentWith(line, indent string) string {
	if rest, ok := strings.CutPrefix(line, "  "); ok {
		return indent + rest
	}
	return line
}

func loadErrors(text string) diag.Problems {
	options := config.Options{Stdin: bytes.NewReader([]byte(text)), Env: func(name string) (string, bool) { return "x", name == "POD_NAME" }}
	_, problems := compile.Load([]string{"-"}, options, builtin.Registry())
	return slices.DeleteFunc(problems, func(p diag.Problem) bool { return p.Severity != diag.Error })
}
