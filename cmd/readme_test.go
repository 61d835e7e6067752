package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
)

// blocks are the fenced code blocks of a Markdown text in one language.
func blocks(text, language string) []string {
	var all []string
	for _, part := range strings.Split(text, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		all = append(all, block+"\n")
	}
	return all
}

// Every YAML block of the README and of the documents is a configuration that
// loads.
func TestYAMLInDocumentsLoads(t *testing.T) {
	checked := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != "." {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		written := len(blocks(string(text), "yaml"))
		if written == 0 {
			return nil
		}
		plans, problems := compile.Validate([]string{path}, config.Options{}, builtin.Registry())
		if problems.HasErrors() || len(plans) != written {
			t.Errorf("%s has %d blocks of YAML, of which %d are valid (write ```yaml ignore where one is no configuration): %v", path, written, len(plans), problems)
		}
		checked += written
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Error("no block was found")
	}
}

// What the README shows of validate is what validate prints.
func TestREADMEShowsWhatValidatePrints(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	good, shown := blocks(string(text), "yaml"), blocks(string(text), "text")
	if len(good) == 0 || len(shown) == 0 {
		t.Fatal("the README has lost its blocks")
	}
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", strings.Replace(good[0], "payload.status", "paylod.status", 1))
	code, out, _ := millrace(t, dir, "validate")
	if diff := cmp.Diff(shown[0], out); diff != "" || code != exitInvalid {
		t.Errorf("exit code %d (-README +validate):\n%s", code, diff)
	}
}
