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

// arrows are the rooms that each room may import, and the whole of the house: a room that is not
// here, or an arrow, is added on purpose. No arrow leads back up.
var arrows = map[string]string{
	"cmd/millrace": "cmd handlers/builtin",
	"cmd": "handlers pipeline pipeline/api pipeline/clock pipeline/compile pipeline/config pipeline/diag " +
		"pipeline/expression pipeline/files pipeline/idempotency pipeline/jobs pipeline/kafka " +
		"pipeline/keys pipeline/letters pipeline/memory pipeline/outcome pipeline/plan pipeline/preview " +
		"pipeline/scenario pipeline/secrets pipeline/state pipeline/survey pipeline/topics " +
		"pipeline/yamlconf",
	"pipeline": "handlers pipeline/api pipeline/clock pipeline/deliver pipeline/events pipeline/idempotency " +
		"pipeline/idempotency/redis pipeline/ingest pipeline/jobs pipeline/kafka pipeline/kafka/embedded " +
		"pipeline/keys pipeline/letters pipeline/memory pipeline/outcome pipeline/plan pipeline/state " +
		"pipeline/topics",
	"pipeline/jobs": "handlers pipeline/api pipeline/clock pipeline/events pipeline/expression pipeline/idempotency " +
		"pipeline/kafka pipeline/letters pipeline/outcome pipeline/oversize pipeline/plan " +
		"pipeline/preview pipeline/secrets",
	"pipeline/scenario": "handlers pipeline/compile pipeline/config pipeline/decide pipeline/deliver pipeline/diag " +
		"pipeline/events pipeline/expression pipeline/idempotency pipeline/idempotency/memory " +
		"pipeline/kafka pipeline/letters pipeline/outcome pipeline/plan pipeline/yamlconf",
	"pipeline/survey": "handlers pipeline/compile pipeline/config pipeline/diag pipeline/idempotency/redis " +
		"pipeline/kafka pipeline/plan pipeline/state pipeline/topics pipeline/yamlconf",
	"cmd/docs": "handlers/builtin pipeline/config pipeline/diag",
	"pipeline/compile": "handlers pipeline/certificate pipeline/config pipeline/diag pipeline/expression " +
		"pipeline/idempotency/redis pipeline/ingest pipeline/kafka pipeline/listen pipeline/plan " +
		"pipeline/secrets pipeline/shape pipeline/yamlconf",
	"pipeline/deliver": "handlers pipeline/clock pipeline/decide pipeline/events pipeline/expression pipeline/idempotency " +
		"pipeline/kafka pipeline/letters pipeline/memory pipeline/outcome pipeline/oversize pipeline/plan",
	"pipeline/preview": "handlers pipeline/api pipeline/decide pipeline/diag pipeline/expression pipeline/files " +
		"pipeline/idempotency pipeline/kafka pipeline/keys pipeline/letters pipeline/outcome " +
		"pipeline/plan pipeline/secrets",
	"pipeline/config": "handlers pipeline/certificate pipeline/diag pipeline/expression pipeline/files pipeline/kafka " +
		"pipeline/outcome pipeline/plan pipeline/secrets pipeline/shape pipeline/yamlconf",
	"pipeline/decide": "handlers pipeline/diag pipeline/expression pipeline/idempotency pipeline/outcome " +
		"pipeline/oversize pipeline/plan",
	"pipeline/keys": "pipeline/api pipeline/clock pipeline/idempotency pipeline/idempotency/embedded " +
		"pipeline/idempotency/redis pipeline/plan pipeline/state",
	"pipeline/topics": "pipeline/diag pipeline/kafka pipeline/plan",
	"pipeline/api":    "pipeline/idempotency pipeline/kafka pipeline/listen",
	"pipeline/plan": "handlers pipeline/diag pipeline/expression pipeline/ingest pipeline/kafka pipeline/secrets " +
		"pipeline/yamlconf",
	"pipeline/shape": "pipeline/diag pipeline/expression pipeline/files pipeline/yamlconf",
	"cmd/bench":      "pipeline/testbed/kafkacluster pipeline/testbed/nodejs pipeline/testbed/redisserver",
	"cmd/testbed": "pipeline/testbed/kafkacluster pipeline/testbed/nodejs pipeline/testbed/process " +
		"pipeline/testbed/redisserver",
	"handlers/builtin":               "handlers handlers/file handlers/http handlers/kafka handlers/stdout",
	"pipeline/idempotency/storetest": "pipeline/idempotency pipeline/idempotency/memory",
	"pipeline/ingest":                "handlers pipeline/certificate pipeline/expression pipeline/listen pipeline/memory",
	"pipeline/kafka":                 "handlers pipeline/memory pipeline/oversize",
	"pipeline/secrets":               "handlers pipeline/diag pipeline/expression",
	"pipeline/testbed":               "pipeline/testbed/kafkacluster pipeline/testbed/redisserver",
	"pipeline/yamlconf":              "handlers pipeline/diag pipeline/expression",
	"handlers/file":                  "handlers",
	"handlers/handlertest":           "handlers",
	"handlers/http":                  "handlers",
	"handlers/kafka":                 "handlers",
	"handlers/stdout":                "handlers",
	"pipeline/certificate":           "pipeline/files",
	"pipeline/events":                "pipeline/outcome",
	"pipeline/expression":            "handlers pipeline/diag",
	"pipeline/idempotency/embedded":  "pipeline/idempotency pipeline/state",
	"pipeline/idempotency/memory":    "pipeline/idempotency",
	"pipeline/idempotency/redis":     "pipeline/idempotency",
	"pipeline/kafka/embedded":        "pipeline/listen pipeline/memory pipeline/state",
	"pipeline/letters":               "handlers",
	"pipeline/oversize":              "handlers",
	"pipeline/testbed/kafkacluster":  "pipeline/testbed/certificates pipeline/testbed/process",
	"pipeline/testbed/nodejs":        "pipeline/testbed/process",
	"pipeline/testbed/redisserver":   "pipeline/testbed/certificates pipeline/testbed/process",
	"handlers":                       "",
	"pipeline/clock":                 "",
	"pipeline/diag":                  "",
	"pipeline/files":                 "",
	"pipeline/idempotency":           "",
	"pipeline/listen":                "",
	"pipeline/memory":                "",
	"pipeline/outcome":               "",
	"pipeline/state":                 "",
	"pipeline/testbed/certificates":  "",
	"pipeline/testbed/hostile":       "",
	"pipeline/testbed/ledger":        "",
	"pipeline/testbed/process":       "",
}

