package ingest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/ingest"
)

// More clients than there are slots, which each send one byte of a body and then
// nothing, keep nobody out.
func TestSlowClientsHoldNothingUp(t *testing.T) {
	s := server(t, &producer{}, nil)
	address, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	var open []net.Conn
	for range 1100 {
		c, err := net.Dial("tcp", address.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "POST /plain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{")
		open = append(open, c)
	}
	// The last one has been accepted once another, later, is answered.
	for range 20 {
		response, err := http.Post("http://"+address.String()+"/plain", "application/json", strings.NewReader("1"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			t.Fatalf("an honest client is answered %d", response.StatusCode)
		}
	}
	for _, c := range open {
		c.Close()
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Who is refused before its body is there, and never sends it, holds no connection
// for long.
func TestRefusedClientsLeave(t *testing.T) {
	s := server(t, &producer{}, nil)
	url, ended := serve(t, s)
	for _, request := range []string{"POST /nowhere", "PUT /plain"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, request+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n{")
		_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s: %v", request, err)
		}
		c.Close()
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
}

// The bodies of all requests take no more than a bound together; past it clients
// are told to come back, and once there is room they are taken.
func TestBodiesAreBounded(t *testing.T) {
	p := &producer{}
	entered, release := make(chan struct{}, 200), make(chan struct{})
	p.set(func(context.Context, *handlers.Record) error {
		entered <- struct{}{}
		<-release
		return nil
	})
	s := ingest.New(&ingest.Plan{Listen: "127.0.0.1:0", Routes: []ingest.Route{{Path: "/plain", Topic: "plain"}}}, p, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	large := `"` + strings.Repeat("x", 1<<20-2) + `"`
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			if w := post(s, "/plain", large, nil); w.Code != 202 {
				t.Errorf("within the bound: %d", w.Code)
				entered <- struct{}{}
			}
		})
		<-entered
	}
	refused := 0
	for range 8 {
		done := make(chan int, 1)
		wg.Go(func() { done <- post(s, "/plain", large, nil).Code })
		select {
		case code := <-done:
			if code != 429 {
				t.Errorf("past the bound: %d", code)
			}
			refused++
		case <-entered:
		}
	}
	if refused < 4 {
		t.Errorf("%d of 68 MiB were refused, want those past 64", refused)
	}
	close(release)
	wg.Wait()
	p.set(nil)
	if w := post(s, "/plain", large, nil); w.Code != 202 {
		t.Errorf("after all were answered: %d", w.Code)
	}
}
