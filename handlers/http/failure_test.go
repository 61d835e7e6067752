package http_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/http"
)

func TestStatusClasses(t *testing.T) {
	const ok = "ok"
	for _, c := range []struct {
		status           int
		fixed, templated string
	}{
		{200, ok, ok}, {202, ok, ok}, {204, ok, ok},
		{301, "not_applied", "not_applied"}, {304, "not_applied", "not_applied"}, {308, "not_applied", "not_applied"},
		{400, "not_applied", "not_applied"}, {402, "not_applied", "not_applied"}, {413, "not_applied", "not_applied"}, {422, "not_applied", "not_applied"}, {451, "not_applied", "not_applied"},
		{401, "infrastructure", "not_applied suspect"}, {403, "infrastructure", "not_applied suspect"},
		{404, "infrastructure", "not_applied"}, {405, "infrastructure", "not_applied"}, {407, "infrastructure", "not_applied"},
		{410, "infrastructure", "not_applied"}, {421, "infrastructure", "not_applied"},
		{408, "unknown", "unknown"}, {409, "unknown", "unknown"}, {425, "unknown", "unknown"},
		{429, "infrastructure", "infrastructure"},
		{500, "unknown suspect", "unknown suspect"}, {501, "unknown suspect", "unknown suspect"}, {505, "unknown suspect", "unknown suspect"}, {599, "unknown suspect", "unknown suspect"},
		{502, "infrastructure suspect", "infrastructure suspect"}, {503, "infrastructure suspect", "infrastructure suspect"},
		{504, "infrastructure suspect", "infrastructure suspect"},
		{600, "unknown suspect", "unknown suspect"},
	} {
		r := newReceiver(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
		})
		for want, url := range map[string]handlers.Template{
			"fixed: " + c.fixed:         handlertest.Constant(r.URL + "/a"),
			"templated: " + c.templated: handlertest.Key(r.URL + "/"),
		} {
			kind, want, _ := strings.Cut(want, ": ")
			_, failure := send(t, open(t, http.Config{URL: url}), order("k"))
			if describe(failure) != want {
				t.Errorf("%d from a %s URL: got %s, want %s", c.status, kind, describe(failure), want)
			}
			// Turned away unread, so that a claim for it may be given back.
			if turned := want == "infrastructure" || c.status == 503; failure != nil && failure.NotSent != turned {
				t.Errorf("%d from a %s URL: NotSent is %v", c.status, kind, failure.NotSent)
			}
		}
		if got := len(r.requests()); got != 2 {
			t.Errorf("%d: 2 calls became %d requests", c.status, got)
		}
	}
}

func describe(f *handlers.Failure) string {
	switch {
	case f == nil:
		return "ok"
	case f.Suspect || f.Class == handlers.Unknown && !f.Own:
		return f.Class.String() + " suspect"
	default:
		return f.Class.String()
	}
}

func TestFixedURLCountsItsQuery(t *testing.T) {
	r := newReceiver(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(404) })
	config := http.Config{URL: handlertest.Constant(r.URL), Query: templates{"id": handlertest.Key("")}}
	if _, f := send(t, open(t, config), order("k")); describe(f) != "not_applied" {
		t.Errorf("the URL depends on the record, got %s", describe(f))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":       0,
		"7":      7 * time.Second,
		"999999": time.Hour,
		"soon":   0,
		"-1":     0,
		now.Add(90 * time.Second).Format(nethttp.TimeFormat): 90 * time.Second,
		now.Add(-time.Minute).Format(nethttp.TimeFormat):     0,
	} {
		r := newReceiver(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			w.Header().Set("Date", now.Format(nethttp.TimeFormat))
			w.Header().Set("Retry-After", header)
			w.WriteHeader(429)
		})
		_, f := send(t, open(t, http.Config{URL: handlertest.Constant(r.URL)}), order("k"))
		if f == nil || f.RetryAfter != want {
			t.Errorf("%q: got %+v, want %s", header, f, want)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain := newReceiver(t, nil)
	secure := httptest.NewTLSServer(plain)
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = nil
	free := func(url string) http.Config {
		return http.Config{URL: handlertest.Template("", func(*handlers.Record) (string, error) { return url, nil }), AllowedHosts: []string{"localhost", "*.invalid"}}
	}
	port := func(c http.Config, prefix, authority string) http.Config {
		c.URL = handlertest.Template(prefix, func(*handlers.Record) (string, error) { return "http://" + authority + "/", nil })
		return c
	}
	scheme := func(c http.Config, source string) http.Config {
		c.URL.Source = source
		return c
	}
	for name, c := range map[string]struct {
		config http.Config
		want   string
	}{
		"refused":                       {http.Config{URL: handlertest.Constant("http://me:s3cret@" + closed.Addr().String() + "/?t=s3cret")}, "infrastructure"},
		"unknown certificate":           {http.Config{URL: handlertest.Constant(secure.URL)}, "infrastructure"},
		"TLS to a plain port":           {http.Config{URL: handlertest.Constant(strings.Replace(plain.URL, "http", "https", 1))}, "infrastructure"},
		"refused, record's":             {free("http://" + closed.Addr().String()), "not_applied suspect"},
		"unknown name":                  {http.Config{URL: handlertest.Constant("http://nowhere.invalid/")}, "infrastructure"},
		"unknown name, parts":           {http.Config{URL: handlertest.Key("http://nowhere.invalid/")}, "infrastructure"},
		"certificate, records":          {free(secure.URL), "not_applied suspect"},
		"refused, record's port":        {port(free("http://"), "http://127.0.0.1:", closed.Addr().String()), "not_applied suspect"},
		"unknown name, record's port":   {port(free("http://"), "http://nowhere.invalid:", "nowhere.invalid:8080"), "infrastructure"},
		"unknown name, record's scheme": {scheme(free("http://nowhere.invalid/"), "${…}://nowhere.invalid/"), "infrastructure"},
		"unknown name, record's part":   {scheme(free("http://tenant.invalid/"), "${…}://${…}.invalid/"), "not_applied suspect"},
		"unknown name, record's":        {free("http://nowhere.invalid/"), "not_applied suspect"},
	} {
		t.Run(name, func(t *testing.T) {
			_, f := send(t, open(t, c.config), order("k"))
			if f == nil || describe(f) != c.want {
				t.Fatalf("got %s (%v), want %s", describe(f), f, c.want)
			}
			if !f.NotSent {
				t.Error("not a byte was sent, and the failure does not say so")
			}
			if strings.Contains(f.Error(), "s3cret") {
				t.Errorf("the error holds a secret: %v", f)
			}
		})
	}
}

