package cmd

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hangs is a receiver that answers no call until the test ends.
func hangs(t *testing.T) (address string, called <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	calls := make(chan struct{}, 100)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		calls <- struct{}{}
		<-r.Context().Done()
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String(), calls
}

// A terminal that is closed drains as SIGTERM does, however often it says so.
func TestHangUpDrains(t *testing.T) {
	t.Parallel()
	dir, ingest := road(t, bed{})
	p := start(t, dir, "run")
	send(t, ingest+"/orders", `{"order_id":"o-1","status":"purchased","total":1}`)
	p.await("the order is notified", func() bool { return len(p.lines()) == 1 })
	for range 3 {
		p.cmd.Process.Signal(syscall.SIGHUP)
		time.Sleep(10 * time.Millisecond)
	}
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 || !strings.Contains(p.log(), `"msg":"drained"`) {
		t.Errorf("exit code %d\n%s", code, p.log())
	}
}

// A second Ctrl-C ends the process during its drain, says what was cut off and
// what becomes of it, and exits as what a signal ended does.
func TestSecondSignalCutsOff(t *testing.T) {
	for uncertain, want := range map[string]string{"retry": "made again at the next start", "park": "the next start parks"} {
		t.Run(uncertain, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			address, called := hangs(t)
			file := strings.Replace(fmt.Sprintf(receiverFile, address), `"order:${payload.id}"}`, `"order:${payload.id}", on_uncertain: `+uncertain+"}", 1)
			write(t, dir, "pipelines.yaml", strings.Replace(file, "orders/${payload.id}\"}\n", "orders/${payload.id}\", timeout: 60s}\n", 1))
			p := start(t, dir, "run")
			publishOrders(t, dir, 0, 1)
			p.await("the call is under way", func() bool { return len(called) == 1 })
			// What waits behind it is not cut off.
			if code, out, errs := millrace(t, dir, "publish", "orders", "--key", "0", `{"id": 1}`, `{"id": 2}`); code != 0 {
				t.Fatalf("publish: %d\n%s%s", code, out, errs)
			}
			p.await("others wait behind it", func() bool { return p.status().Pipelines[0].InFlight == 3 })
			p.cmd.Process.Signal(syscall.SIGINT) // the same once more
			p.await("it drains", func() bool { return strings.Contains(p.log(), `"msg":"draining"`) })
			time.Sleep(sameSignal + 100*time.Millisecond)
			if strings.Contains(p.log(), "cut off") {
				t.Fatal("it is cut off by a signal that came twice")
			}
			p.cmd.Process.Signal(syscall.SIGINT)
			<-p.done
			if code := p.cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exit code %d", code)
			}
			for _, want := range []string{want, `"pipeline":"orders","records":1`, "cut off by a second signal"} {
				if !strings.Contains(p.log(), want) {
					t.Errorf("it does not say %q:\n%s", want, p.log())
				}
			}
		})
	}
}

// A reader of standard output that goes away pauses the sink, and does not end
// the process, nor does one of the log: a stop drains.
func TestClosedPipesPause(t *testing.T) {
	t.Parallel()
	dir, ingest := road(t, bed{})
	read, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	readLog, log, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: dir, done: make(chan struct{}), cmd: exec.Command(os.Args[0], "run")}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = dir, out, log, append(os.Environ(), childEnv+"=1")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(p.kill)
	out.Close()
	log.Close()
	read.Close()
	readLog.Close()
	p.await("it is ready", func() bool {
		code, text, _ := millrace(t, dir, "status")
		return code == 0 && strings.Contains(text, "  ready  ")
	})
	send(t, ingest+"/orders", `{"order_id":"o-1","status":"purchased","total":1}`)
	p.await("the sink is paused", func() bool {
		_, text, _ := millrace(t, dir, "status")
		return strings.Contains(text, "NOT READY") && strings.Contains(text, "broken pipe")
	})
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
