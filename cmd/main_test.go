package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/state"
)

// childEnv makes the test binary behave as millrace, so that tests run it as the
// process that users run, and can kill it.
const childEnv = "MILLRACE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(Main(builtin.Specs()...))
	}
	os.Exit(runTests(m))
}

// run is a command line of the binary with the built-in sinks.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	return program{registry: builtin.Registry()}.run(ctx, args, in, out, errOut)
}

// process is a running millrace.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	done chan struct{}

	mu     sync.Mutex
	stdout []string
	stderr bytes.Buffer
	err    error
}

// start runs millrace in dir and returns once it says that it is ready.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := launch(t, dir, args...)
	p.await("it is ready", func() bool { return strings.Contains(p.log(), `"msg":"ready"`) })
	return p
}

// launch runs millrace in dir.
func launch(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, dir: dir, done: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], append(args, "--log-format", "json")...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = writer(func(b []byte) { p.mu.Lock(); p.stderr.Write(b); p.mu.Unlock() })
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			p.mu.Lock()
			p.stdout = append(p.stdout, lines.Text())
			p.mu.Unlock()
		}
		err := p.cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(p.done)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			p.keep()
		}
		p.kill()
	})
	return p
}

// keep writes down all that the process of a failed test said, and what its
// goroutines do now where it runs.
func (p *process) keep() {
	said := tailOf(p.log())
	if p.cmd.Process.Signal(syscall.SIGQUIT) == nil {
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
		}
	}
	f, err := os.CreateTemp("", "millrace-failed-*.log")
	if err != nil {
		p.t.Log(err)
		return
	}
	defer f.Close()
	if _, err := f.WriteString(p.log()); err != nil {
		p.t.Log(err)
	}
	p.t.Logf("millrace %v said, all of it in %s:\n%s", p.cmd.Args[1:], f.Name(), said)
}

func tailOf(s string) string { return s[max(0, len(s)-6000):] }

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

func (p *process) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.stdout...)
}

// await waits for a condition, and fails when the process ends before or after
// a minute and a half.
func (p *process) await(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !ok() {
		select {
		case <-p.done:
			p.t.Fatalf("millrace ended while waiting until %s: %v\n%s", what, p.err, tailOf(p.log()))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited 90 s until %s\n%s", what, tailOf(p.log()))
		}
	}
}

// kill ends the process as a crash does.
func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Log(err)
	}
	<-p.done
}

// stop ends the process with SIGTERM and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(40 * time.Second):
		p.t.Fatalf("still running 40 s after SIGTERM\n%s", tailOf(p.log()))
	}
	return p.cmd.ProcessState.ExitCode()
}

// status asks the process over its control socket.
func (p *process) status() api.Status {
	p.t.Helper()
	s, err := p.ask(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// ask is status for other goroutines than the test's.
func (p *process) ask(ctx context.Context) (api.Status, error) {
	runs, err := state.Discover(filepath.Join(p.dir, ".millrace"))
	if err != nil {
		return api.Status{}, err
	}
	for _, run := range runs {
		if run.PID == p.cmd.Process.Pid {
			client := api.Dial(run.Socket)
			defer client.Close()
			return client.Status(ctx)
		}
	}
	return api.Status{}, fmt.Errorf("process %d has no run file", p.cmd.Process.Pid)
}

// broker is the first address of the process's Kafka.
func (p *process) broker() string {
	p.t.Helper()
	return p.status().Broker
}

// millrace runs a short command in dir.
func millrace(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(os.Environ(), childEnv+"=1")
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("millrace %s: %v\n%s%s", args, err, out.String(), errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// freePort is a loopback port that was free a moment ago, below those that the
// system gives to outgoing connections, of which other tests make many.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(10_000)
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return 0
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// readAll reads a topic from its beginning to its end.
func readAll(t *testing.T, broker, topic string) (all []*handlers.Record) {
	t.Helper()
	readEach(t, broker, topic, func(r *handlers.Record) { all = append(all, r) })
	return all
}

// readEach calls visit with each record of a topic, from its beginning to its end.
func readEach(t *testing.T, broker, topic string, visit func(*handlers.Record)) {
	t.Helper()
	reader, err := kafka.NewReader(kafka.Settings{Brokers: []string{broker}}, kafka.Deps{Logger: discard()}, topic, kafka.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		records, err := reader.Next(ctx)
		for _, r := range records {
			visit(r)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// decode reads JSON or fails.
func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(fmt.Errorf("%q: %w", text, err))
	}
}
