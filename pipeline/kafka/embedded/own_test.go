package embedded

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Strangers take each other's places, and none of this process's own clients.
func TestOwnConnectionsAreKept(t *testing.T) {
	b := start(t, Config{maxConns: 8})
	create(t, b, map[string]int32{"orders": 1})
	var own []net.Conn
	for range 12 {
		conn, err := b.DialContext(t.Context(), "tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		own = append(own, conn)
	}
	c := client(t, b.Addr(), kgo.Dialer(b.DialContext))
	produce(t, c, "orders", "before")
	for range 300 {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	produce(t, c, "orders", "after")
	for _, conn := range own {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); err == nil || !isTimeout(err) {
			t.Errorf("one of its own: %v", err)
		}
	}
	b.gate.mu.Lock()
	strangers := 0
	for c := range b.gate.conns {
		if !c.own {
			strangers++
		}
	}
	b.gate.mu.Unlock()
	if strangers > 8 {
		t.Errorf("%d strangers", strangers)
	}
	for _, conn := range own {
		_ = conn.Close()
	}
	c.Close()
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	if n := len(b.gate.own); n > 2 { // those of the watch
		t.Errorf("%d addresses are remembered of those that are closed", n)
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// What the check of a batch with a large window took is given back.
func TestALargeDecoderIsNotKept(t *testing.T) {
	checker := newBatchChecker()
	for window, kept := range map[int]bool{1 << 20: true, 16 << 20: false} {
		var out bytes.Buffer
		packer, err := zstd.NewWriter(&out, zstd.WithWindowSize(window))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := packer.Write(make([]byte, 20<<20)); err != nil {
			t.Fatal(err)
		}
		if err := packer.Close(); err != nil {
			t.Fatal(err)
		}
		inflate := <-checker.slots
		if _, err := inflate.open(out.Bytes(), 4); err != nil {
			t.Fatal(err)
		}
		inflate.shrink(out.Bytes())
		if got := inflate.zstd != nil; got != kept {
			t.Errorf("a decoder with a window of %d MiB is kept: %t", window>>20, got)
		}
		checker.slots <- inflate
	}
}
