package listen_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/pipeline/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves "ok" on a listener with a limit, and blocks requests of /wait.
func start(t *testing.T, under net.Listener, most int, log *slog.Logger) (address string, release func()) {
	t.Helper()
	limit := listen.NewLimit(under, most)
	wait := make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Minute, ConnState: limit.ConnState, ErrorLog: listen.ErrorLog(log), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-wait
		}
		_, _ = io.WriteString(w, "ok")
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(limit) }()
	release = sync.OnceFunc(func() { close(wait) })
	t.Cleanup(func() {
		release()
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return under.Addr().String(), release
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, address, send string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	return c
}

func get(address string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Get("http://" + address + "/")
	if err == nil {
		err = resp.Body.Close()
	}
	return err
}

// Connections that only wait make room for one that asks.
func TestWaitingMakesRoom(t *testing.T) {
	address, _ := start(t, listener(t), 8, slog.New(slog.DiscardHandler))
	first := dial(t, address, "")
	for range 30 {
		dial(t, address, "")
	}
	for range 5 {
		if err := get(address); err != nil {
			t.Fatal(err)
		}
	}
	_ = first.SetReadDeadline(time.Now().Add(15 * time.Second))
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.EAGAIN) {
		t.Errorf("the one that waited longest: %v", err)
	} else if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Error("the one that waited longest is still connected")
	}
}

// Requests under way are never cut off: who comes then waits for the first to end.
func TestRequestsKeepTheirPlace(t *testing.T) {
	address, release := start(t, listener(t), 3, slog.New(slog.DiscardHandler))
	var busy []net.Conn
	for range 3 {
		busy = append(busy, dial(t, address, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	// Their requests have begun once they don't make room.
	time.Sleep(100 * time.Millisecond)
	later := make(chan error, 1)
	go func() { later <- get(address) }()
	select {
	case err := <-later:
		t.Fatalf("there was room for one more: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	release()
	for _, c := range busy {
		if answer := make([]byte, 15); true {
			if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 200 OK" {
				t.Errorf("a request under way: %q, %v", answer, err)
			}
		}
	}
	if err := <-later; err != nil {
		t.Error(err)
	}
}

// elsewhere is a listener whose clients seem to come from other machines.
type elsewhere struct {
	net.Listener
	mu    sync.Mutex
	count int
	name  func(n int) string
}

func (e *elsewhere) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count++
	return &stranger{c, net.TCPAddrFromAddrPort(must(e.name(e.count)))}, nil
}

type stranger struct {
	net.Conn
	from net.Addr
}

func (s *stranger) RemoteAddr() net.Addr { return s.from }

// One address gets no more than half, and a network of IPv6 is one address.
func TestOneAddressGetsHalf(t *testing.T) {
	names := map[string]func(int) string{
		"v4": func(n int) string { return "192.0.2.7:1" },
		"v6": func(n int) string { return fmt.Sprintf("[2001:db8::%x]:1", n) },
	}
	for name, of := range names {
		t.Run(name, func(t *testing.T) {
			address, _ := start(t, &elsewhere{Listener: listener(t), name: of}, 8, slog.New(slog.DiscardHandler))
			refused := 0
			var busy []net.Conn
			for range 8 {
				busy = append(busy, dial(t, address, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"))
			}
			for _, c := range busy {
				_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
				if _, err := c.Read(make([]byte, 1)); err != nil {
					if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
						refused++
					}
				}
			}
			if refused != 4 {
				t.Errorf("%d of 8 were refused, want 4", refused)
			}
		})
	}
}

// starved is a listener that has no descriptors for a while.
type starved struct {
	net.Listener
	mu   sync.Mutex
	left int
}

func (s *starved) Accept() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		s.left--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

// Running out of descriptors for a moment ends no listener, and is told.
func TestStarvedListenerGoesOn(t *testing.T) {
	var log safeBuffer
	address, _ := start(t, &starved{Listener: listener(t), left: 4}, 8, slog.New(slog.NewTextHandler(&log, nil)))
	if err := get(address); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "level=WARN") != 4 {
		t.Errorf("logged: %s", got)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
