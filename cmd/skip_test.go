package cmd

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/api"
)

const skipFile = `kafka: {embedded: {listen: 127.0.0.1:0}}
server: {health: 127.0.0.1:0}
topics: {in: {partitions: 1}}
pipelines:
  off: {source: {topic: in, commit_interval: 100ms}, filter: payload.n > 1, dead_letter: off, sinks: [{stdout: {}}]}
  stop: {source: {topic: in, commit_interval: 100ms}, filter: payload.n > 1, on_error: stop, dead_letter: off, sinks: [{stdout: {}}]}
  other: {source: {topic: in}, dead_letter: off, sinks: [{stdout: {}}]}
`

func metrics(t *testing.T, p *process) string {
	t.Helper()
	response, err := http.Get("http://" + p.status().Health + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fileLines are those of a file.
func fileLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(text), "\n"), "\n")
}

// Where a process runs, pipelines that stand at a record, or have stopped at it, go on at
// once when it is skipped; it is archived, ends as dropped, and stays so over a restart.
func TestSkip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", skipFile)
	skip := func(code int, says string, args ...string) string {
		t.Helper()
		return told(t, dir, code, says, append([]string{"skip"}, args...)...)
	}
	p := start(t, dir, "run")
	told(t, dir, 0, "", "publish", "in", `{"n":2}`, `{"n":"x"}`, `{"n":3}`)
	of := func(i int) api.PipelineStatus { return p.status().Pipelines[i] }
	p.await("two of them stand", func() bool { return len(of(0).Standing) == 1 && len(of(1).Standing) == 1 && of(1).State == api.Stopped })
	if at := of(0).Standing[0]; at.Place() != "in/0/1" || at.Sink != "" || !strings.Contains(at.Reason, ">") {
		t.Errorf("it stands at %+v", at)
	}

	skip(1, `pipeline "off" does not stand at in/0/0; it stands at in/0/1 (`, "off", "--at", "in/0/0", "--archive", "a.jsonl")
	skip(1, `pipeline "other" does not stand at in/0/1, nor at any other record`, "other", "--at", "in/0/1", "--archive", "a.jsonl")
	if _, err := os.Stat(filepath.Join(dir, "a.jsonl")); err == nil {
		t.Error("a record at which nothing stands is archived")
	}
	skip(1, "write the record to missing/a.jsonl, before anything else: open missing/a.jsonl", "off", "--at", "in/0/1", "--archive", "missing/a.jsonl")
	skip(1, "before anything else", "off", "--at", "in/0/1", "--archive", ".")
	if len(of(0).Standing) != 1 {
		t.Error("what could not be archived is skipped")
	}
	write(t, dir, "a.jsonl", "{\"kept\":1}\n{\"cut off")
	skip(0, "off: goes past in/0/1, which is written to a.jsonl and ends as dropped, reason skipped", "off", "--at", "in/0/1", "--archive", "a.jsonl")
	p.await("it goes on", func() bool {
		s := of(0)
		return s.Outcomes["dropped"] == 1 && s.Outcomes["delivered"] == 2 && s.Lag == 0 && len(s.Reasons) == 0
	})
	lines := fileLines(t, filepath.Join(dir, "a.jsonl"))
	if len(lines) != 3 || lines[0] != `{"kept":1}` || !strings.Contains(lines[2], `"topic":"in","partition":0,"offset":1`) || !strings.Contains(lines[2], `"payload":{"n":"x"}`) {
		t.Errorf("the archive has %q", lines)
	}
	skip(0, "stop: goes past in/0/1", "stop", "--at", "in/0/1", "--archive", "a.jsonl")
	p.await("what had stopped goes on", func() bool {
		s := of(1)
		return s.State == api.Running && s.Outcomes["dropped"] == 1 && s.Lag == 0 && len(s.Standing) == 0
	})
	p.await("the commits have passed it", func() bool { return len(of(0).Skipped)+len(of(1).Skipped) == 0 })
	skip(1, `does not stand at in/0/1`, "off", "--at", "in/0/1", "--archive", "a.jsonl")
	if n := len(fileLines(t, filepath.Join(dir, "a.jsonl"))); n != 4 {
		t.Errorf("the archive has %d lines", n)
	}
	out := told(t, dir, 0, "skipped by ", "explain", "off", "--at", "in/0/1")
	if !strings.Contains(out, "dropped") || !strings.Contains(out, "archived in "+filepath.Join(dir, "a.jsonl")) {
		t.Errorf("explain says\n%s", out)
	}
	told(t, dir, 0, `"ended":"dropped"`, "explain", "off", "--at", "in/0/1", "--format", "json")
	if text := metrics(t, p); !strings.Contains(text, `millrace_records_skipped_total{pipeline="off"} 1`) || !strings.Contains(text, `millrace_records_total{outcome="dropped",pipeline="off"} 1`) {
		t.Errorf("metrics are\n%s", text)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p = start(t, dir, "run")
	if s := p.status(); len(s.Pipelines[0].Skipped) > 0 || s.Pipelines[0].Lag != 0 {
		t.Errorf("after a restart: %+v", s.Pipelines[0])
	}
	info, err := os.Stat(filepath.Join(dir, ".millrace", "skipped", "off.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

// Where nothing runs, since a record stopped the last pipeline, the next run goes past it.
func TestSkipWhereNothingRuns(t *testing.T) {
	t.Parallel()
	testSkipWhereNothingRuns(t, bed{})
}

func testSkipWhereNothingRuns(t *testing.T, b bed) {
	dir, name := t.TempDir(), b.name("orders")
	b.create(t, 1, "orders")
	write(t, dir, "pipelines.yaml", b.blocks()+fmt.Sprintf(`topics: {%[1]s: {partitions: 1}}
pipelines: {%[1]s: {source: {topic: %[1]s, commit_interval: 100ms}, filter: payload.n > 1, on_error: stop, dead_letter: off, sinks: [{stdout: {}}]}}
`, name))
	skip := func(code int, says string, args ...string) string {
		t.Helper()
		return told(t, dir, code, says, append([]string{"skip", name, "--archive", "a.jsonl"}, args...)...)
	}
	at := func(offset int) string { return fmt.Sprintf("%s/0/%d", name, offset) }
	if len(b.brokers) == 0 {
		skip(1, "no broker runs, or ever ran", "--at", at(1))
	} else {
		skip(1, "has committed nothing of "+name+"/0", "--at", at(1))
	}
	p := start(t, dir, "run")
	told(t, dir, 0, "", "publish", name, `{"n":2}`, `{"n":"x"}`, `{"n":3}`, `{"n":"y"}`)
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(p.log(), "stopped at "+at(1)) {
		t.Fatalf("code %d\n%s", code, p.log())
	}
	skip(1, "the next run goes on at "+at(1), "--at", at(2))
	skip(1, "the next run goes on at "+at(1), "--at", at(0))
	skip(2, "has no partition", "--at", name+"/9/1")
	out := skip(0, "goes past "+at(1)+", which is written to a.jsonl", "--at", at(1))
	if !strings.Contains(out, "not running, and the next run does so") {
		t.Errorf("skip says %s", out)
	}
	if len(b.brokers) == 0 {
		skip(0, "is skipped by ", "--at", at(1)) // asked again, it is so already
	} else {
		skip(1, "whether a sink takes that record shows only while it runs", "--at", at(2))
	}
	if lines := fileLines(t, filepath.Join(dir, "a.jsonl")); len(lines) != 1 {
		t.Errorf("the archive has %q", lines)
	}
	p = launch(t, dir, "run")
	<-p.done
	if !strings.Contains(p.log(), "stopped at "+at(3)) || len(p.lines()) != 1 || !strings.Contains(p.lines()[0], `"n":3`) {
		t.Fatalf("the next run printed %v\n%s", p.lines(), p.log())
	}
	told(t, dir, 0, "skipped by ", "explain", "--at", at(1))
	skip(0, "goes past "+at(3), "--at", at(3))
	p = start(t, dir, "run")
	told(t, dir, 0, "", "publish", name, `{"n":4}`)
	p.await("what comes then is delivered", func() bool { return len(p.lines()) == 1 && p.status().Pipelines[0].Lag == 0 })
	p.await("nothing is left to skip", func() bool { return len(p.status().Pipelines[0].Skipped) == 0 })
	if o := p.status().Pipelines[0].Outcomes["dropped"]; len(b.brokers) == 0 && o != 1 {
		t.Errorf("%d were dropped", o)
	}
	told(t, dir, 1, `"`+name+`" does not stand at `+at(4)+", nor at any other record", "skip", name, "--at", at(4), "--archive", "b.jsonl")
	p.stop()
	skip(1, "it has read "+name+"/0 to its end", "--at", at(5))
}

// A record that its receiver refuses, without dead letters, is skipped: its key is as if it
// never came, and the same key of another record is delivered.
func TestSkipWhatAReceiverRefuses(t *testing.T) {
	t.Parallel()
	testSkipWhatAReceiverRefuses(t, bed{})
}

func testSkipWhatAReceiverRefuses(t *testing.T, b bed) {
	dir, name := t.TempDir(), b.name("orders")
	r := &receiver{taken: map[string]int{}, keys: map[string]string{}, code: func(path string) int {
		if strings.HasSuffix(path, "/bad") {
			return 422
		}
		return 200
	}}
	server := httptest.NewServer(r)
	defer server.Close()
	b.create(t, 1, "orders")
	write(t, dir, "pipelines.yaml", b.blocks()+fmt.Sprintf(`topics: {%[1]s: {partitions: 1}}
pipelines:
  %[1]s:
    source: {topic: %[1]s, commit_interval: 100ms}
    idempotency: {key: 'k:${payload.id}'}
    dead_letter: off
    sinks: [{http: {url: '%[2]s/${payload.to}'}}]
    retry: {initial: 50ms, max: 100ms}
`, name, server.URL))
	p := start(t, dir, "run")
	told(t, dir, 0, "", "publish", name, "--key", "a", `{"id":1,"to":"bad"}`, `{"id":2,"to":"good"}`)
	p.await("it stands", func() bool { return len(p.status().Pipelines[0].Standing) == 1 })
	place := name + "/0/0"
	told(t, dir, 1, "(see `millrace skip`)", "status", "--exit-code")
	told(t, dir, 0, "goes past "+place, "skip", name, "--at", place, "--archive", "a.jsonl")
	p.await("it goes on", func() bool {
		s := p.status().Pipelines[0]
		return s.Outcomes["dropped"] == 1 && s.Outcomes["delivered"] == 1 && s.Lag == 0
	})
	told(t, dir, 1, "not there", "keys", "get", name, "k:1", "--exit-code")
	told(t, dir, 0, "", "publish", name, "--key", "a", `{"id":1,"to":"good"}`)
	p.await("its key is free", func() bool { return p.status().Pipelines[0].Outcomes["delivered"] == 2 })
	p.stop()
}

// Killed before the commit has passed it, a skipped record is not delivered by the next
// process either.
func TestSkipIsKeptOverAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {in: {partitions: 1}}
pipelines: {off: {source: {topic: in, commit_interval: 10m}, filter: payload.n > 1, dead_letter: off, sinks: [{stdout: {}}]}}
`)
	p := start(t, dir, "run")
	told(t, dir, 0, "", "publish", "in", `{"n":"x"}`, `{"n":3}`)
	p.await("it stands", func() bool { return len(p.status().Pipelines[0].Standing) == 1 })
	told(t, dir, 0, "goes past in/0/0", "skip", "off", "--at", "in/0/0", "--archive", "a.jsonl")
	told(t, dir, 0, "off: in/0/0 is skipped by ", "skip", "off", "--at", "in/0/0", "--archive", "a.jsonl")
	p.await("it goes on", func() bool { return len(p.lines()) == 1 })
	told(t, dir, 0, "off: skipped in/0/0, until the commit has passed it", "status")
	p.kill()
	p = start(t, dir, "run")
	p.await("it goes on", func() bool { s := p.status().Pipelines[0]; return len(p.lines()) == 1 && s.Outcomes["dropped"] == 1 })
	if len(fileLines(t, filepath.Join(dir, "a.jsonl"))) != 1 {
		t.Error("it was archived twice")
	}
	p.stop()
}

// What can't be done is said in words that help, and changes nothing.
func TestSkipBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", skipFile)
	p := start(t, dir, "run")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, `there is no pipeline "of" (did you mean "off"?)`, []string{"of", "--at", "in/0/0", "--archive", "a"}},
		{2, "it takes one pipeline", []string{"--at", "in/0/0", "--archive", "a"}},
		{2, "skip needs a record and a file to keep it in", []string{"off", "--at", "in/0/0"}},
		{2, "skip needs a record and a file to keep it in", []string{"off", "--archive", "a"}},
		{2, "a record's place is topic/partition/offset", []string{"off", "--at", "in/0", "--archive", "a"}},
		{2, `does not read topic "ni" (did you mean "in"?)`, []string{"off", "--at", "ni/0/0", "--archive", "a"}},
		{2, "--format takes text or json", []string{"off", "--at", "in/0/0", "--archive", "a", "--format", "xml"}},
		{1, `does not stand at in/0/7, nor at any other record`, []string{"off", "--at", "in/0/7", "--archive", "a"}},
		{1, "no process 1 runs on", []string{"off", "--at", "in/0/7", "--archive", "a", "--pid", "1"}},
	} {
		told(t, dir, c.code, c.says, append([]string{"skip"}, c.args...)...)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("something was archived")
	}
	time.Sleep(time.Millisecond)
	p.stop()
}
