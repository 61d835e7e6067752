package http_test

import (
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/http"
)

// receiver is a server that keeps what it is sent.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	got     []received
	refused string
	hung    chan struct{}
	// answer, where set, answers in the place of a plain 200.
	answer nethttp.HandlerFunc
}

type received struct {
	Method, Path, Query, Host, Body string
	Header                          nethttp.Header
}

func newReceiver(t *testing.T, answer nethttp.HandlerFunc) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w nethttp.ResponseWriter, req *nethttp.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	hung, refused := r.hung, r.refused != "" && string(body) == r.refused
	if hung == nil && !refused {
		r.got = append(r.got, received{req.Method, req.URL.EscapedPath(), req.URL.RawQuery, req.Host, string(body), req.Header})
	}
	r.mu.Unlock()
	switch {
	case hung != nil:
		select {
		case <-hung:
		case <-req.Context().Done():
		}
	case refused:
		w.WriteHeader(422)
	case r.answer != nil:
		r.answer(w, req)
	}
}

func (r *receiver) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *receiver) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

func (r *receiver) bodies() []string {
	var bodies []string
	for _, got := range r.requests() {
		bodies = append(bodies, got.Body)
	}
	return bodies
}

// open fills in the defaults that the decoder would.
func open(t *testing.T, config http.Config) handlers.Sink {
	t.Helper()
	if config.Method == "" {
		config.Method = "POST"
	}
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if config.Tombstone == "" {
		config.Tombstone = "send"
	}
	sink, err := http.Spec().Open(&config, handlers.Env{Version: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close(t.Context()) })
	return sink
}

// send renders and writes one record, and returns what became of it.
func send(t *testing.T, sink handlers.Sink, r *handlers.Record) (handlers.Call, *handlers.Failure) {
	t.Helper()
	request, err := sink.Render(handlertest.View{Of: r})
	if err != nil {
		t.Fatal(err)
	}
	calls := []handlers.Call{{Record: r, Request: request, ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}}
	err = sink.Write(t.Context(), calls)
	return calls[0], handlers.FailureOf(err, 0)
}

func order(key string) *handlers.Record {
	return &handlers.Record{Key: []byte(key), Value: []byte(`{"n": 1}`)}
}

func TestConformance(t *testing.T) {
	handlertest.Run(t, http.Spec(), handlertest.Harness{
		Open: func(t *testing.T) handlertest.Fixture {
			r := newReceiver(t, nil)
			return handlertest.Fixture{
				Sink:    open(t, http.Config{URL: handlertest.Key(r.URL + "/")}),
				Effects: r.bodies,
				Traces: func() []string {
					var all []string
					for _, got := range r.requests() {
						all = append(all, got.Header.Get("traceparent"))
					}
					return all
				},
				Refuse: func(value string) func() {
					r.set(func() { r.refused = value })
					return func() { r.set(func() { r.refused = "" }) }
				},
				Hang: func() func() {
					hung := make(chan struct{})
					r.set(func() { r.hung = hung })
					return func() { close(hung) }
				},
				Down: r.Close,
			}
		},
	})
}
