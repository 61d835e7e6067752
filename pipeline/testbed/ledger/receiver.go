//go:build unix

package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// trouble is what a receiver does to its callers; the zero value is a receiver
// in good health. Shares are of the calls.
type trouble struct {
	// rate is how many calls a second are taken; the others are answered 429.
	rate float64
	// half is the share that a backend that is dead answers with 503.
	half float64
	// fail is answered with 500, and has no effect.
	fail float64
	// lose has its effect, and then the connection is reset.
	lose float64
	// hang has its effect, and no answer.
	hang float64
	// again has its effect and its connection reset, and is refused with 422
	// when it comes again.
	again float64
	// took is how long a call takes.
	took time.Duration
}

// badAnswers is how many calls of one record may be failed, lost or hung in all:
// fewer than its attempts, so that none is used up by a receiver that lives.
const badAnswers = 2

// receiver takes calls over HTTP and notes their effects.
type receiver struct {
	name    string
	address string
	seed    uint64
	books   *books
	called  atomic.Bool // since it was asked last

	mu      sync.Mutex
	server  *http.Server
	trouble trouble
	tokens  float64
	filled  time.Time
	calls   map[string]int // by id
	bad     map[string]int // bad answers by id
	taken   map[string]bool
}

func newReceiver(name string, seed uint64, b *books) (*receiver, error) {
	r := &receiver{
		name: name, address: "127.0.0.1:0", seed: seed, books: b,
		calls: map[string]int{}, bad: map[string]int{}, taken: map[string]bool{},
	}
	return r, r.back()
}

// back listens again, at the same address.
func (r *receiver) back() error {
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		return fmt.Errorf("open the receiver %s: %w", r.name, err)
	}
	r.address = l.Addr().String()
	server := &http.Server{Handler: r}
	// A call on a connection that is closed just then has an unknown fate: each call
	// takes a connection of its own, so that being away explains no doubt.
	server.SetKeepAlivesEnabled(false)
	r.mu.Lock()
	r.server = server
	r.mu.Unlock()
	go func() { _ = server.Serve(l) }()
	return nil
}

// away answers the calls that are under way and refuses connections from then on.
// A connection that the kernel has taken and nobody accepted is reset when the
// listener closes, with a fate that its caller can't know and the books neither:
// first all callers are told to wait, until none comes for a moment. A probe may still
// come at that very moment; each process makes one at a time.
func (r *receiver) away() error {
	before := r.set(trouble{rate: tiny})
	defer r.set(before)
	for quiet := 0; quiet < 10; time.Sleep(5 * time.Millisecond) {
		if quiet++; r.called.Swap(false) {
			quiet = 0
		}
	}
	r.books.closing(r.name)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return r.server.Shutdown(ctx)
}

// tiny is a rate at which no call is taken.
const tiny = 1e-9

func (r *receiver) close() error { return r.server.Close() }

// set puts the receiver in trouble, and returns the trouble before.
func (r *receiver) set(t trouble) (before trouble) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = r.trouble
	r.trouble, r.tokens, r.filled = t, t.rate, time.Now()
	return before
}

// answer is how a call ends.
type answer struct {
	status int  // 0 for none
	effect bool // it took effect
	hang   bool
	took   time.Duration
}

// ServeHTTP takes a call.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var rec record
	if err := json.NewDecoder(request.Body).Decode(&rec); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.called.Store(true)
	began := time.Now()
	a := r.judge(rec)
	if a.effect {
		r.books.effect(r.name, effect{
			id: rec.ID, key: rec.Key, seq: rec.Seq, place: r.name, at: began, done: began.Add(a.took),
			lost: a.status == 0,
		})
	}
	if a.status != http.StatusOK && a.status != http.StatusTooManyRequests &&
		a.status != http.StatusUnprocessableEntity {
		r.books.doubt(r.name, rec.ID)
	}
	time.Sleep(a.took)
	switch {
	case a.hang:
		<-request.Context().Done()
	case a.status == 0:
		reset(w)
	default:
		w.WriteHeader(a.status)
	}
}

// reset ends the connection as a machine that died does.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// judge decides how a call ends. But for the bucket it goes by the seed, the
// record and how often that was called.
func (r *receiver) judge(rec record) answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.trouble
	r.calls[rec.ID]++
	switch {
	case rec.Bad:
		return answer{status: http.StatusUnprocessableEntity, took: t.took}
	case t.rate > 0 && !r.token():
		return answer{status: http.StatusTooManyRequests}
	case r.roll(rec.ID, "half", t.half):
		return answer{status: http.StatusServiceUnavailable}
	case t.again > 0 && r.taken[rec.ID] && r.bad[rec.ID] > 0:
		return answer{status: http.StatusUnprocessableEntity}
	case r.bad[rec.ID] >= badAnswers:
	case r.roll(rec.ID, "fail", t.fail):
		r.bad[rec.ID]++
		return answer{status: http.StatusInternalServerError, took: t.took}
	case r.roll(rec.ID, "lose", t.lose+t.again):
		r.bad[rec.ID]++
		r.taken[rec.ID] = true
		return answer{effect: true, took: t.took}
	case r.roll(rec.ID, "hang", t.hang):
		r.bad[rec.ID]++
		r.taken[rec.ID] = true
		return answer{effect: true, hang: true}
	}
	r.taken[rec.ID] = true
	return answer{status: http.StatusOK, effect: true, took: t.took}
}

// token takes one out of the bucket, which holds those of one second. The caller
// holds mu.
func (r *receiver) token() bool {
	now := time.Now()
	r.tokens = min(r.trouble.rate, r.tokens+r.trouble.rate*now.Sub(r.filled).Seconds())
	r.filled = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

func (r *receiver) roll(id, what string, share float64) bool {
	h := fnv.New64a()
	fmt.Fprint(h, r.seed, r.name, id, what, r.calls[id])
	return float64(h.Sum64()%10_000) < share*10_000
}
