package cmd

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree is what lies in a folder: names with modes, times and sums.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		about := fmt.Sprint(info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			about += fmt.Sprintf(" %x", sha256.Sum256(text))
		}
		found[path] = about
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// silent is a receiver that counts what it is sent.
func silent(t *testing.T) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// holdings are what a broker holds: topics, what is in them, and what groups
// have committed.
func holdings(t *testing.T, b bed, broker string, groups ...string) map[string]any {
	t.Helper()
	admin := b.admin(t, broker)
	found, err := admin.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"topics": found}
	for _, topic := range found {
		ends, err := admin.EndOffsets(t.Context(), topic.Name)
		if err != nil {
			t.Fatal(err)
		}
		all["ends of "+topic.Name] = ends
		configs, err := admin.TopicConfigs(t.Context(), topic.Name)
		if err != nil {
			t.Fatal(err)
		}
		all["settings of "+topic.Name] = configs
	}
	for _, group := range groups {
		committed, err := admin.Committed(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		all["commits of "+group] = committed
	}
	return all
}

// connectFile reads orders and writes them everywhere.
func connectFile(b bed, url string) string {
	return "version: 1\n" + b.blocks() + fmt.Sprintf(`pipelines:
  %[1]s:
    source: {topic: %[2]s}
    dead_letter: {topic: %[3]s}
    idempotency: {key: "order:${payload.order_id}"}
    sinks:
      - http: {url: %[4]s/orders}
      - file: {dir: out/deep, path: orders.jsonl}
      - kafka: {topic: %[5]s}
      - stdout: {}
`, b.name("copy"), b.name("orders"), b.name("dead"), url, b.name("copies"))
}

// validate --connect writes nothing: no folder where nothing ever ran, no file of
// one that something ran in, and nothing on a broker that runs.
func TestConnectWritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url, requests := silent(t)
	b := bed{}
	write(t, dir, "pipelines.yaml", connectFile(b, url))
	same := func(says string) {
		t.Helper()
		before, sent := tree(t, dir), requests.Load()
		expect(t, dir, 0, says, "validate", "--connect")
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("files changed:\n%s", diff)
		}
		if n := requests.Load() - sent; n != 0 {
			t.Errorf("the receiver was sent %d requests", n)
		}
	}
	same("the embedded broker does not run")
	if _, err := os.Stat(filepath.Join(dir, ".millrace")); err == nil {
		t.Error("the state folder was made")
	}
	expect(t, dir, 0, "", "publish", "--create", "orders", `{"order_id": "o-1"}`, `{"order_id": "o-2"}`)
	expect(t, dir, 0, "", "run", "--until-end")
	same("embedded, in use by no process")

	p := start(t, dir, "broker")
	before := holdings(t, b, p.broker(), "copy")
	same(fmt.Sprintf("kafka: the embedded broker of process %d at %s, 3 topics, 1 group looked at", p.cmd.Process.Pid, p.broker()))
	if diff := cmp.Diff(before, holdings(t, b, p.broker(), "copy")); diff != "" {
		t.Errorf("the broker changed:\n%s", diff)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("the broker ended with %d", code)
	}
}

// What validate --connect says, in each format, and its flags.
func TestConnectSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {brokers: ["127.0.0.1:1"]}
pipelines: {p: {source: {topic: orders}, sinks: [{stdout: {}}]}}
`)
	out := expect(t, dir, 3, "", "validate", "--connect")
	want := `pipelines.yaml:2:19: the broker 127.0.0.1:1 can't be used: dial tcp 127.0.0.1:1: connect: connection refused [MR100]
  1 | version: 1
  2 | kafka: {brokers: ["127.0.0.1:1"]}
    |                   ^
`
	if !strings.HasPrefix(out, want) {
		t.Error(cmp.Diff(want, out))
	}
	var problems []struct {
		Line, Column   int
		Code, Severity string
	}
	decode(t, []byte(expect(t, dir, 3, "", "validate", "--connect", "--format", "json")), &problems)
	if len(problems) != 1 || problems[0].Line != 2 || problems[0].Column != 19 || problems[0].Code != "MR100" || problems[0].Severity != "error" {
		t.Errorf("%+v", problems)
	}
	expect(t, dir, 0, "valid: 1 pipeline, 0 warnings", "validate")
	expect(t, dir, 2, "--replicas and --timeout go with --connect", "validate", "--replicas", "2")
	expect(t, dir, 2, "--skip-env", "validate", "--connect", "--skip-env")
	expect(t, dir, 2, "--timeout takes a time", "validate", "--connect", "--timeout", "0s")
}
