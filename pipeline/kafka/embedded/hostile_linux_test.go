package embedded

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

// Clients that ask for as much as they can at once get no more memory than there is
// for them, and everybody else goes on.
func TestMemoryUnderHostileClients(t *testing.T) {
	addr, pid, _ := startChild(t, t.TempDir(), "GOMEMLIMIT=512MiB")
	c := client(t, addr, kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))
	if _, err := kadm.NewClient(c).CreateTopics(t.Context(), 1, 1, nil, "orders", "big"); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		produce(t, client(t, addr, kgo.ProducerBatchCompression(kgo.NoCompression())), "big", strings.Repeat("x", 900<<10))
	}
	end := make(chan struct{})
	var group sync.WaitGroup
	over := sync.OnceFunc(func() { close(end); group.Wait() })
	t.Cleanup(over)
	for name, attack := range hostile.Attacks() {
		for range 12 {
			group.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-end:
						return
					default:
					}
					conn, err := net.Dial("tcp", addr)
					if err != nil {
						t.Errorf("%s: the broker is gone: %v", name, err)
						return
					}
					_ = conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
					attack(conn, n)
					_ = conn.Close()
				}
			})
		}
	}
	written, slowest := 0, time.Duration(0)
	for began := time.Now(); time.Since(began) < hostileTime(); written++ {
		at := time.Now()
		produce(t, c, "orders", "x")
		slowest = max(slowest, time.Since(at))
	}
	over()
	if got := read(t, addr, "orders"); len(got) != written {
		t.Errorf("read %d of %d records", len(got), written)
	}
	peak := peakMemory(t, pid)
	t.Logf("%d records meanwhile, the slowest after %s; %d MiB at the peak", written, slowest, peak>>20)
	if peak > 900<<20 {
		t.Errorf("the broker took %d MiB", peak>>20)
	}
}

// hostileTime is how long the attacks last.
func hostileTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("MILLRACE_HOSTILE_TIME")); err == nil {
		return d
	}
	return 3 * time.Second
}

// peakMemory is the most that a process had of the machine's memory.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kib int64
	if _, err := fmt.Sscan(string(rest), &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
