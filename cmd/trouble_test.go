package cmd

import (
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// outage is a process beside a receiver that is told what to answer.
type outage struct {
	*receiver
	t       *testing.T
	dir     string
	address string
	server  *http.Server
	p       *process
	before  int // records that ended before the process started
}

// newOutage starts the receiver, and the process once that many records wait for
// it. All is as it is by default, but for what is added to the pipeline.
func newOutage(t *testing.T, backlog int, code func(path string) int, more ...string) *outage {
	t.Helper()
	r := &receiver{taken: map[string]int{}, keys: map[string]string{}, code: code, took: 5 * time.Millisecond}
	o := &outage{t: t, dir: t.TempDir(), receiver: r}
	o.address = fmt.Sprint("127.0.0.1:", freePort(t))
	o.back()
	t.Cleanup(func() { o.server.Close() })
	write(t, o.dir, "pipelines.yaml", fmt.Sprintf(`version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  orders:
    source: {topic: orders}
    idempotency: {key: "order:${payload.id}", on_uncertain: park}
    sinks: [{http: {url: "http://%s/orders/${payload.id}"}}]
`, o.address)+strings.Join(more, ""))
	publishOrders(t, o.dir, 0, backlog)
	o.p = start(t, o.dir, "run")
	return o
}

// back lets the receiver take connections.
func (o *outage) back() {
	o.t.Helper()
	l, err := net.Listen("tcp", o.address)
	if err != nil {
		o.t.Fatal(err)
	}
	o.server = &http.Server{Handler: o.receiver}
	go o.server.Serve(l)
}

// away lets it answer what it has, and refuse connections from then on.
func (o *outage) away() {
	o.t.Helper()
	if err := o.server.Shutdown(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}

// ends waits until so many records have ended, and fails where others than the bad
// ones were dead-lettered, or a call was taken twice.
func (o *outage) ends(records, bad int) {
	o.t.Helper()
	began := time.Now()
	n := 0
	defer func() {
		if n < records {
			paths, calls := o.total()
			o.t.Logf("%d of %d records ended, %d were delivered with %d calls", n, records, paths, calls)
		}
	}()
	o.p.await(fmt.Sprintf("%d records end", records), func() bool {
		n = o.before
		for _, c := range o.p.status().Pipelines[0].Outcomes {
			n += int(c)
		}
		return n >= records
	})
	letters := readAll(o.t, o.p.broker(), "orders.dead-letter")
	paths, calls := o.total()
	o.t.Logf("%d records, %d delivered with %d calls, %d dead letters, waited %s",
		records, paths, calls, len(letters), time.Since(began))
	if len(letters) != bad {
		reason, text := "", ""
		for _, h := range letters[len(letters)/2:] {
			r, _ := h.Header("millrace-reason")
			e, _ := h.Header("millrace-last-error")
			reason, text = string(r), string(e)
		}
		o.t.Errorf("%d dead letters, want %d; such as %s: %s", len(letters), bad, reason, text)
	}
	if paths != records-bad || calls != paths {
		o.t.Errorf("%d calls for %d orders were taken, want %d", calls, paths, records-bad)
	}
}

// flows waits until so many good records are delivered; then it sends others, which
// show that the receiver lives, until the bad ones among the first are dead-lettered.
func (o *outage) flows(records, bad int) {
	o.t.Helper()
	began := time.Now()
	defer func() {
		paths, _ := o.total()
		o.t.Logf("%d good records were delivered", paths)
	}()
	o.p.await("the good records are delivered", func() bool { paths, _ := o.total(); return paths == records-bad })
	o.t.Logf("%d good records delivered within %s", records-bad, time.Since(began))
	began = time.Now()
	o.p.await("the bad records are dead-lettered", func() bool {
		publishOrders(o.t, o.dir, records, records+20)
		records += 20
		time.Sleep(200 * time.Millisecond)
		return o.p.status().Pipelines[0].Outcomes["dead_lettered"] >= int64(bad)
	})
	o.t.Logf("%d bad records dead-lettered within another %s", bad, time.Since(began))
	o.ends(records, bad)
}

func id(path string) int {
	n, err := strconv.Atoi(path[strings.LastIndex(path, "/")+1:])
	if err != nil {
		return -1
	}
	return n
}

// limited takes so many calls a second, and says 429 without Retry-After to the
// others.
func limited(rate float64) func(string) int {
	tokens, filled := rate, time.Now()
	return func(string) int {
		now := time.Now()
		tokens, filled = min(rate, tokens+rate*now.Sub(filled).Seconds()), now
		if tokens < 1 {
			return http.StatusTooManyRequests
		}
		tokens--
		return http.StatusOK
	}
}

// half is a share of calls that goes by path and turn, so that it is the same
// each time.
func half() func(string) bool {
	turns := map[string]int{}
	return func(path string) bool {
		turns[path]++
		h := fnv.New32a()
		fmt.Fprint(h, path, turns[path])
		return h.Sum32()%1000 < 500
	}
}

// A receiver that takes 20 calls in a second and says 429 to the others is called
// about as often as it likes, and no record is at fault.
func TestReceiverLimits(t *testing.T) {
	t.Parallel()
	testReceiverLimits(t, 120)
}

func testReceiverLimits(t *testing.T, n int) {
	o := newOutage(t, n, limited(20))
	o.ends(n, 0)
}

// One backend of two is dead: every other call or so meets 503, and no record is
// at fault.
func TestReceiverIsHalfDead(t *testing.T) {
	t.Parallel()
	testReceiverIsHalfDead(t, 200)
}

func testReceiverIsHalfDead(t *testing.T, n int) {
	dead := half()
	o := newOutage(t, n, func(path string) int {
		if dead(path) {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	o.ends(n, 0)
}

// A receiver that refuses connections for a second is called again soon after.
func TestReceiverFlaps(t *testing.T) {
	t.Parallel()
	o := newOutage(t, 100, func(string) int { return http.StatusOK })
	o.ends(100, 0)
	o.away()
	publishOrders(t, o.dir, 100, 600)
	o.p.await("the pipeline waits for its sink", func() bool { return !o.p.status().Ready })
	time.Sleep(time.Second)
	back := time.Now()
	o.back()
	o.p.await("all is delivered", func() bool { _, calls := o.total(); return calls == 600 })
	took := time.Since(back)
	t.Logf("all is delivered %s after the receiver is back", took)
	if took > 10*time.Second {
		t.Error("that is too long")
	}
	o.ends(600, 0)
}

// A clean stop while the receiver refuses connections parks nothing, since nothing
// was sent: all is delivered after the next start.
func TestStopInAnOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, 1, func(string) int { return http.StatusOK })
	o.ends(1, 0)
	o.away()
	publishOrders(t, o.dir, 1, 100)
	o.p.await("the pipeline waits for its sink", func() bool { return !o.p.status().Ready })
	time.Sleep(time.Second)
	if code := o.p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	o.back()
	o.p, o.before = start(t, o.dir, "run"), 1
	o.ends(100, 0)
}

// Some records always meet a failure, be it 500 or a reset: they are dead-lettered
// after their attempts, and the others flow.
func TestSomeRecordsAlwaysFail(t *testing.T) {
	for _, percent := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(percent, " %"), func(t *testing.T) {
			t.Parallel()
			const n = 4000
			bad := 0
			for i := range n {
				if fails(i, percent) {
					bad++
				}
			}
			o := newOutage(t, n, func(path string) int {
				switch {
				case id(path) >= n, !fails(id(path), percent):
					return http.StatusOK
				case id(path)%2 == 0:
					return http.StatusInternalServerError
				default:
					return 0
				}
			})
			o.flows(n, bad)
		})
	}
}

// fails chooses a share of the records, some of them close to each other.
func fails(id, percent int) bool {
	h := fnv.New32a()
	fmt.Fprint(h, id)
	return int(h.Sum32()>>8)%100 < percent
}

// Sixty bad records in a row, as one faulty deploy of a producer makes them, do
// not keep the good ones behind them.
func TestBadRecordsInARow(t *testing.T) {
	t.Parallel()
	o := newOutage(t, 1060, func(path string) int {
		if id(path) < 60 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}, "    concurrency: {lanes: 2}\n")
	began := time.Now()
	o.p.await("the good records are delivered", func() bool { return o.p.status().Pipelines[0].Outcomes["delivered"] == 1000 })
	t.Logf("they are delivered within %s", time.Since(began))
}

// A credential that is not taken for a while is no record's fault, also where the
// URL is made of the record.
func TestReceiverTakesNoCredential(t *testing.T) {
	t.Parallel()
	sent := 1
	o := newOutage(t, sent, func(string) int { return http.StatusUnauthorized })
	for began := time.Now(); time.Since(began) < 4*time.Second; sent += 20 {
		publishOrders(t, o.dir, sent, sent+20)
	}
	o.set(func(string) int { return http.StatusOK })
	o.ends(sent, 0)
}
