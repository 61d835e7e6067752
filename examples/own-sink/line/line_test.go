package line_test

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"

	"example.com/own-sink/line"
)

// server is a stand-in of the system that the sink writes to.
type server struct {
	net.Listener
	mu      sync.Mutex
	lines   []string
	refused string
	hold    sync.RWMutex
}

func listen(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	text, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	s.hold.RLock()
	defer s.hold.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	line := strings.TrimSuffix(text, "\n")
	_, value, _ := strings.Cut(line, " ")
	if value == s.refused {
		conn.Write([]byte("no room\n"))
		return
	}
	s.lines = append(s.lines, value)
	conn.Write([]byte("ok\n"))
}

// TestConformance holds the sink against all that Millrace expects of one.
func TestConformance(t *testing.T) {
	handlertest.Run(t, line.Spec(), handlertest.Harness{Open: func(t *testing.T) handlertest.Fixture {
		s := listen(t)
		sink, err := line.Spec().Open(&line.Config{Address: s.Addr().String(), Text: handlertest.Template("", keyAndValue), Timeout: time.Minute}, env)
		if err != nil {
			t.Fatal(err)
		}
		return handlertest.Fixture{
			Sink:    sink,
			Effects: func() []string { s.mu.Lock(); defer s.mu.Unlock(); return append([]string(nil), s.lines...) },
			Refuse: func(value string) func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.refused = value
				return func() { s.mu.Lock(); defer s.mu.Unlock(); s.refused = "" }
			},
			Hang: func() func() { s.hold.Lock(); return s.hold.Unlock },
			Down: func() { s.Close() },
		}
	}})
}

var env = handlers.Env{}

// keyAndValue is a line that fails on a record without a key.
func keyAndValue(r *handlers.Record) (string, error) {
	if r.Key == nil {
		return "", errors.New("key is null")
	}
	return string(r.Key) + " " + string(r.Value), nil
}
