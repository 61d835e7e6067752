// Command docs writes what is generated of the project's own tags and of what its
// binary is made of: the JSON Schema for editors, the reference pages, and the
// third-party notices.
//
//	go run ./cmd/docs           # write what is stale
//	go run ./cmd/docs --check   # name what is stale, and exit with 1
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

func main() {
	check := len(os.Args) == 2 && os.Args[1] == "--check"
	if len(os.Args) > 1 && !check {
		fmt.Fprintln(os.Stderr, "usage: docs [--check], in the project's folder")
		os.Exit(2)
	}
	if err := run(".", check, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

// run writes, or with check only names, the files below root that are stale.
func run(root string, check bool, out io.Writer) error {
	pages, err := pages()
	if err != nil {
		return err
	}
	stale, err := leftovers(root, pages)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		there, err := os.ReadFile(filepath.Join(root, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !bytes.Equal(there, []byte(pages[name])) {
			stale = append(stale, name)
		}
	}
	for _, name := range stale {
		fmt.Fprintln(out, name)
		if check {
			continue
		}
		if err := put(filepath.Join(root, name), pages[name]); err != nil {
			return err
		}
	}
	if check && len(stale) > 0 {
		return errors.New("these are stale: run make generate")
	}
	return nil
}

// pages are the generated files by their slash-separated name. Each begins with
// a line that says so.
func pages() (map[string]string, error) {
	registry := builtin.Registry()
	schema, err := config.JSONSchema(registry)
	if err != nil {
		return nil, err
	}
	third, err := notices()
	if err != nil {
		return nil, fmt.Errorf("third-party notices: %w", err)
	}
	all := map[string]string{
		"schemas/pipelines.schema.json": string(schema),
		"docs/config.md":                config.ConfigReference(registry),
		"docs/problems.md":              string(diag.Page()),
		"docs/third-party-notices.md":   third,
	}
	for kind, spec := range registry {
		all["docs/handlers/"+kind+".md"] = config.DescribeHandler(spec).Markdown()
	}
	return all, nil
}

// leftovers are pages of sinks that are there no more.
func leftovers(root string, pages map[string]string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, "docs", "handlers"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var left []string
	for _, e := range entries {
		if name := "docs/handlers/" + e.Name(); pages[name] == "" {
			left = append(left, name)
		}
	}
	return left, nil
}

// put writes a page, or takes a leftover away.
func put(path, text string) error {
	if text == "" {
		return os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
