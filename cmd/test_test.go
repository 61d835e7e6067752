package cmd

import (
	"encoding/xml"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

const tested = `
pipelines:
  orders:
    source: {topic: orders}
    filter: payload.total > 10
    idempotency: {key: 'order:${payload.id}'}
    sinks: [{stdout: {}}]
tests:
  - name: large orders are printed
    pipeline: orders
    records: [{payload: {id: 1, total: 11}}, {payload: {id: 2, total: 9}}]
    expect: [delivered, filtered]
  - name: twice
    pipeline: orders
    records: [{payload: {id: 1, total: 11}}, {payload: {id: 1, total: 11}}]
    expect: [delivered, EXPECTED]
`

func testedAs(outcome string) string { return strings.Replace(tested, "EXPECTED", outcome, 1) }

func TestTestTellsByItsExitCode(t *testing.T) {
	for name, c := range map[string]struct {
		config    string
		args      []string
		code      int
		out, errs string
	}{
		"passed":         {testedAs("duplicate"), nil, exitDone, "passed: 2 tests", ""},
		"failed":         {testedAs("delivered"), nil, exitInvalid, "failed: 1 of 2 tests", ""},
		"chosen":         {testedAs("delivered"), []string{"--run", "^large"}, exitDone, "passed: 1 test", ""},
		"quiet":          {testedAs("duplicate"), []string{"-q"}, exitDone, "passed: 2 tests", ""},
		"verbose":        {testedAs("duplicate"), []string{"-v"}, exitDone, "orders/0/1  stdout  claim: duplicate", ""},
		"none is chosen": {testedAs("duplicate"), []string{"--run", "small"}, exitUsage, "", "--run small: of 2 tests none has such a name"},
		"no expression":  {testedAs("duplicate"), []string{"--run", "("}, exitUsage, "", "--run takes a regular expression"},
		"no format":      {testedAs("duplicate"), []string{"--format", "yaml"}, exitUsage, "", `--format takes one of [text json junit], not "yaml"`},
		"watched stdin":  {testedAs("duplicate"), []string{"--watch", "-f", "-"}, exitUsage, "", "--watch can't watch the standard input"},
		"wrong":          {strings.Replace(testedAs("duplicate"), "filtered", "filterd", 1), nil, exitInvalid, "", `hint: did you mean "filtered"?`},
		"no tests":       {testedAs("duplicate")[:strings.Index(tested, "tests:")], nil, exitDone, "there are no tests", ""},
		"unset":          {strings.Replace(testedAs("duplicate"), "topic: orders", "topic: orders, group: '${env.NOWHERE}'", 1), nil, exitInvalid, "", "variable NOWHERE is not set"},
		"unset, skipped": {strings.Replace(testedAs("duplicate"), "topic: orders", "topic: orders, group: '${env.NOWHERE}'", 1), []string{"--skip-env"}, exitDone, "passed: 2 tests", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "pipelines.yaml", c.config)
			code, out, errs := millrace(t, dir, append([]string{"test"}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || (errs == "") != (c.errs == "") {
				t.Errorf("exit code %d, want %d\n%s\n%s", code, c.code, out, errs)
			}
		})
	}
}

func TestTestForMachines(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", testedAs("delivered"))
	code, out, errs := millrace(t, dir, "test", "--format", "json", "--junit", "junit.xml")
	if code != exitInvalid || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var results []struct {
		Name     string
		File     string
		Line     int
		Passed   bool
		Failures []struct {
			Line, Column            int
			Path, Message, Expected string
			Got, Hint               string
		}
		Events []struct{ After, Record, Sink, Text string }
	}
	decode(t, []byte(out), &results)
	if len(results) != 2 || !results[0].Passed || results[1].Passed || len(results[1].Failures) != 1 || len(results[0].Events) != 5 {
		t.Fatalf("%s", out)
	}
	f := results[1].Failures[0]
	if f.Line != 16 || f.Column != 25 || f.Path != "tests[1].expect[1]" || f.Expected != `"delivered"` || f.Got != `"duplicate"` {
		t.Errorf("%+v", f)
	}

	text, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string `xml:"name,attr"`
				Class   string `xml:"classname,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Tests != 2 || doc.Failures != 1 || len(doc.Suites) != 1 || doc.Suites[0].Name != "pipelines.yaml" {
		t.Fatalf("%s", text)
	}
	failed := doc.Suites[0].Cases[1]
	if failed.Name != "twice" || failed.Class != "orders" || failed.Failure == nil ||
		failed.Failure.Message != "pipelines.yaml:16:25: record 2: outcome" || !strings.Contains(failed.Failure.Text, `got       "duplicate"`) {
		t.Errorf("%s", text)
	}
	if _, out, _ := millrace(t, dir, "test", "--format", "junit", "--run", "large"); !strings.HasPrefix(out, "<?xml") || strings.Contains(out, "<failure") {
		t.Errorf("%s", out)
	}
}

// TestTestTouchesNothing has tests of pipelines whose sinks, brokers, store and
// listeners are all there: none is called, and no file is written.
func TestTestTouchesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			conn.Close()
		}
	}()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", strings.ReplaceAll(`
kafka: {brokers: [ADDRESS]}
idempotency: {store: 'redis://ADDRESS/0'}
ingest: {listen: ADDRESS, routes: [{path: /a, topic: a}]}
pipelines:
  all:
    source: {topic: a}
    idempotency: {key: 'k:${payload.id}', on_uncertain: park}
    sinks:
      - http: {url: 'http://ADDRESS/'}
      - kafka: {topic: b}
      - file: {dir: out, path: '${payload.id}.jsonl'}
      - stdout: {}
tests:
  - name: all sinks
    pipeline: all
    records: [{payload: {id: 1}}, {payload: {id: 1}, after: 30d}, {value: broken}]
    sinks: {http: [refused, timeout, fail 500, fail 503], file: [fail], stdout: [reset x5]}
    crash: after_write
    expect: [{outcome: dead_lettered, calls: 13}, {outcome: delivered, calls: 4}, {outcome: dead_lettered, dead_letter: {topic: all.dead-letter}}]
`, "ADDRESS", l.Addr().String()))
	code, out, errs := millrace(t, dir, "test", "-v")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if code != exitDone || errs != "" || !strings.Contains(out, "passed: 1 test") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("something was called %d times", n)
	}
	if strings.Contains(out, `{"id":1}`) {
		t.Errorf("the stdout sink printed:\n%s", out)
	}
	var files []string
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		files = append(files, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{dir, filepath.Join(dir, "pipelines.yaml")}; !slices.Equal(files, want) {
		t.Errorf("files were written: %v", files)
	}
}

func TestTestReadsStdinAndFolders(t *testing.T) {
	dir := t.TempDir()
	pipelines, tests, _ := strings.Cut(testedAs("duplicate"), "tests:")
	write(t, dir, "config/pipelines.yaml", pipelines)
	write(t, dir, "config/tests.yaml", "tests:"+tests)
	write(t, dir, "more.yaml", "tests:\n  - {pipeline: orders, records: [{value: x}], expect: [dead_lettered], env: {A: b}}\n")
	if code, out, errs := millrace(t, dir, "test", "-f", "config", "-f", "more.yaml"); code != exitDone || !strings.Contains(out, "passed: 3 tests") || !strings.Contains(out, "orders, unnamed 1") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestTestShowsNoSecrets(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "token", "hunter2-hunter2")
	write(t, dir, "pipelines.yaml", `
pipelines:
  orders:
    source: {topic: orders}
    transform: {payload: {token: 'file("token")', id: payload.id}}
    sinks: [{http: {url: 'http://localhost:3001/', headers: {Authorization: 'Bearer ${file("token")}'}}}]
tests:
  - name: secrets
    pipeline: orders
    records: [{payload: {id: 1}}]
    expect: [{payload: {id: 2}, request: {body: {id: 3}, headers: {Authorization: x}}}]
`)
	for _, format := range []string{"text", "json", "junit"} {
		code, out, errs := millrace(t, dir, "test", "-v", "--format", format)
		if code != exitInvalid || !strings.Contains(out, "[redacted]") || strings.Contains(out+errs, "hunter2") {
			t.Errorf("%s: exit code %d\n%s%s", format, code, out, errs)
		}
	}
}

// TestTestWatches changes files as editors do, by writing and by putting another
// in their place, and a schema, and adds a file to a folder.
func TestTestWatches(t *testing.T) {
	dir := t.TempDir()
	schema := `{"properties": {"id": {}, "total": {"type": "number"}}}`
	config := func(outcome string) string { return "topics: {orders: {schema: ../schema.json}}\n" + testedAs(outcome) }
	write(t, dir, "config/pipelines.yaml", config("duplicate"))
	write(t, dir, "schema.json", schema)
	p := launch(t, dir, "test", "--watch", "-f", "config")
	lines, errs := 0, 0 // of earlier runs
	says := func(what string) {
		t.Helper()
		p.await("it says "+what, func() bool {
			out, log := strings.Join(p.lines()[lines:], "\n"), p.log()
			if !strings.HasSuffix(out, "waiting for changes; ctrl-C ends") || !strings.Contains(out+log[errs:], what) {
				return false
			}
			lines, errs = lines+strings.Count(out, "\n")+1, len(log)
			return true
		})
	}
	says("passed: 2 tests")
	write(t, dir, "config/pipelines.yaml", config("delivered"))
	says("failed: 1 of 2 tests")
	write(t, dir, "config/new", config("delivred"))
	if err := os.Rename(filepath.Join(dir, "config/new"), filepath.Join(dir, "config/pipelines.yaml")); err != nil {
		t.Fatal(err)
	}
	says(`did you mean "delivered"?`)
	write(t, dir, "config/pipelines.yaml", config("duplicate"))
	says("passed: 2 tests")
	write(t, dir, "schema.json", `{"type": 5}`)
	says("[MR074]")
	write(t, dir, "schema.json", schema)
	says("passed: 2 tests")
	write(t, dir, "config/more.yaml", "tests:\n  - {name: more, pipeline: orders, records: [{value: x}], expect: [dead_lettered]}\n")
	says("passed: 3 tests")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil { // ctrl-C
		t.Fatal(err)
	}
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// What the documents show of tests passes, and is what millrace test prints.
func TestDocumentedTestsPass(t *testing.T) {
	for file, want := range map[string]int{"../README.md": 1, "../docs/testing.md": 3} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests := 0
		for _, block := range blocks(string(text), "yaml") {
			if !strings.Contains(block, "\ntests:") {
				continue
			}
			dir := t.TempDir()
			write(t, dir, "pipelines.yaml", block)
			code, out, errs := millrace(t, dir, "test")
			if code != exitDone || errs != "" {
				t.Errorf("%s: exit code %d\n%s%s", file, code, out, errs)
			}
			tests += strings.Count(out, "\nok") + 1
			if shown := blocks(string(text), "text"); filepath.Base(file) == "testing.md" && withoutTimes(shown[0]) != withoutTimes(out) {
				t.Errorf("%s shows\n%s, and it prints\n%s", file, shown[0], out)
			}
		}
		if tests != want {
			t.Errorf("%s has %d tests, not %d", file, tests, want)
		}
	}
}

func withoutTimes(out string) string {
	return regexp.MustCompile(`\([0-9.]+m?s\)`).ReplaceAllString(out, "")
}
