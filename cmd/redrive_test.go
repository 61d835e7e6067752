package cmd

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
)

const redriveFile = `version: 1
%spipelines:
  %s:
    source: {topic: %s}
    filter: payload.seq >= 0
    idempotency: {key: "order:${payload.order_id}", ttl: %s}
    sinks:
      - http: {url: "%s/orders/${payload.order_id}"}
    retry: {attempts: 2, initial: 50ms, max: 200ms}
`

// mender is a receiver that answers 422 until it is mended, and knows the
// Idempotency-Key that each path came with.
type mender struct {
	*httptest.Server

	mu             sync.Mutex
	mended         bool
	keys           map[string]string // of the first call of a path
	taken, refused map[string]int    // by path
	strange        []string
}

func newMender(t *testing.T) *mender {
	m := &mender{keys: map[string]string{}, taken: map[string]int{}, refused: map[string]int{}}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *mender) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, path := r.Header.Get("Idempotency-Key"), r.URL.Path
	if m.keys[path] == "" {
		m.keys[path] = key
	}
	if m.keys[path] != key || len(key) != 26 {
		m.strange = append(m.strange, path+" came with "+key)
	}
	if !m.mended {
		m.refused[path]++
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	m.taken[path]++
}

func (m *mender) set(mended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mended = mended
}

// effects are how many paths were taken, and in how many calls.
func (m *mender) effects() (paths, calls int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.taken {
		calls += n
	}
	return len(m.taken), calls
}

// redrives is a pipeline whose sink refused all that it was sent.
type redrives struct {
	*testing.T
	bed  bed
	dir  string
	m    *mender
	p    *process
	name string
	n    int
}

func refusedOrders(t *testing.T, b bed, n int, ttl string) *redrives {
	r := &redrives{T: t, bed: b, dir: t.TempDir(), m: newMender(t), name: b.name("invoices"), n: n}
	blocks := b.blocks()
	if ttl == "4s" {
		if blocks = b.blocks("lease: 3s"); len(b.brokers) == 0 {
			blocks += "idempotency: {lease: 3s}\n"
		}
	}
	write(t, r.dir, "pipelines.yaml", fmt.Sprintf(redriveFile, blocks, r.name, b.name("orders"), ttl, r.m.URL))
	b.create(t, 6, "orders", "invoices.dead-letter")
	r.p = start(t, r.dir, "run")
	r.send(0, n)
	return r
}

// send sends orders, which are to be refused.
func (r *redrives) send(from, n int) {
	r.Helper()
	var records []*handlers.Record
	for i := from; i < from+n; i++ {
		records = append(records, &handlers.Record{Topic: r.bed.name("orders"), Partition: -1, Offset: -1, Key: fmt.Append(nil, "k-", i),
			Value: fmt.Appendf(nil, `{"order_id": "o-%d", "seq": %d}`, i, i)})
	}
	was := r.p.status().Pipelines[0].Outcomes["dead_lettered"]
	r.bed.send(r.T, r.p.broker(), records)
	r.p.await("all are dead-lettered", func() bool {
		return r.p.status().Pipelines[0].Outcomes["dead_lettered"] == was+int64(n)
	})
	r.bed.ended(r.T, r.p)
}

func (r *redrives) letters(code int, args ...string) (out, errs string) {
	r.Helper()
	got, out, errs := millrace(r.T, r.dir, append([]string{"dead-letter"}, args...)...)
	if got != code {
		r.Fatalf("%v: code %d, want %d:\n%s%s", args, got, code, out, errs)
	}
	return out, errs
}

// job does a job about letters, and wants what it counts and what it says.
func (r *redrives) job(says string, counts map[string]int64, kind string, args ...string) api.JobStatus {
	r.Helper()
	out, errs := r.letters(0, append([]string{kind, r.name, "--yes", "--format", "json"}, args...)...)
	var s api.JobStatus
	if out != "" {
		decode(r.T, []byte(out), &s)
	}
	if says != "" && !strings.Contains(errs, says) {
		r.Errorf("%v does not say %q:\n%s", args, says, errs)
	}
	switch {
	case counts == nil && out != "":
		r.Errorf("%v did something: %s", args, out)
	case counts != nil && (s.State != api.JobFinished || fmt.Sprint(s.Counts) != fmt.Sprint(counts)):
		r.Errorf("%v: %s, %v, want %v (%s)\n%s", args, s.State, s.Counts, counts, s.Error, errs)
	}
	return s
}

// open wants that many open letters, of them so many of a round.
func (r *redrives) open(n, resolved, round, ofRound int) {
	r.Helper()
	out, _ := r.letters(0, "list", r.name, "-n", "1", "--round", fmt.Sprint(round))
	first := fmt.Sprintf("%d open dead letters of %s", n, r.name)
	if resolved > 0 {
		first += fmt.Sprintf(", %d resolved", resolved)
	}
	if !strings.Contains(out, first) || ofRound > 0 && !strings.Contains(strings.Join(strings.Fields(out), " "), fmt.Sprintf(" %d http write refused ", ofRound)) {
		r.Errorf("want %s, %d of round %d:\n%s", first, ofRound, round, out)
	}
}

func (r *redrives) effects(paths, calls int) {
	r.Helper()
	if p, c := r.m.effects(); p != paths || c != calls {
		r.Errorf("%d orders in %d calls, want %d in %d", p, c, paths, calls)
	}
	if len(r.m.strange) > 0 {
		r.Errorf("%d calls came with another Idempotency-Key than at first, such as %s", len(r.m.strange), r.m.strange[0])
	}
}

