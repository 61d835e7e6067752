package cmd

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A tail and a publish that were there first do not keep a run from starting,
// and go on with it.
func TestTailAndPublishBeforeRun(t *testing.T) {
	t.Parallel()
	dir, ingest := road(t, bed{})
	if code, out, errs := millrace(t, dir, "publish", "order_invoices", "--create", `{"order_id":"o-0","status":"created","total":1}`); code != 0 {
		t.Fatal(out, errs)
	}
	tail := launch(t, dir, "tail", "order_invoices", "-n", "5")
	tail.await("tail prints what is there", func() bool { return len(tail.lines()) == 1 })
	publish := exec.Command(os.Args[0], "publish", "order_invoices", "--key", "late")
	publish.Dir, publish.Env, publish.Stderr = dir, append(os.Environ(), childEnv+"=1"), os.Stderr
	in, err := publish.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := publish.Start(); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "run")
	send(t, ingest+"/orders", `{"order_id":"o-1","status":"purchased","total":1}`)
	fmt.Fprintln(in, `{"order_id":"o-2","status":"purchased","total":2}`)
	p.await("both orders are notified", func() bool { return len(p.lines()) == 2 })
	tail.await("tail follows", func() bool { return len(tail.lines()) == 3 })
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := publish.Wait(); err != nil {
		t.Error(err)
	}
	if code := tail.stop(); code != 0 {
		t.Errorf("tail: exit code %d", code)
	}
}

// A client that never finishes its request does not turn a clean stop into a
// failure.
func TestStopWithASlowIngestClient(t *testing.T) {
	t.Parallel()
	dir, ingest := road(t, bed{})
	p := start(t, dir, "run")
	conn, err := net.Dial("tcp", strings.TrimPrefix(ingest, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"or")
	send(t, ingest+"/orders", `{"order_id":"o-1","status":"created","total":1}`)
	began := time.Now()
	if code := p.stop(); code != 0 || time.Since(began) > 10*time.Second {
		t.Errorf("exit code %d after %s", code, time.Since(began))
	}
}

// A receiver that hangs: the stop comes after the drain time, with code 0, and
// says that calls were cut off; the record is delivered by the next run.
func TestStopWithAHungReceiver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hang := make(chan struct{})
	address := fmt.Sprint("127.0.0.1:", freePort(t))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})}
	go server.Serve(listener)
	defer server.Close()
	file := fmt.Sprintf(receiverFile, address)
	file = strings.Replace(file, "orders/${payload.id}\"}\n", "orders/${payload.id}\", timeout: 60s}\n", 1) + "drain: 2s\n"
	write(t, dir, "pipelines.yaml", file)
	p := start(t, dir, "run")
	publishOrders(t, dir, 0, 1)
	p.await("the call is under way", func() bool { return p.status().Pipelines[0].InFlight == 1 })
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	if code := p.stop(); code != 0 || time.Since(began) > 6*time.Second {
		t.Errorf("exit code %d after %s", code, time.Since(began))
	}
	if !strings.Contains(p.log(), `"records":1`) {
		t.Error("it does not say that a call was cut off")
	}
	close(hang)
	p = start(t, dir, "run")
	p.await("the record is delivered", func() bool { return p.status().Pipelines[0].Outcomes["delivered"] == 1 })
}

// A dead letter that the broker refuses for its size goes without its value, and
// the records behind it flow.
func TestDeadLetterOfALargeRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {in: {partitions: 1}}
pipelines:
  big: {source: {topic: in}, filter: payload.a.b == 1, sinks: [{stdout: {}}]}
`)
	p := start(t, dir, "run")
	write(t, dir, "big.jsonl", `{"a":"`+strings.Repeat("x", 1048300)+`"}`+"\n"+`{"a":{"b":1}}`+"\n")
	if code, out, errs := millrace(t, dir, "publish", "in", "--key", "k", "--input", "big.jsonl"); code != 0 {
		t.Fatal(out, errs)
	}
	p.await("the record behind it is printed", func() bool { return len(p.lines()) == 1 })
	letters := readAll(t, p.status().Broker, "big.dead-letter")
	if len(letters) != 1 || letters[0].Value != nil {
		t.Fatalf("%d letters", len(letters))
	}
	if size, _ := letters[0].Header("millrace-value-bytes"); string(size) != "1048308" {
		t.Errorf("the letter says %q bytes", size)
	}
}

// A key store that was damaged or removed while its commits remain has forgotten
// effects: the pipeline stands still and says so, and calls no sink, until a
// person accepts it.
func TestKeyStoreLostItsMemory(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, keys string){
		"removed": func(t *testing.T, keys string) {
			if err := os.RemoveAll(keys); err != nil {
				t.Fatal(err)
			}
		},
		"damaged": func(t *testing.T, keys string) {
			logs, err := filepath.Glob(filepath.Join(keys, "db", "*.log"))
			if err != nil || len(logs) == 0 {
				t.Fatalf("%d logs, %v", len(logs), err)
			}
			for _, log := range logs {
				if err := os.Truncate(log, 0); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  p: {source: {topic: in}, idempotency: {key: "${payload.id}"}, sinks: [{stdout: {}}]}
`)
			p := start(t, dir, "run")
			publish := func(id string) {
				t.Helper()
				if code, out, errs := millrace(t, dir, "publish", "in", fmt.Sprintf(`{"id":%q}`, id)); code != 0 {
					t.Fatal(out, errs)
				}
			}
			publish("x")
			p.await("x is written and committed", func() bool { return len(p.lines()) == 1 && p.status().Pipelines[0].Lag == 0 })
			p.stop()
			harm(t, filepath.Join(dir, ".millrace", "keys"))

			p = launch(t, dir, "run")
			p.await("it says that the store lost its memory", func() bool { return strings.Contains(p.log(), "keys accept-reset") })
			publish("x")
			p.await("the pipeline stands still", func() bool { return p.status().Pipelines[0].InFlight > 0 })
			time.Sleep(300 * time.Millisecond)
			if lines := p.lines(); len(lines) > 0 || p.status().Ready {
				t.Errorf("written %q, ready %v", lines, p.status().Ready)
			}
			if code, out, errs := millrace(t, dir, "keys", "accept-reset", "--yes"); code != 0 {
				t.Fatalf("accept-reset: %d %s%s", code, out, errs)
			}
			p.await("it goes on", func() bool { return len(p.lines()) == 1 })
		})
	}
}
