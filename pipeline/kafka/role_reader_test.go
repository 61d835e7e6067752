package kafka

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// roleReader is a member of a group in a process of its own, which can be
// stopped, and whose memory can be measured.
const roleReader = "reader"

// readerVariable holds what it reads, as JSON.
const readerVariable = "MILLRACE_TEST_READER"

type readerOrder struct {
	Brokers        []string
	Topic, Group   string
	SessionTimeout time.Duration
	CommitInterval time.Duration
}

// beReader finishes every record at once and prints a line for it, until its
// input ends; then it prints the most memory that it had, in kilobytes.
func beReader() {
	var order readerOrder
	if err := json.Unmarshal([]byte(os.Getenv(readerVariable)), &order); err != nil {
		fail(err)
	}
	s, err := NewSubscriber(Settings{Brokers: order.Brokers}, Source{
		Topics: []string{order.Topic}, Group: order.Group, SessionTimeout: order.SessionTimeout,
		CommitInterval: order.CommitInterval, Drain: 5 * time.Second, FetchWait: 50 * time.Millisecond,
	}, Deps{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fail(err)
	}
	messages, err := s.Subscribe(context.Background(), "")
	if err != nil {
		fail(err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		s.Close()
	}()
	var mu sync.Mutex
	var work sync.WaitGroup
	for m := range messages {
		work.Go(func() {
			batch := BatchOf(m)
			var lines strings.Builder
			for i, r := range batch.Records {
				kind := "read"
				if batch.Unreadable[i] != nil {
					kind = "unreadable"
				}
				fmt.Fprintln(&lines, kind, r.Partition, r.Offset)
				batch.Done(i)
			}
			mu.Lock()
			io.WriteString(os.Stdout, lines.String())
			mu.Unlock()
			m.Ack()
		})
	}
	work.Wait()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail(err)
	}
	for line := range strings.Lines(string(status)) {
		var peak int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d", &peak); n == 1 {
			fmt.Println("peak", 0, peak)
		}
	}
}

// childReader is a running roleReader.
type childReader struct {
	cmd   *exec.Cmd
	input io.Closer
	ended chan struct{}

	mu sync.Mutex
	// seen are the lines, by kind and partition.
	seen map[string]map[int32][]int64
}

func startReader(t *testing.T, order readerOrder) *childReader {
	t.Helper()
	text, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	c := &childReader{cmd: exec.Command(os.Args[0]), ended: make(chan struct{}), seen: map[string]map[int32][]int64{}}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+roleReader, readerVariable+"="+string(text))
	c.cmd.Stderr = testWriter{t}
	// Its input ends with this process, and so does it.
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.take(lines.Text())
		}
		c.cmd.Wait()
	}()
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		<-c.ended
	})
	return c
}

func (c *childReader) take(line string) {
	var kind string
	var partition int32
	var number int64
	if n, _ := fmt.Sscan(line, &kind, &partition, &number); n != 3 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[kind] == nil {
		c.seen[kind] = map[int32][]int64{}
	}
	c.seen[kind][partition] = append(c.seen[kind][partition], number)
}

func (c *childReader) numbers(kind string, partition int32) []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int64(nil), c.seen[kind][partition]...)
}

func (c *childReader) count(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, numbers := range c.seen[kind] {
		n += len(numbers)
	}
	return n
}

func (c *childReader) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end lets it close and waits for that.
func (c *childReader) end(t *testing.T) {
	t.Helper()
	c.input.Close()
	select {
	case <-c.ended:
	case <-time.After(patience):
		t.Fatal("the reader does not end")
	}
}