// fenced names what only some rooms may import.
var fenced = []struct {
	prefix string
	rooms  []string
}{
	{"github.com/ThreeDotsLabs/watermill", []string{"pipeline", "pipeline/deliver", "pipeline/kafka"}},
	{"github.com/IBM/sarama", []string{"pipeline/kafka", "cmd/bench"}},
	{"github.com/twmb/franz-go/pkg/kfake", []string{"pipeline/kafka/embedded"}},
	{"github.com/twmb/franz-go", []string{"pipeline/kafka", "pipeline/kafka/embedded", "pipeline/testbed/ledger", "pipeline/testbed/hostile", "cmd/bench"}},
	{"github.com/cockroachdb/pebble", []string{"pipeline/idempotency/embedded"}},
	{"github.com/redis/rueidis", []string{"pipeline/idempotency/redis"}},
	{"github.com/spf13/cobra", []string{"cmd"}},
	{"gopkg.in/yaml.v3", []string{"pipeline/yamlconf", "pipeline/diag", "pipeline/config", "pipeline/compile", "pipeline/shape"}},
	{"github.com/expr-lang/expr", []string{"pipeline/expression"}},
}

// effects are what decide may not import: it is a function of a record and a plan.
var effects = []string{"context", "time", "net", "net/http", "os", "sync", "sync/atomic", "log/slog", "math/rand/v2", "io"}

func TestImportsPointOneWay(t *testing.T) {
	used := map[string]bool{}
	for _, f := range projectFiles(t) {
		if f.test || strings.HasPrefix(f.pkg, "examples/") {
			continue
		}
		for _, spec := range f.syntax.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if own, ok := strings.CutPrefix(path, module+"/"); ok {
				used[f.pkg+" "+own] = true
			}
			if why := wrongImport(f.pkg, path); why != "" {
				t.Errorf("%s imports %s: %s", f.path, path, why)
			}
		}
	}
	for from, rooms := range arrows {
		for _, to := range strings.Fields(rooms) {
			if !used[from+" "+to] {
				t.Errorf("%s no longer imports %s: take the arrow out", from, to)
			}
		}
	}
}

func wrongImport(from, path string) string {
	own, isOwn := strings.CutPrefix(path, module+"/")
	if isOwn && !slices.Contains(strings.Fields(arrows[from]), own) {
		return "there is no such arrow in the house"
	}
	if from == "handlers" && (isOwn || strings.Contains(strings.Split(path, "/")[0], ".")) {
		return "handlers uses the standard library only"
	}
	if from == "pipeline/decide" && slices.Contains(effects, path) {
		return "decide has no effects"
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

// No arrow leads back up: rooms can be put on floors.
func TestNoArrowRunsBackUp(t *testing.T) {
	floors := map[string]int{}
	var floor func(room string, above []string) int
	floor = func(room string, above []string) int {
		if slices.Contains(above, room) {
			t.Fatalf("the rooms %s run in a circle", strings.Join(append(above, room), " → "))
		}
		if n, ok := floors[room]; ok {
			return n
		}
		n := 0
		for _, below := range strings.Fields(arrows[room]) {
			n = max(n, floor(below, append(above, room))+1)
		}
		floors[room] = n
		return n
	}
	for room := range arrows {
		floor(room, nil)
	}
}

// A room that can't be seen at a glance is two.
func TestRoomsAreSmall(t *testing.T) {
	files := map[string]int{}
	for _, f := range projectFiles(t) {
		if !f.test {
			files[f.pkg]++
		}
	}
	for room, n := range files {
		if n > 30 && room != "cmd" && room != "pipeline/expression" {
			t.Errorf("%s has %d files, more than 30", room, n)
		}
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

// TestLinesFitTheScreen leaves out what can't be broken: tags with the text of the
// reference, raw strings, and words that are too long by themselves.
func TestLinesFitTheScreen(t *testing.T) {
	for _, f := range projectFiles(t) {
		if f.test || strings.HasPrefix(f.pkg, "examples") {
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