// A sink refuses a thousand records: they are counted, redriven while it still
// refuses, and once it is mended, each once, with the keys of old.
func TestRedrive(t *testing.T) {
	t.Parallel()
	testRedrive(t, bed{}, 1000)
}

func testRedrive(t *testing.T, b bed, n int) {
	r := refusedOrders(t, b, n, "8d")
	all := int64(n)
	r.open(n, 0, 1, n)
	live := b.committed(t, r.p.broker())
	r.letters(2, "redrive", r.name, "--yes")
	r.letters(2, "redrive", r.name, "--all")

	r.job("", map[string]int64{"dead_lettered": all}, "redrive", "--all")
	r.open(n, n, 2, n)
	r.m.set(true)
	out, _ := r.letters(0, "redrive", r.name, "--reason", "refused", "--dry-run")
	if !strings.Contains(out, fmt.Sprintf("%d  would be delivered", n)) {
		t.Errorf("the dry run says %s", out)
	}
	r.effects(0, 0)
	some := r.job("--max: 100 of these", map[string]int64{"delivered": 100}, "redrive", "--reason", "refused", "--max", "100")
	r.effects(100, 100)
	r.open(n-100, n+100, 2, n-100)
	out, _ = r.letters(0, "list", r.name, "-n", "3", "--format", "json")
	var ids []string
	for line := range strings.Lines(out) {
		var l struct{ ID string }
		decode(t, []byte(line), &l)
		ids = append(ids, l.ID)
	}
	r.job("", map[string]int64{"delivered": 3}, "redrive", ids...)
	r.job("3 ids are not open", nil, "redrive", ids...)
	shown, _ := r.letters(0, "show", r.name, ids[0])
	if !strings.Contains(shown, "resolved        delivered ") || !strings.Contains(shown, ", job job-") || !strings.Contains(shown, "in round 2 after 2 attempts") {
		t.Errorf("shown as %s", shown)
	}
	r.job("", map[string]int64{"delivered": all - 103}, "redrive", "--all")
	r.effects(n, n)
	r.open(0, 2*n, 1, 0)
	r.job("there is nothing to redrive", nil, "redrive", "--all")
	r.letters(2, "redrive", r.name, "--all", "--yes", "--id", some.ID)
	r.effects(n, n)
	if now := b.committed(t, r.p.broker()); !maps.Equal(now, live) {
		t.Errorf("the live group moved from %v to %v", live, now)
	}

	// Ten that nobody has a use for.
	r.m.set(false)
	r.send(n, 10)
	archive := filepath.Join(r.dir, "ten.jsonl")
	r.letters(2, "discard", r.name, "--all", "--yes")
	r.job(archive+": 10 letters", map[string]int64{"discarded": 10}, "discard", "--all", "--archive", archive)
	text, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var l struct {
			Reason string
			Record struct{ Payload struct{ Seq int } }
		}
		if decode(t, []byte(line), &l); l.Reason != "refused" || l.Record.Payload.Seq < n {
			t.Errorf("archived: %s", line)
		}
	}
	if strings.Count(string(text), "\n") != 10 {
		t.Errorf("the archive has %d lines", strings.Count(string(text), "\n"))
	}
	r.letters(2, "discard", r.name, "--all", "--yes", "--archive", archive)
	r.open(0, 2*n+10, 1, 0)
	r.m.set(true)
	told(t, r.dir, 0, fmt.Sprintf("duplicate      %9d", n+10), "replay", r.name, "--yes", "--from", "earliest")
	r.effects(n, n)
	if code := r.p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	r.job("there is nothing to redrive", nil, "redrive", "--all")
	groups, err := json.Marshal(r.ended())
	if err != nil || strings.Contains(string(groups), `"state":"failed"`) {
		t.Errorf("jobs ended as %s", groups)
	}
}

func (r *redrives) ended() []api.JobStatus {
	return (&app{stateDir: filepath.Join(r.dir, ".millrace"), err: os.Stderr}).endedJobs()
}

// After three rounds a letter is left alone, unless it is asked for; nothing runs, so
// that the command does it itself.
func TestRedriveIsExhausted(t *testing.T) {
	t.Parallel()
	testRedriveIsExhausted(t, bed{})
}

func testRedriveIsExhausted(t *testing.T, b bed) {
	r := refusedOrders(t, b, 20, "8d")
	if code := r.p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for range 3 {
		r.job("", map[string]int64{"dead_lettered": 20}, "redrive", "--all")
	}
	r.open(20, 60, 4, 20)
	r.m.set(true)
	r.job("20 letters are left alone: more than 3 rounds have failed", nil, "redrive", "--all")
	r.effects(0, 0)
	r.job("", map[string]int64{"delivered": 20}, "redrive", "--all", "--exhausted")
	r.effects(20, 20)
}

// That a key is forgotten does not matter to a letter, which is still sent once.
func TestRedriveOfExpiredKeys(t *testing.T) {
	t.Parallel()
	testRedriveOfExpiredKeys(t, bed{})
}

func testRedriveOfExpiredKeys(t *testing.T, b bed) {
	r := refusedOrders(t, b, 50, "4s")
	r.m.set(true)
	time.Sleep(5 * time.Second)
	r.job("", map[string]int64{"delivered": 50}, "redrive", "--all")
	time.Sleep(5 * time.Second)
	r.job("there is nothing to redrive", nil, "redrive", "--all")
	r.effects(50, 50)
}
