//go:build real

package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
)

// server is a redis-server of a test's own.
type server struct {
	addr, dir string
	// first are before all other arguments, args behind them.
	first, args []string
	command     *exec.Cmd
}

func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), args: append([]string{"--save", ""}, args...)}
	s.listen(t)
	return s
}

// listen starts the server on a free port; it ends with the test.
func (s *server) listen(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// The nodes of a cluster talk on a port 10,000 above.
	if listener.Addr().(*net.TCPAddr).Port > 55_000 {
		defer listener.Close()
		s.listen(t)
		return
	}
	s.addr = listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	t.Cleanup(func() { s.kill() })
}

func (s *server) start(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	args := slices.Concat(s.first, []string{"--bind", "127.0.0.1", "--port", port, "--dir", s.dir}, s.args)
	s.command = exec.Command("redis-server", args...)
	if err := s.command.Start(); err != nil {
		t.Fatalf("these tests need redis-server: %v", err)
	}
	for range 200 {
		if conn, err := net.Dial("tcp", s.addr); err == nil {
			fmt.Fprint(conn, "PING\r\n")
			reply := make([]byte, 5)
			_, _ = conn.Read(reply)
			conn.Close()
			if string(reply) == "+PONG" {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("redis-server does not answer")
}

func (s *server) kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

func (s *server) url(rest string) string { return "redis://" + s.addr + rest }

func open(t testing.TB, address string, opts Options) *Store {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	store, err := Open(t.Context(), address, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func (s *Store) do(t testing.TB, command ...string) {
	t.Helper()
	if err := s.client.Do(t.Context(), s.client.B().Arbitrary(command...).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// The store is the same one whatever its Redis can do.
func TestRealStore(t *testing.T) {
	for name, able := range map[string]ability{
		"plain": {plain: true, together: true}, "together": {together: true}, "by the script alone": {},
	} {
		t.Run(name, func(t *testing.T) { testStore(t, able) })
	}
}

func testStore(t *testing.T, able ability) {
	server := startServer(t)
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		first := open(t, server.url("/2"), Options{})
		first.do(t, "FLUSHDB")
		first.Close()
		var store *Store
		var skew time.Duration
		return storetest.Harness{
			Open: func(t testing.TB) storetest.Opened {
				store = open(t, server.url("/2"), Options{})
				if store.able != (ability{plain: true, together: true}) {
					t.Fatalf("this Redis can do no more than %+v", store.able)
				}
				store.able = able
				store.skew.Store(skew.Microseconds())
				return store
			},
			Advance: func(d time.Duration) {
				skew += d
				store.skew.Store(skew.Microseconds())
			},
			Restart: func(testing.TB) { store.Close() },
		}
	})
}

func aClaim(run *idempotency.Run) idempotency.Claim {
	token := run.Next()
	return idempotency.Claim{ID: idempotency.Identity("p", "s", 1, token.String()), Token: token, TTL: time.Hour, Lease: time.Minute}
}

func (s *Store) one(t *testing.T, c idempotency.Claim) (idempotency.Answer, error) {
	t.Helper()
	verdicts, err := s.Claim(t.Context(), []idempotency.Claim{c})
	if err != nil {
		return 0, err
	}
	return verdicts[0].Answer, nil
}

func TestRealPrefixesAndDatabasesAreApart(t *testing.T) {
	server := startServer(t)
	c := aClaim(idempotency.NewRun())
	for _, rest := range []string{"", "/1", "/1?prefix=other:"} {
		if answer, err := open(t, server.url(rest), Options{}).one(t, c); err != nil || answer != idempotency.Go {
			t.Errorf("%s: %v, %v", rest, answer, err)
		}
	}
	names, err := open(t, server.url("/1"), Options{}).client.Do(t.Context(), open(t, server.url("/1"), Options{}).client.B().Keys().Pattern("*").Build()).AsStrSlice()
	if err != nil || len(names) != 4 {
		t.Errorf("database 1 has the keys %v, %v", names, err)
	}
}

func TestRealEvictionStopsTheStart(t *testing.T) {
	server := startServer(t, "--maxmemory-policy", "allkeys-lru")
	_, err := Open(t.Context(), server.url(""), Options{Logger: slog.New(slog.DiscardHandler)})
	var eviction *EvictionError
	if !errors.As(err, &eviction) || eviction.Policy != "allkeys-lru" || !strings.Contains(err.Error(), "idempotency.allow_eviction") {
		t.Errorf("error is %v", err)
	}
	open(t, server.url(""), Options{AllowEviction: true})
}

func TestRealScriptsAreLoadedAgain(t *testing.T) {
	server := startServer(t)
	store := open(t, server.url(""), Options{})
	run := idempotency.NewRun()
	a, b := aClaim(run), aClaim(run)
	twice := a
	twice.Token = run.Next()
	store.do(t, "SCRIPT", "FLUSH")
	verdicts, err := store.Claim(t.Context(), []idempotency.Claim{a, b, twice})
	if err != nil || verdicts[0].Answer != idempotency.Go || verdicts[1].Answer != idempotency.Go || verdicts[2].Answer != idempotency.Busy {
		t.Errorf("%v, %v", verdicts, err)
	}
}

func TestRealRowOfALaterRelease(t *testing.T) {
	server := startServer(t)
	store := open(t, server.url(""), Options{})
	c := aClaim(idempotency.NewRun())
	store.do(t, "SET", DefaultPrefix+"k:"+c.ID.External(), "\x02whatever")
	if _, err := store.one(t, c); err == nil || !strings.Contains(err.Error(), "format version 2, this program knows up to 1") {
		t.Errorf("error is %v", err)
	}
}

// Keys leave Redis by themselves once they are forgotten.
func TestRealKeysExpire(t *testing.T) {
	server := startServer(t)
	store := open(t, server.url(""), Options{})
	c := aClaim(idempotency.NewRun())
	left := func() time.Duration {
		ms, err := store.client.Do(t.Context(), store.client.B().Pttl().Key(DefaultPrefix+"k:"+c.ID.External()).Build()).AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(ms) * time.Millisecond
	}
	if _, err := store.one(t, c); err != nil {
		t.Fatal(err)
	}
	if got := left(); got > idempotency.Forget || got < idempotency.Forget-time.Minute {
		t.Errorf("a claim stays for %v", got)
	}
	if _, err := store.Confirm(t.Context(), []idempotency.Claim{c}); err != nil {
		t.Fatal(err)
	}
	if got := left(); got > c.TTL || got < c.TTL-time.Minute {
		t.Errorf("a confirmed key stays for %v", got)
	}
}

func TestRealServerGoesAndComesBack(t *testing.T) {
	server := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	store := open(t, server.url(""), Options{})
	c := aClaim(idempotency.NewRun())
	if _, err := store.one(t, c); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Confirm(t.Context(), []idempotency.Claim{c}); err != nil {
		t.Fatal(err)
	}
	server.kill()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := store.Claim(ctx, []idempotency.Claim{c}); err == nil {
		t.Error("a claim while the server is gone has an answer")
	}
	server.start(t)
	again := c
	again.Token.Seq++
	var answer idempotency.Answer
	var err error
	for range 100 {
		if answer, err = store.one(t, again); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil || answer != idempotency.Duplicate {
		t.Errorf("after it came back: %v, %v", answer, err)
	}
}
