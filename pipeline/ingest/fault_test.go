package ingest_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/ingest"
)

// A panic is answered and logged, without what it was about, and nothing stays
// taken.
func TestPanic(t *testing.T) {
	p := &producer{}
	p.set(func(context.Context, *handlers.Record) error { panic("s3cret of the record") })
	var log bytes.Buffer
	s := ingest.New(plan(t), p, ingest.Deps{Logger: slog.New(slog.NewTextHandler(&log, nil)), Memory: 1 << 20})
	for range 1100 { // more than there are slots
		if w := post(s, "/plain", "1", nil); w.Code != 500 || text(w) != `{"error":"the server ran into a fault of its own: its log says where"}` {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "stack=") || strings.Contains(got, "s3cret") {
		t.Errorf("logged: %s", got[:min(len(got), 500)])
	}
	p.set(nil)
	if w := post(s, "/plain", "1", nil); w.Code != 202 {
		t.Errorf("after the faults: %d %s", w.Code, w.Body)
	}
}

// A name that points at this machine is not one of its own.
func TestHosts(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	p := plan(t)
	p.Hosts = []string{"orders.example.com"}
	s := ingest.New(p, &producer{}, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	url, ended := serve(t, s)
	port := url[strings.LastIndex(url, ":"):]
	for host, want := range map[string]int{
		"127.0.0.1" + port: 202, "localhost" + port: 202, "LOCALHOST": 202, "[::1]" + port: 202, "127.1.2.3": 202,
		"orders.example.com" + port: 202, "Orders.Example.Com.": 202,
		"rebind.attacker.example" + port: 421, "example.com": 421, "localhost.attacker.example": 421, "192.0.2.1": 421, "localhost:1:2": 421,
	} {
		req, err := http.NewRequest("POST", url+"/plain", strings.NewReader("1"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Origin", "http://"+host)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d of %s, want %d", host, resp.StatusCode, resp.Header.Get("Content-Type"), want)
		}
		resp.Body.Close()
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
}

// Every answer is JSON, whatever the path and the method.
func TestEveryAnswerIsJSON(t *testing.T) {
	s := server(t, &producer{}, nil)
	url, ended := serve(t, s)
	for _, request := range []string{
		"GET / HTTP/1.1", "GET //x/../y HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT a:1 HTTP/1.1", "TRACE /plain HTTP/1.1", "PUT /plain HTTP/1.1", "POST /plain%2f HTTP/1.1", "BREW /plain HTTP/1.1",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(request + "\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
		var answer bytes.Buffer
		_, _ = answer.ReadFrom(c)
		c.Close()
		if got := answer.String(); !strings.Contains(got, "Content-Type: application/json") || !strings.Contains(got, `{"error":"`) {
			t.Errorf("%s: %s", request, got)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
}
