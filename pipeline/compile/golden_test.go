package compile_test

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
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestLoad loads the files of each archive in testdata/load and compares the
// problems, as a user sees them, and the plan with the archive's last file,
// `want`. The archive's comment says what it shows; a line of it that begins
// with ! sets something: `!files a b` loads those, `!env NAME=value` sets a
// variable, `!skip-env`, `!crlf` and `!bom` are as they say, `!stdin a` gives a
// as standard input.
func TestLoad(t *testing.T) {
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
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
			c := newLoadCase(t, archive)
			got := c.load(t)
			if *update {
				c.write(t, absolute, got)
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("problems and plan (-want +got):\n%s", diff)
			}
		})
	}
}

type loadCase struct {
	archive *txtar.Archive
	files   []string
	options config.Options
	want    string
}

// newLoadCase unpacks an archive into a folder of its own, which becomes the
// working directory.
func newLoadCase(t *testing.T, archive *txtar.Archive) *loadCase {
	t.Helper()
	c := &loadCase{archive: archive, files: []string{"pipelines.yaml"}}
	env := map[string]string{}
	crlf, bom := false, false
	stdin := ""
	for line := range strings.Lines(string(archive.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "!files":
			c.files = strings.Fields(rest)
		case "!env":
			name, value, _ := strings.Cut(rest, "=")
			env[name] = value
			c.options.EnvNames = append(c.options.EnvNames, name)
		case "!skip-env":
			c.options.SkipEnv = true
		case "!crlf":
			crlf = true
		case "!bom":
			bom = true
		case "!stdin":
			stdin = rest
		}
	}
	c.options.Env = func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	t.Chdir(t.TempDir())
	for _, f := range archive.Files {
		data := f.Data
		if f.Name == "want" {
			c.want = string(data)
			continue
		}
		if crlf {
			data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
		}
		if bom {
			data = append([]byte("\xef\xbb\xbf"), data...)
		}
		if f.Name == stdin {
			c.options.Stdin = bytes.NewReader(data)
		}
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *loadCase) load(t *testing.T) string {
	t.Helper()
	effective, problems := compile.LoadEffective(c.files, c.options, builtin.Registry())
	if (effective == nil) != problems.HasErrors() {
		t.Errorf("there is a configuration: %v, although there are errors: %v", effective != nil, problems.HasErrors())
	}
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatText, problems, false); err != nil {
		t.Fatal(err)
	}
	if effective != nil {
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		text, err := effective.YAML()
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	return out.String()
}

func (c *loadCase) write(t *testing.T, name, got string) {
	t.Helper()
	files := c.archive.Files[:0:0]
	for _, f := range c.archive.Files {
		if f.Name != "want" {
			files = append(files, f)
		}
	}
	c.archive.Files = append(files, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(name, txtar.Format(c.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
