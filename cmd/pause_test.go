package cmd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/api"
)

// told runs a command and wants its exit code and words.
func told(t *testing.T, dir string, code int, says string, args ...string) string {
	t.Helper()
	got, out, errs := millrace(t, dir, args...)
	if got != code || !strings.Contains(out+errs, says) {
		t.Fatalf("%v: code %d, want %d with %q:\n%s%s", args, got, code, says, out, errs)
	}
	return out
}

// Paused under load, what is in flight finishes and nothing else begins; status says
// who did it, when and why, also after a restart; resumed, it catches up, and no call
// is made twice.
func TestPause(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := &receiver{taken: map[string]int{}, keys: map[string]string{}, code: func(string) int { return 200 }, took: 150 * time.Millisecond}
	server := httptest.NewServer(r)
	defer server.Close()
	write(t, dir, "pipelines.yaml", fmt.Sprintf(receiverFile, strings.TrimPrefix(server.URL, "http://")))
	p := start(t, dir, "run")
	publishOrders(t, dir, 0, 2000)
	p.await("it delivers", func() bool { paths, _ := r.total(); return paths >= 50 })
	out := told(t, dir, 0, "orders: paused in process", "pause", "orders", "--reason", "the receiver is rebuilt")
	if !strings.Contains(out, "it keeps orders/0-5") || strings.Contains(out, "!") {
		t.Errorf("pause says\n%s", out)
	}
	p.await("what was in flight is finished", func() bool { s := p.status().Pipelines[0]; return s.State == api.Paused && s.InFlight == 0 })
	_, calls := r.total()
	if calls == 2000 {
		t.Fatal("nothing was left to do when it was paused")
	}
	publishOrders(t, dir, 2000, 2100)
	p.await("its lag grows", func() bool { return p.status().Pipelines[0].Lag >= 100 })
	still := func() {
		t.Helper()
		time.Sleep(300 * time.Millisecond)
		if _, now := r.total(); now != calls {
			t.Errorf("%d calls were made while it was paused", now-calls)
		}
		s := p.status()
		if s.Ready || s.Pipelines[0].State != api.Paused || s.Pipelines[0].Paused == nil || s.Pipelines[0].Paused.Reason != "the receiver is rebuilt" {
			t.Errorf("status is %+v", s.Pipelines[0])
		}
	}
	still()
	told(t, dir, 1, "! orders: paused by ", "status", "orders", "--exit-code")
	told(t, dir, 0, "orders: is paused by ", "pause", "orders", "--reason", "another one")
	if files, _ := filepath.Glob(filepath.Join(dir, ".millrace", "paused", "*")); len(files) > 0 {
		t.Errorf("kept without --persist: %v", files)
	}
	told(t, dir, 0, ", also over a restart: the receiver is rebuilt", "pause", "--all", "--persist")
	info, err := os.Stat(filepath.Join(dir, ".millrace", "paused", "orders.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	if code := p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	p = launch(t, dir, "run")
	p.await("it has joined", func() bool { return strings.Contains(p.log(), "partitions assigned") })
	still()
	var answers []struct {
		PID     int
		Changed bool
		Pause   api.Pause
	}
	decode(t, []byte(told(t, dir, 0, "", "resume", "orders", "--format", "json")), &answers)
	if len(answers) != 1 || !answers[0].Changed || answers[0].PID != p.cmd.Process.Pid || answers[0].Pause.Reason != "the receiver is rebuilt" {
		t.Errorf("resume answers %+v", answers)
	}
	p.await("it catches up", func() bool { paths, _ := r.total(); return paths == 2100 })
	p.await("it is ready", func() bool { return p.status().Ready })
	told(t, dir, 0, "orders: is not paused; it is running", "resume", "--all")
	if paths, calls := r.total(); calls != paths {
		t.Errorf("%d calls for %d orders", calls, paths)
	}
}

// A pause that a process left behind, whatever became of its file, holds until
// somebody resumes, also where nothing runs.
func TestPauseIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", "kafka: {embedded: {listen: 127.0.0.1:0}}\npipelines: {parcels: {source: {topic: in}, sinks: [{stdout: {}}]}}\n")
	told(t, dir, 1, "nothing runs on", "pause", "parcels")
	told(t, dir, 1, "nothing would start paused", "resume", "parcels")
	p := start(t, dir, "run")
	told(t, dir, 0, "parcels: paused", "pause", "parcels", "--persist")
	p.kill()
	path := filepath.Join(dir, ".millrace", "paused", "parcels.json")
	var kept api.Pause
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &kept); err != nil || kept.PID == 0 || kept.User == "" || kept.Host == "" || kept.Since.IsZero() {
		t.Errorf("it keeps %s: %v", text, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = launch(t, dir, "run")
	p.await("it is paused", func() bool { return strings.Contains(p.log(), "starts paused") })
	p.await("status says why", func() bool {
		s, err := p.ask(t.Context())
		return err == nil && len(s.Pipelines) == 1 && s.Pipelines[0].State == api.Paused && strings.Contains(s.Pipelines[0].Reasons[0], "can't be read any more")
	})
	p.stop()
	told(t, dir, 2, `did you mean "parcels"`, "resume", "parcel")
	told(t, dir, 0, "parcels: nothing runs; it reads again at the next start", "resume", "parcels")
	start(t, dir, "run")
}

// What other replicas read on is named; their partitions come to the paused process
// when they leave, and it does not read those either.
func TestPauseBesideAnotherReplica(t *testing.T) {
	t.Parallel()
	testPauseBesideAnotherReplica(t, bed{})
}

func testPauseBesideAnotherReplica(t *testing.T, b bed) {
	name := b.name("orders")
	file := "%s\npipelines: {" + name + ": {source: {topic: " + name + ", commit_interval: 100ms}, sinks: [{stdout: {}}], dead_letter: off}}\n"
	b.create(t, 6, "orders")
	dirs := [2]string{t.TempDir(), t.TempDir()}
	write(t, dirs[0], "pipelines.yaml", fmt.Sprintf(file, b.blocks()))
	first := start(t, dirs[0], "run")
	write(t, dirs[1], "pipelines.yaml", fmt.Sprintf(file, "kafka: {brokers: ["+first.broker()+"]}"))
	second := start(t, dirs[1], "run")
	parts := func(p *process) int { return len(p.status().Pipelines[0].Partitions) }
	first.await("each has three partitions", func() bool { return parts(first) == 3 && parts(second) == 3 })
	out := told(t, dirs[0], 0, name+": paused", "pause", name)
	if strings.Count(out, "! another replica, ") != 1 || !strings.Contains(out, "127.0.0.1") || !strings.Contains(out, "(millrace), reads on: "+name+"/") {
		t.Errorf("pause says\n%s", out)
	}
	b.send(t, first.broker(), b.orders(0, 200))
	first.await("the other replica has read its part", func() bool {
		s := second.status().Pipelines[0]
		return len(second.lines()) > 0 && s.Lag == 0
	})
	if n := len(first.lines()); n > 0 {
		t.Errorf("the paused one delivered %d", n)
	}
	if code := second.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	first.await("it has all partitions", func() bool { return parts(first) == 6 })
	b.send(t, first.broker(), b.orders(200, 100))
	time.Sleep(300 * time.Millisecond)
	if n := len(first.lines()); n > 0 {
		t.Errorf("the paused one delivered %d of the partitions that it was given", n)
	}
	told(t, dirs[0], 0, name+": reads on", "resume", name)
	first.await("all are delivered", func() bool { return len(first.lines())+len(second.lines()) == 300 })
	if s := first.status(); !s.Ready {
		t.Errorf("not ready: %+v", s)
	}
}

// What is typed wrong changes nothing and is answered in words that help.
func TestPauseBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", "kafka: {embedded: {listen: 127.0.0.1:0}}\nserver: {health: 127.0.0.1:0}\npipelines: {orders: {source: {topic: in}, sinks: [{stdout: {}}]}}\n")
	p := start(t, dir, "run")
	for _, c := range []struct {
		says string
		args []string
		code int
	}{
		{`no running pipeline is called ordrs (did you mean "orders"?)`, []string{"pause", "ordrs"}, 2},
		{`no running pipeline is called x`, []string{"resume", "x"}, 2},
		{"name one pipeline, or give --all", []string{"pause"}, 2},
		{"name one pipeline, or give --all", []string{"pause", "orders", "--all"}, 2},
		{"name one pipeline, or give --all", []string{"resume"}, 2},
		{"one line of text", []string{"pause", "orders", "--reason", "two\nlines"}, 2},
		{"at most 500 bytes", []string{"pause", "orders", "--reason", strings.Repeat("x", 501)}, 2},
		{"no process 1 runs", []string{"pause", "orders", "--pid", "1"}, 1},
		{"--format takes", []string{"pause", "orders", "--format", "xml"}, 2},
	} {
		told(t, dir, c.code, c.says, c.args...)
	}
	if s := p.status(); !s.Ready || s.Pipelines[0].Paused != nil {
		t.Errorf("status is %+v", s)
	}
	told(t, dir, 0, "orders: paused", "pause", "--all", "--reason", "secret plans")
	response, err := http.Get("http://" + p.status().Health + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text := make([]byte, 200)
	n, _ := response.Body.Read(text)
	if got := string(text[:n]); response.StatusCode != http.StatusServiceUnavailable || got != "orders: paused\n" {
		t.Errorf("/readyz answers %d %q", response.StatusCode, got)
	}
}

func TestPlaces(t *testing.T) {
	for want, numbers := range map[string][]int32{"0-3,7": {3, 0, 1, 2, 7}, "5": {5}, "1,3": {3, 1}, "0-1": {1, 0}} {
		if got := ranges(numbers); got != want {
			t.Errorf("%v: %q, want %q", numbers, got, want)
		}
	}
}
