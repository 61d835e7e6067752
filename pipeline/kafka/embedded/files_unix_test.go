//go:build unix

package embedded

import (
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

func limitFiles(n int) {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)}); err != nil {
		panic(err)
	}
}

// A broker that has no descriptors left for a moment takes connections again, and
// those that were there go on.
func TestDescriptorsThatAreUsedUp(t *testing.T) {
	addr, _, _ := startChild(t, t.TempDir(), childFiles+"=64")
	c := client(t, addr, kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }))
	if _, err := kadm.NewClient(c).CreateTopics(t.Context(), 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "orders", "before")
	var conns []net.Conn
	for range 100 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	produce(t, c, "orders", "meanwhile")
	for _, conn := range conns {
		_ = conn.Close()
	}
	produce(t, client(t, addr), "orders", "after")
	if got := read(t, addr, "orders"); len(got) != 3 {
		t.Errorf("read %v", got)
	}
}
