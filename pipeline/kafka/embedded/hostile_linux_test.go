package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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
	for name, attack := range attacks() {
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

func attacks() map[string]func(conn net.Conn, n int) {
	send := func(conn net.Conn, r kmsg.Request) {
		_, _ = conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("x")).AppendRequest(nil, r, 1))
	}
	hear := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 16)) }
	head := func(size int, key kmsg.Key, version int16) []byte {
		frame := binary.BigEndian.AppendUint32(nil, uint32(size))
		frame = binary.BigEndian.AppendUint16(frame, uint16(key))
		return binary.BigEndian.AppendUint16(frame, uint16(version))
	}
	zeros := make([]byte, 1<<20)
	bomb := batchOf(1, 4)
	bomb.records = recordOf(0, strings.Repeat("x", 100<<20))
	bombed := bomb.encode()
	return map[string]func(conn net.Conn, n int){
		"a produce request of 99 MiB": func(conn net.Conn, _ int) {
			_, _ = conn.Write(head(99<<20, kmsg.Produce, 7))
			for range 99 {
				if _, err := conn.Write(zeros); err != nil {
					return
				}
			}
		},
		"metadata that claims a long list": func(conn net.Conn, _ int) {
			frame := append(head(1<<20, kmsg.Metadata, 1), 0, 0, 0, 1, 0, 1, 'x')
			frame = binary.BigEndian.AppendUint32(frame, 500_000)
			_, _ = conn.Write(append(frame, zeros[:1<<20+4-len(frame)]...))
			hear(conn)
		},
		"fetches that nobody reads": func(conn net.Conn, _ int) {
			r := kmsg.NewPtrFetchRequest()
			r.Version, r.MaxBytes, r.SessionEpoch = 12, 1<<30, -1
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = "big"
			p := kmsg.NewFetchRequestTopicPartition()
			p.PartitionMaxBytes = 1 << 30
			topic.Partitions = append(topic.Partitions, p)
			r.Topics = append(r.Topics, topic)
			send(conn, r)
			time.Sleep(300 * time.Millisecond)
		},
		"large joins": func(conn net.Conn, n int) {
			r := kmsg.NewPtrJoinGroupRequest()
			r.Version, r.Group, r.ProtocolType, r.SessionTimeoutMillis = 4, fmt.Sprintf("g-%d", n%50), "consumer", 300_000
			p := kmsg.NewJoinGroupRequestProtocol()
			p.Name, p.Metadata = "range", zeros[:900<<10]
			r.Protocols = append(r.Protocols, p)
			send(conn, r)
			hear(conn)
		},
		"groups without end": func(conn net.Conn, n int) {
			r := kmsg.NewPtrOffsetCommitRequest()
			r.Version, r.Group, r.Generation = 2, fmt.Sprintf("h-%p-%d", conn, n), -1
			topic := kmsg.NewOffsetCommitRequestTopic()
			topic.Topic = "orders"
			topic.Partitions = append(topic.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
			r.Topics = append(r.Topics, topic)
			send(conn, r)
			hear(conn)
		},
		"bombs": func(conn net.Conn, _ int) {
			r := produceRequest("big", bombed)
			r.Version = 7
			send(conn, r)
			hear(conn)
		},
	}
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
