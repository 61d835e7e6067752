package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/state"
)

const keysFile = `version: 1
%spipelines:
  %s:
    source: {topic: %s}
    idempotency: {key: "order:${payload.order_id}"}
    sinks:
      - stdout: {}
      - kafka: {topic: %s}
    dead_letter: off
`

// A key is looked at and forgotten while its store is used, and afterwards.
func TestKeys(t *testing.T) {
	t.Parallel()
	testKeys(t, bed{})
}

func testKeys(t *testing.T, b bed) {
	dir := t.TempDir()
	name := b.name("invoices")
	write(t, dir, "pipelines.yaml", fmt.Sprintf(keysFile, b.blocks(), name, b.name("orders"), name))
	b.create(t, 6, "orders", "invoices")
	p := start(t, dir, "run")
	keys := func(want int, says string, args ...string) string {
		t.Helper()
		code, out, errs := millrace(t, dir, append([]string{"keys"}, args...)...)
		if code != want || !strings.Contains(out+errs, says) {
			t.Fatalf("keys %v: code %d, want %d with %q:\n%s%s", args, code, want, says, out, errs)
		}
		return out
	}
	order := func(total int64) {
		t.Helper()
		if code, _, errs := millrace(t, dir, "publish", b.name("orders"), `{"order_id": "o-1"}`); code != 0 {
			t.Fatal(errs)
		}
		p.await("the order is done", func() bool {
			o := p.status().Pipelines[0].Outcomes
			return o["delivered"]+o["duplicate"] == total
		})
	}
	order(1)
	out := keys(0, "confirmed", "get", name, "order:o-1")
	for _, want := range []string{name + " stdout: confirmed", name + " kafka: confirmed", b.name("orders") + "/", fmt.Sprint("pid ", p.cmd.Process.Pid)} {
		if !strings.Contains(out, want) {
			t.Errorf("keys get lacks %q:\n%s", want, out)
		}
	}
	var found struct {
		Sink, Key string
		Row       struct {
			State  string
			Record struct{ Topic string }
		}
	}
	out = keys(0, "", "get", name, "order:o-1", "--sink", "kafka", "--format", "json")
	decode(t, []byte(out), &found)
	if found.Sink != "kafka" || found.Key != "order:o-1" || found.Row.State != "confirmed" || found.Row.Record.Topic != b.name("orders") {
		t.Errorf("%+v", found)
	}
	keys(0, "not there", "get", name, "order:o-2")
	keys(0, "not there", "get", name, "order:o-1", "--generation", "2")
	keys(2, `did you mean "`+name+`"`, "get", name[:len(name)-1], "order:o-1")
	keys(2, `did you mean "kafka"`, "get", name, "order:o-1", "--sink", "kafkaa")
	keys(2, "", "get", name)
	keys(2, "there is no command", "got")

	lists := func() {
		t.Helper()
		if out := keys(0, "confirmed", "list"); strings.Count(out, b.name("orders")+"/") != 2 || strings.Contains(out, "order:o-1") {
			t.Errorf("keys list shows\n%s", out)
		}
		if out := keys(0, "there are more", "list", "-n", "1", "--state", "confirmed", "--format", "json"); strings.Count(out, "\n") != 1 ||
			!strings.Contains(out, `"id":"`) || !strings.Contains(out, `"topic":"`+b.name("orders")+`"`) {
			t.Errorf("keys list in JSON shows\n%s", out)
		}
		keys(0, "no such keys", "list", "--state", "parked")
		keys(0, "2 keys in all; the store takes", "stats")
		var counted struct {
			Keys, Bytes int
			States      map[string]struct {
				Keys   int
				Oldest *struct{ Record struct{ Topic string } }
			}
		}
		decode(t, []byte(keys(0, "", "stats", "--format", "json")), &counted)
		done := counted.States["confirmed"]
		if counted.Keys != 2 || counted.Bytes == 0 || done.Keys != 2 || done.Oldest.Record.Topic != b.name("orders") || counted.States["parked"].Oldest != nil {
			t.Errorf("keys stats: %+v", counted)
		}
	}
	lists()
	keys(2, `did you mean "claimed"`, "list", "--state", "claimd")
	keys(2, "-n takes how many keys", "list", "-n", "0")
	keys(2, "the store does not keep whose a key is", "list", name)
	keys(2, "--format takes text or json", "stats", "--format", "yaml")
	keys(1, "no process 1 runs", "stats", "--pid", "1")

	order(2)
	if n := len(p.lines()); n != 1 {
		t.Fatalf("%d lines before the key is forgotten", n)
	}
	keys(0, "stdout: forgotten", "delete", name, "order:o-1", "--sink", "stdout", "--yes")
	keys(0, "stdout: not there", "delete", name, "order:o-1", "--sink", "stdout", "-y")
	keys(2, "give --yes", "delete", name, "order:o-1")
	order(3)
	if n := len(p.lines()); n != 2 {
		t.Errorf("%d lines after the key was forgotten, want 2", n)
	}
	keys(2, "give --yes", "accept-reset")
	keys(0, "accepted", "accept-reset", "--yes")
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	out = keys(0, "", "get", name, "order:o-1", "--sink", "stdout", "--format", "json")
	if err := json.Unmarshal([]byte(out), &found); err != nil || found.Row.State != "confirmed" {
		t.Errorf("once nothing runs: %v %s", err, out)
	}
	lists()
}

