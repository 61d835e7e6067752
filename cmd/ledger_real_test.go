//go:build real

package cmd

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/kafka"
)

// account is an HTTP receiver that keeps an exact account of its calls.
type account struct {
	*httptest.Server

	mu    sync.Mutex
	calls map[string][]time.Time // by order
	last  time.Time
	hold  chan struct{} // where set, calls wait until it is closed
}

func newAccount(t *testing.T) *account {
	r := &account{calls: map[string][]time.Time{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		now, id := time.Now(), strings.TrimPrefix(request.URL.Path, "/")
		r.mu.Lock()
		r.calls[id] = append(r.calls[id], now)
		r.last = now
		hold := r.hold
		r.mu.Unlock()
		if hold != nil {
			<-hold
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

// holdCalls makes calls wait from now on, until the result is called.
func (r *account) holdCalls() (release func()) {
	hold := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold = hold
	return sync.OnceFunc(func() {
		r.mu.Lock()
		r.hold = nil
		r.mu.Unlock()
		close(hold)
	})
}

// count is how many calls there were, and how many orders they were for.
func (r *account) count() (calls, orders int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, times := range r.calls {
		calls += len(times)
	}
	return calls, len(r.calls)
}

// between is how many calls came in a span of time.
func (r *account) between(from, to time.Time) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, times := range r.calls {
		for _, at := range times {
			if at.After(from) && at.Before(to) {
				n++
			}
		}
	}
	return n
}

// firstAfter is when the first call after a time came.
func (r *account) firstAfter(from time.Time) (first time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, times := range r.calls {
		for _, at := range times {
			if at.After(from) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}

// forget takes the later calls for orders that were called for before a time as
// explained, at most as many as there are lanes, and what a commit interval has.
func (r *account) forget(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	explained := 6*8 + 500
	for id, times := range r.calls {
		if len(times) > 1 && times[0].Before(before) && explained > 0 {
			explained--
			r.calls[id] = times[:1]
		}
	}
}

// once fails for each of n orders that was not notified exactly once.
func (r *account) once(t *testing.T, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	lost, repeated := 0, 0
	for i := range n {
		switch calls := len(r.calls[fmt.Sprint("o-", i)]); {
		case calls == 0:
			lost++
		case calls > 1:
			repeated++
		}
	}
	if lost+repeated > 0 || len(r.calls) > n {
		t.Errorf("of %d orders %d were not notified, %d more than once; %d were notified in all", n, lost, repeated, len(r.calls))
	}
}

// notifyFile is a pipeline that notifies the receiver of every order.
func notifyFile(b bed, r *account, store ...string) string {
	return fmt.Sprintf(`version: 1
%[1]spipelines:
  %[3]s:
    source: {topic: %[2]s, session_timeout: 6s}
    idempotency: {key: "order:${payload.order_id}"}
    sinks: [{http: {url: "%[4]s/${payload.order_id}", timeout: 2m}}]
    retry: {max: 1s}
    dead_letter: {topic: %[5]s}
`, b.blocks(store...), b.name("orders"), b.name("invoices"), r.URL, b.name("dead"))
}

// notify starts a process that notifies the receiver, and waits until it is
// ready.
func notify(t *testing.T, b bed, r *account, store ...string) *process {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", notifyFile(b, r, store...))
	return start(t, dir, "run")
}

// notifyBlocked starts a process whose store has lost its memory: it may be
// blocked before it was ever ready.
func notifyBlocked(t *testing.T, b bed, r *account, store ...string) *process {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", notifyFile(b, r, store...))
	p := launch(t, dir, "run")
	p.await("it has partitions", func() bool { return strings.Contains(p.log(), `"msg":"partitions assigned"`) })
	blocked(p)
	return p
}

// stream sends orders, 500 a second, until stop is called, which returns how
// many they were.
func (b bed) stream(t *testing.T) (stop func() int) {
	t.Helper()
	publisher, err := kafka.NewPublisher(kafka.Settings{Brokers: b.brokers}, kafka.Deps{Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	failed := make(chan error, 1)
	n := 0
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			if err := publisher.Produce(context.WithoutCancel(ctx), b.orders(n, 10)); err != nil {
				failed <- err
				return
			}
			n += 10
		}
		failed <- publisher.Close()
	}()
	stop = sync.OnceValue(func() int {
		cancel()
		if err := <-failed; err != nil {
			t.Error(err)
		}
		return n
	})
	t.Cleanup(func() { stop() })
	return stop
}

// nothingDead fails where a record was dead-lettered or dropped.
func (b bed) nothingDead(t *testing.T, p *process) {
	t.Helper()
	if dead := readAll(t, b.brokers[0], b.name("dead")); len(dead) > 0 {
		t.Errorf("%d records were dead-lettered", len(dead))
	}
	o := p.status().Pipelines[0].Outcomes
	if o["dropped"]+o["dead_lettered"]+o["filtered"]+o["unmatched"] > 0 {
		t.Errorf("outcomes %v", o)
	}
}
