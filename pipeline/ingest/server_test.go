package ingest_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs s and returns its address and a wait for the end of Serve.
func serve(t *testing.T, s *ingest.Server) (url string, ended func() error) {
	t.Helper()
	address, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- s.Serve() }()
	return "http://" + address.String(), func() error { return <-result }
}

func send(url, key string) (int, error) {
	req, err := http.NewRequest("POST", url, strings.NewReader(`{"order_id":"o-1"}`))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

func status(t *testing.T, url, key string) int {
	t.Helper()
	code, err := send(url, key)
	if err != nil {
		t.Error(err)
	}
	return code
}

func TestStop(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	p := &producer{}
	entered, release := make(chan struct{}), make(chan struct{})
	p.set(func(context.Context, *handlers.Record) error {
		entered <- struct{}{}
		<-release
		return nil
	})
	s := server(t, p, nil)
	url, ended := serve(t, s)
	first := make(chan int, 1)
	go func() { first <- status(t, url+"/orders", "") }()
	<-entered
	s.Refuse()
	if got := status(t, url+"/orders", "client-key"); got != 503 {
		t.Errorf("a client's record at a stop: %d", got)
	}
	p.set(nil)
	if got := status(t, url+"/orders", "ABCDEFGHIJKLMNOPQRSTUVWXY2"); got != 202 {
		t.Errorf("a pipeline's record at a stop: %d", got)
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close(t.Context()) }()
	if err := ended(); err != nil {
		t.Errorf("serve: %v", err)
	}
	select {
	case <-closed:
		t.Error("close did not wait for the record in flight")
	default:
	}
	close(release)
	if got := <-first; got != 202 {
		t.Errorf("the record in flight: %d", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("close again: %v", err)
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	p := &producer{}
	entered, release := make(chan struct{}), make(chan struct{})
	p.set(func(context.Context, *handlers.Record) error {
		close(entered)
		<-release
		return nil
	})
	s := server(t, p, nil)
	url, ended := serve(t, s)
	var wg sync.WaitGroup
	wg.Go(func() {
		if code, err := send(url+"/orders", ""); err == nil {
			t.Errorf("the request was cut, got %d", code)
		}
	})
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("a client that is cut off is no failure: %v", err)
	}
	close(release)
	wg.Wait()
	if err := ended(); err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestListenTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := ingest.New(&ingest.Plan{Listen: taken.Addr().String()}, &producer{}, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	_, err = s.Listen()
	if want := "ingest.listen: another program listens on " + taken.Addr().String() + ": stop it or choose another address"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestTooManyAtOnce fills every slot and looks at the one more.
func TestTooManyAtOnce(t *testing.T) {
	p := &producer{}
	entered, release := make(chan struct{}), make(chan struct{})
	p.set(func(context.Context, *handlers.Record) error {
		entered <- struct{}{}
		<-release
		return nil
	})
	s := server(t, p, nil)
	var wg sync.WaitGroup
	for range 1024 {
		wg.Go(func() {
			if w := post(s, "/plain", "1", nil); w.Code != 202 {
				t.Errorf("within the limit: %d", w.Code)
			}
		})
	}
	for range 1024 {
		<-entered
	}
	w := post(s, "/plain", "1", nil)
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("one more: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	close(release)
	wg.Wait()
	p.set(nil)
	if w := post(s, "/plain", "1", nil); w.Code != 202 {
		t.Errorf("after all were answered: %d", w.Code)
	}
}

func TestClientGoesAway(t *testing.T) {
	p := &producer{}
	ctx, cancel := context.WithCancel(t.Context())
	p.set(func(produce context.Context, _ *handlers.Record) error {
		cancel()
		if _, bounded := produce.Deadline(); !bounded {
			t.Error("the write has no deadline")
		}
		return produce.Err()
	})
	w := post(server(t, p, nil), "/plain", "1", func(r *http.Request) { *r = *r.WithContext(ctx) })
	if w.Code != 202 {
		t.Errorf("the write must not end with its client: %d %s", w.Code, w.Body)
	}
}

func TestUpdate(t *testing.T) {
	p := &producer{}
	s := server(t, p, nil)
	s.Update(&ingest.Plan{Routes: []ingest.Route{{Path: "/new", Topic: "new"}}})
	if w := post(s, "/plain", "1", nil); w.Code != 404 {
		t.Errorf("a route that is gone: %d", w.Code)
	}
	if w := post(s, "/new", "1", nil); w.Code != 202 {
		t.Errorf("a new route: %d", w.Code)
	}
}

func TestConcurrentRequestsKeepTheirKeys(t *testing.T) {
	p := &producer{}
	s := server(t, p, nil)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			key := strings.Repeat("k", i+1)
			for range 50 {
				post(s, "/orders", `{"order_id":"`+key+`"}`, nil)
			}
		})
	}
	wg.Wait()
	records := p.records()
	if len(records) != 16*50 {
		t.Fatalf("%d records were written", len(records))
	}
	for _, r := range records {
		if want := `{"order_id":"` + string(r.Key) + `"}`; string(r.Value) != want {
			t.Errorf("key %s with value %s", r.Key, r.Value)
		}
	}
}