// The keys' folder is lost beside a cluster, or beside the embedded broker: who
// starts next is blocked until a person accepts that.
func TestKeysFolderLost(t *testing.T) {
	t.Parallel()
	testKeysFolderLost(t, bed{})
}

func testKeysFolderLost(t *testing.T, b bed) {
	dir := t.TempDir()
	name := b.name("invoices")
	write(t, dir, "pipelines.yaml", fmt.Sprintf(keysFile, b.blocks(), name, b.name("orders"), name))
	b.create(t, 1, "orders", "invoices")
	p := start(t, dir, "run")
	b.send(t, p.broker(), b.orders(0, 10))
	b.ended(t, p)
	p.stop()
	if err := os.RemoveAll(filepath.Join(dir, ".millrace", "keys")); err != nil {
		t.Fatal(err)
	}
	p = launch(t, dir, "run")
	p.await("it has joined", func() bool { return strings.Contains(p.log(), "partitions assigned") })
	b.send(t, p.broker(), b.orders(10, 10))
	blocked(p)
	time.Sleep(300 * time.Millisecond)
	if n := len(p.lines()); n > 0 {
		t.Errorf("%d sink calls while blocked", n)
	}
	if code, _, errs := millrace(t, dir, "keys", "accept-reset", "--yes"); code != 0 {
		t.Fatal(errs)
	}
	b.ended(t, p)
	if n := len(p.lines()); n != 10 {
		t.Errorf("%d sink calls once it was accepted, want 10", n)
	}
	p.stop()
	p = start(t, dir, "run")
	if s := p.status(); !s.Ready {
		t.Errorf("a loss that was accepted blocks again: %v", s.Reasons)
	}
}

// blocked waits until each process says that a person must accept the loss.
func blocked(all ...*process) {
	for _, p := range all {
		p.t.Helper()
		p.await("it is blocked", func() bool {
			s := p.status()
			return !s.Ready && strings.Contains(strings.Join(s.Reasons, " "), "accept-reset")
		})
	}
}

// A short command that has the keys' folder for a moment does not keep a process from
// starting; it waits, and a process that runs there refuses it at once.
func TestKeysFolderIsTakenForAMoment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", fmt.Sprintf(keysFile, bed{}.blocks(), "invoices", "orders", "invoices"))
	lock, err := state.LockFolder(filepath.Join(dir, ".millrace", "keys"))
	if err != nil {
		t.Fatal(err)
	}
	p := launch(t, dir, "run")
	p.await("it opens its parts", func() bool { return strings.Contains(p.log(), "embedded broker listens") })
	time.Sleep(300 * time.Millisecond)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	p.await("it is ready", func() bool { return strings.Contains(p.log(), `"msg":"ready"`) })
	if code, _, errs := millrace(t, dir, "run"); code != 1 || !strings.Contains(errs, fmt.Sprint("pid ", p.cmd.Process.Pid)) {
		t.Errorf("a second run: code %d\n%s", code, errs)
	}
}
