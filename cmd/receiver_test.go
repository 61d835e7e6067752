package cmd

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const receiverFile = `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  orders:
    source: {topic: orders}
    idempotency: {key: "order:${payload.id}"}
    sinks:
      - http: {url: "http://%s/orders/${payload.id}"}
    retry: {attempts: 5, initial: 50ms, max: 500ms}
`

// receiver counts what it takes, by path, and refuses as it is told; 0 resets the
// connection.
type receiver struct {
	mu    sync.Mutex
	taken map[string]int
	keys  map[string]string
	code  func(path string) int
	took  time.Duration // by each call
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	time.Sleep(r.took)
	r.mu.Lock()
	defer r.mu.Unlock()
	code := r.code(req.URL.Path)
	if code == http.StatusOK {
		r.taken[req.URL.Path]++
		r.keys[req.URL.Path] = req.Header.Get("Idempotency-Key")
	}
	if code == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(code)
}

func (r *receiver) total() (paths, calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.taken {
		calls += n
	}
	return len(r.taken), calls
}

func (r *receiver) set(code func(path string) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.code = code
}

// A receiver that is down, at first refusing connections and then answering 503,
// while 500 orders arrive: nothing is dead-lettered, and all are delivered once
// when it is back. Then one order that it answers 502 for ever is dead-lettered
// after its attempts, and the others flow.
func TestReceiverIsDown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := fmt.Sprint("127.0.0.1:", freePort(t))
	write(t, dir, "pipelines.yaml", fmt.Sprintf(receiverFile, address))
	p := start(t, dir, "run")
	publishOrders(t, dir, 0, 500)
	p.await("the pipeline waits for its sink", func() bool {
		s := p.status()
		return !s.Ready && len(s.Pipelines[0].Reasons) == 1 && strings.Contains(s.Pipelines[0].Reasons[0], "refused")
	})

	r := &receiver{taken: map[string]int{}, keys: map[string]string{}, code: func(string) int { return 503 }}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r}
	go server.Serve(listener)
	defer server.Close()
	p.await("it waits for what answers 503", func() bool {
		reasons := p.status().Pipelines[0].Reasons
		return len(reasons) == 1 && strings.Contains(reasons[0], "503")
	})
	time.Sleep(time.Second)
	r.set(func(string) int { return 200 })
	p.await("all 500 are delivered", func() bool { return p.status().Pipelines[0].Outcomes["delivered"] == 500 })
	if paths, calls := r.total(); paths != 500 || calls != 500 {
		t.Errorf("%d calls for %d orders", calls, paths)
	}
	for path, key := range r.keys {
		if len(key) != 26 {
			t.Fatalf("%s came with the Idempotency-Key %q", path, key)
		}
	}

	r.set(func(path string) int {
		if path == "/orders/666" {
			return 502
		}
		return 200
	})
	publishOrders(t, dir, 500, 700)
	// It is to blame only where others are taken directly before and after it.
	next := 1000
	p.await("the poisonous order is dead-lettered and the others delivered", func() bool {
		o := p.status().Pipelines[0].Outcomes
		if o["dead_lettered"] == 0 {
			publishOrders(t, dir, next, next+10)
			next += 10
		}
		return o["delivered"] == int64(699+next-1000) && o["dead_lettered"] == 1
	})
	letters := readAll(t, p.status().Broker, "orders.dead-letter")
	if len(letters) != 1 || string(letters[0].Key) != "666" {
		t.Fatalf("%d dead letters", len(letters))
	}
	// Those that it met while nobody else called do not count.
	tries, _ := letters[0].Header("millrace-attempts")
	if n, err := strconv.Atoi(string(tries)); err != nil || n < 5 {
		t.Errorf("dead-lettered after %s attempts", tries)
	}
	p.await("it is ready again", func() bool { return p.status().Ready })
}

// publishOrders publishes orders from (inclusive) to (exclusive), keyed.
func publishOrders(t *testing.T, dir string, from, to int) {
	t.Helper()
	var lines strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&lines, `{"key": "%d", "payload": {"id": %d}}`+"\n", i, i)
	}
	write(t, dir, "orders.jsonl", lines.String())
	if code, out, errs := millrace(t, dir, "publish", "orders", "--create", "--records", "--input", "orders.jsonl"); code != 0 {
		t.Fatalf("publish: %d\n%s%s", code, out, errs)
	}
}