func TestTimeoutIsUnknown(t *testing.T) {
	r := newReceiver(t, nil)
	release := make(chan struct{})
	r.set(func() { r.hung = release })
	defer close(release)
	_, f := send(t, open(t, http.Config{URL: handlertest.Constant(r.URL), Timeout: 30 * time.Millisecond}), order("k"))
	if describe(f) != "unknown suspect" || !strings.Contains(f.Error(), "no answer within 30ms") {
		t.Errorf("got %s: %v", describe(f), f)
	}
}

// TestLostAnswerIsSentOnce holds the transport back from sending again on its
// own: the receiver reads the request of a connection used before, may have
// acted on it, and drops the connection.
func TestLostAnswerIsSentOnce(t *testing.T) {
	for _, body := range []string{`{"n":1}`, ""} {
		var requests atomic.Int32
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				serveThenDrop(conn, &requests)
			}
		}()
		sink := open(t, http.Config{URL: handlertest.Constant("http://" + listener.Addr().String())})
		r := &handlers.Record{Value: []byte(body)}
		if _, f := send(t, sink, r); f != nil {
			t.Fatalf("the first call: %v", f)
		}
		if _, f := send(t, sink, r); describe(f) != "unknown suspect" {
			t.Errorf("the second call: %s (%v)", describe(f), f)
		}
		if got := requests.Load(); got != 2 {
			t.Errorf("2 calls with body %q became %d requests", body, got)
		}
		listener.Close()
		<-served
	}
}

// serveThenDrop answers the first request of a connection, and drops the
// connection after it read the second one.
func serveThenDrop(conn net.Conn, requests *atomic.Int32) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	reader := bufio.NewReader(conn)
	for n := range 2 {
		req, err := nethttp.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		requests.Add(1)
		if n == 0 {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}
}

func TestEndlessAnswerIsCut(t *testing.T) {
	r := newReceiver(t, func(w nethttp.ResponseWriter, req *nethttp.Request) {
		chunk := make([]byte, 64<<10)
		for req.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	done := make(chan *handlers.Failure, 1)
	sink := open(t, http.Config{URL: handlertest.Constant(r.URL), Timeout: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		_, f := send(t, sink, order("k"))
		done <- f
	}()
	select {
	case f := <-done:
		if f != nil {
			t.Errorf("the status was 200, got %v", f)
		}
	case <-ctx.Done():
		t.Error("the answer is read for ever")
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var connections atomic.Int32
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(r)
	r.Config.ConnState = func(_ net.Conn, state nethttp.ConnState) {
		if state == nethttp.StateNew {
			connections.Add(1)
		}
	}
	r.answer = func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = w.Write(make([]byte, 100<<10)) }
	r.Start()
	t.Cleanup(r.Close)
	sink := open(t, http.Config{URL: handlertest.Constant(r.URL)})
	for range 20 {
		if _, f := send(t, sink, order("k")); f != nil {
			t.Fatal(f)
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("20 calls, one after the other, took %d connections", got)
	}
}

// TestRehearse compares what the sink says of trouble with what it makes of it.
func TestRehearse(t *testing.T) {
	r := newReceiver(t, func(w nethttp.ResponseWriter, req *nethttp.Request) {
		status, err := strconv.Atoi(strings.Trim(req.URL.Path, "/"))
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
	})
	for _, status := range []int{200, 204, 301, 400, 401, 404, 408, 409, 422, 429, 500, 503} {
		for kind, url := range map[string]handlers.Template{
			"fixed":     handlertest.Constant(fmt.Sprintf("%s/%d", r.URL, status)),
			"templated": handlertest.Key(r.URL + "/"),
		} {
			config := http.Config{URL: url}
			_, met := send(t, open(t, config), order(fmt.Sprint(status)))
			rehearsed, known := config.Rehearse(handlers.Trouble{Status: status})
			if describe(rehearsed) != describe(met) || !known {
				t.Errorf("%d from a %s URL is rehearsed as %s, and is %s", status, kind, describe(rehearsed), describe(met))
			}
		}
	}
	config := http.Config{URL: handlertest.Constant(r.URL), Timeout: 5 * time.Second}
	for want, trouble := range map[string]handlers.Trouble{
		"infrastructure: connect to the receiver: connection refused": {Refused: true},
		"unknown suspect: call the receiver: no answer within 5s":     {Timeout: true},
		"unknown suspect: call the receiver: the connection was lost": {},
	} {
		f, known := config.Rehearse(trouble)
		if got := describe(f) + ": " + f.Error(); got != want || !known || f.NotSent != trouble.Refused {
			t.Errorf("got %q, want %q; not sent is %t", got, want, f.NotSent)
		}
	}
}
