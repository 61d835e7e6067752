package pipeline_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const module = "github.com/millrace/millrace"

// goFile is one Go file of the project.
type goFile struct {
	path   string // slash-separated, from the project's root
	pkg    string // folder
	test   bool
	lines  int
	text   []byte
	syntax *ast.File
}

func projectFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	for _, room := range []string{"cmd", "pipeline", "handlers", "examples"} {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
			if err != nil {
				return err
			}
			rel := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
			files = append(files, goFile{
				path: rel, pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"),
				lines: bytes.Count(text, []byte("\n")), text: text, syntax: syntax,
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 50 {
		t.Fatalf("only %d files found: the walk is broken", len(files))
	}
	return files
}

// fenced names what only some rooms may import.
var fenced = []struct {
	prefix string
	rooms  []string
}{
	{"github.com/ThreeDotsLabs/watermill", []string{"pipeline", "pipeline/kafka"}},
	{"github.com/IBM/sarama", []string{"pipeline/kafka", "cmd/bench"}},
	{"github.com/twmb/franz-go/pkg/kfake", []string{"pipeline/kafka/embedded"}},
	{"github.com/twmb/franz-go", []string{"pipeline/kafka", "pipeline/kafka/embedded", "pipeline/testbed/hostile", "pipeline/testbed/ledger", "cmd/bench"}},
	{"github.com/cockroachdb/pebble", []string{"pipeline/idempotency/embedded"}},
	{"github.com/spf13/cobra", []string{"cmd"}},
	{"gopkg.in/yaml.v3", []string{"pipeline", "pipeline/yamlconf", "pipeline/diag"}},
	{"github.com/expr-lang/expr", []string{"pipeline/expression"}},
}

func TestImportsPointOneWay(t *testing.T) {
	for _, f := range projectFiles(t) {
		if f.test || strings.HasSuffix(f.pkg, "test") {
			continue
		}
		for _, spec := range f.syntax.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if why := wrongImport(f.pkg, path); why != "" {
				t.Errorf("%s imports %s: %s", f.path, path, why)
			}
		}
	}
}

func wrongImport(from, path string) string {
	own, isOwn := strings.CutPrefix(path, module+"/")
	if isOwn && level(own) > level(from) {
		return "imports point one way: cmd, pipeline/preview and pipeline/scenario, pipeline, pipeline/*, handlers"
	}
	if from == "handlers" && (isOwn || strings.Contains(strings.Split(path, "/")[0], ".")) {
		return "handlers uses the standard library only"
	}
	if strings.HasPrefix(from, "handlers/") && isOwn && own != "handlers" && from != "handlers/builtin" {
		return "a sink depends on handlers and its client library"
	}
	if from == "pipeline/letters" && (isOwn && own != "handlers" || strings.Contains(strings.Split(path, "/")[0], ".") && !isOwn) {
		return "what is durable depends on the record alone"
	}
	if strings.Contains("/"+path+"/", "/internal/") && isOwn {
		return "there is no internal level"
	}
	for _, fence := range fenced {
		if path != fence.prefix && !strings.HasPrefix(path, fence.prefix+"/") {
			continue
		}
		for _, room := range fence.rooms {
			if from == room {
				return ""
			}
		}
		return "only " + strings.Join(fence.rooms, ", ") + " may"
	}
	return ""
}

// level is how far up a room is: a room imports its own level or lower ones.
func level(pkg string) int {
	switch {
	case strings.HasPrefix(pkg, "cmd"), strings.HasPrefix(pkg, "examples"):
		return 4
	case pkg == "pipeline/preview", pkg == "pipeline/scenario":
		return 3 // they use the whole pipeline, and only commands use them
	case pkg == "pipeline":
		return 2
	case strings.HasPrefix(pkg, "pipeline/"):
		return 1
	default:
		return 0
	}
}

func TestNoInitFunctions(t *testing.T) {
	for _, f := range projectFiles(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s has an init function", f.path)
			}
		}
	}
}

func TestFilesHoldOneIdea(t *testing.T) {
	for _, f := range projectFiles(t) {
		if f.lines > 400 && !bytes.Contains(f.text, []byte("// This file is long because ")) {
			t.Errorf("%s has %d lines; split it, or begin a comment with «This file is long because »", f.path, f.lines)
		}
	}
}

// mostColumns is how wide a line may be, a tab counted as four.
const mostColumns = 120

// stillWide are the rooms whose lines are still to be wrapped.
var stillWide = []string{
	"pipeline", "pipeline/api", "pipeline/idempotency", "pipeline/ingest", "pipeline/keys", "pipeline/kafka",
}

// TestLinesFitTheScreen leaves out what can't be broken: tags with the text of the
// reference, raw strings, and words that are too long by themselves.
func TestLinesFitTheScreen(t *testing.T) {
	for _, f := range projectFiles(t) {
		wide := func(room string) bool {
			return f.pkg == room || room != "pipeline" && strings.HasPrefix(f.pkg, room+"/")
		}
		if f.test || strings.HasPrefix(f.pkg, "examples") || slices.ContainsFunc(stillWide, wide) ||
			strings.HasPrefix(f.path, "cmd/keys") || f.path == "pipeline/deliver/observe.go" {
			continue
		}
		for i, line := range strings.Split(string(f.text), "\n") {
			columns := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    "))
			breaks := !strings.Contains(line, "`") &&
				!slices.ContainsFunc(strings.Fields(line), func(word string) bool { return len(word) > 80 })
			if columns > mostColumns && breaks {
				t.Errorf("%s:%d has %d columns: at most %d", f.path, i+1, columns, mostColumns)
			}
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, f := range projectFiles(t) {
		if f.test {
			continue
		}
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverExported(d) && d.Doc == nil && !implements(d) {
					t.Errorf("%s: %s is exported and has no comment", f.path, d.Name.Name)
				}
			case *ast.GenDecl:
				checkGroup(t, f, d)
			}
		}
	}
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	name, ok := typ.(*ast.Ident)
	return ok && name.IsExported()
}

// implements tells whether a method's meaning is that of a well-known interface.
func implements(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	switch d.Name.Name {
	case "Error", "Unwrap", "String":
		return true
	}
	return false
}

func checkGroup(t *testing.T, f goFile, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
				t.Errorf("%s: type %s is exported and has no comment", f.path, s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					t.Errorf("%s: %s is exported and has no comment", f.path, name.Name)
				}
			}
		}
	}
}
