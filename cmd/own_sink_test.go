package cmd

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ownSink is the module of examples/own-sink: a main and a sink of somebody else.
const ownSink = "../examples/own-sink"

// offline runs the go command in a folder with nothing but the module cache.
func offline(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestOwnSink builds the binary of the example and has every command know its sink.
func TestOwnSink(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "own")
	offline(t, ownSink, "build", "-o", binary, ".")
	offline(t, ownSink, "vet", "./...")
	offline(t, ownSink, "test", "./...")

	lines, address := lineServer(t)
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(ownSink, "pipelines.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "pipelines.yaml", string(text)+"\nkafka: {embedded: {listen: 127.0.0.1:0}}\n")
	write(t, dir, "wrong.yaml", strings.NewReplacer("address:", "adress:").Replace(string(text)))
	write(t, dir, "port.yaml", strings.NewReplacer(`${env.LINES ?? "localhost:7000"}`, "localhost").Replace(string(text)))
	own := func(args ...string) *exec.Cmd {
		cmd := exec.Command(binary, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "LINES="+address)
		return cmd
	}
	for _, c := range []struct {
		args, in string
		code     int
		want     []string
	}{
		{args: "validate", want: []string{"valid: 1 pipeline"}},
		{args: "validate -f wrong.yaml", code: exitInvalid, want: []string{`wrong.yaml:11:11: unknown key "adress" in pipelines.orders-by-line.sinks[0].line`, `did you mean "address"?`}},
		{args: "validate -f port.yaml", code: exitInvalid, want: []string{"port.yaml:11:20: the address has no port"}},
		{args: "test", want: []string{"passed: 1 test"}},
		{args: "handlers", want: []string{"line     Sends each record as a line over TCP.", "http "}},
		{args: "handlers line", want: []string{"address: text, static, required", "A record counts as written once the server said ok."}},
		{args: "handlers line --format markdown", want: []string{"`address`"}},
		{args: "schema", want: []string{`"line"`, "Where to send lines", `"http"`}},
		{args: "dry-run --input -", in: `{"topic":"orders","key":"o-1","payload":{"order_id":"o-1","status":"purchased","total":5}}`, want: []string{"delivered", "line → o-1 5"}},
		{args: "config", want: []string{"timeout: 5s"}},
		{args: "graph", want: []string{"line"}},
		{args: "__complete handlers l", want: []string{"line\tSends each record as a line over TCP."}},
		{args: "completion bash", want: []string{"__start_own-sink own-sink"}},
		{args: "init made", want: []string{"wrote made"}},
	} {
		cmd := own(strings.Fields(c.args)...)
		cmd.Stdin = strings.NewReader(c.in)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != c.code {
			t.Errorf("%s exits with %d: %s", c.args, got, out)
		}
		for _, want := range c.want {
			if !bytes.Contains(out, []byte(want)) {
				t.Errorf("%s does not say %q: %s", c.args, want, out)
			}
		}
	}
	runOwn(t, own, lines)
}

// runOwn has a running process of the binary deliver a record.
func runOwn(t *testing.T, own func(args ...string) *exec.Cmd, lines <-chan string) {
	run := own("run", "--log-format", "json")
	errs, err := run.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	ready := make(chan bool, 1)
	go func() {
		defer close(ended)
		for log := bufio.NewScanner(errs); log.Scan(); {
			if strings.Contains(log.Text(), `"msg":"ready"`) {
				ready <- true
			}
		}
		_, _ = io.Copy(io.Discard, errs)
		_ = run.Wait()
	}()
	defer func() { _ = run.Process.Kill(); <-ended }()
	select {
	case <-ready:
	case <-ended:
		t.Fatal("run ended before it was ready")
	case <-time.After(time.Minute):
		t.Fatal("run is not ready")
	}
	if out, err := own("publish", "orders", "--key", "o-7", `{"order_id":"o-7","status":"purchased","total":3}`).CombinedOutput(); err != nil {
		t.Fatalf("publish: %v\n%s", err, out)
	}
	select {
	case line := <-lines:
		if line != "o-7 3" {
			t.Errorf("the server was sent %q", line)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing was sent")
	}
	status, err := own("status").CombinedOutput()
	if err != nil || !bytes.Contains(status, []byte("orders-by-line")) {
		t.Errorf("status: %v\n%s", err, status)
	}
}

// lineServer says ok to each line.
func lineServer(t *testing.T) (<-chan string, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lines := make(chan string, 16)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if text, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				lines <- strings.TrimSpace(text)
				_, _ = io.WriteString(conn, "ok\n")
			}
			conn.Close()
		}
	}()
	return lines, l.Addr().String()
}
