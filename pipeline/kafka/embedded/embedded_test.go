package embedded

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

// childDir tells the test binary to run a broker on that folder until it is
// killed, instead of tests.
const childDir = "MILLRACE_TEST_BROKER_DIR"

// childFiles is how many files such a broker may have open.
const childFiles = "MILLRACE_TEST_BROKER_FILES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	// sarama's metrics have one ticker a process, which never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func child(dir string) {
	if files, err := strconv.Atoi(os.Getenv(childFiles)); err == nil {
		limitFiles(files)
	}
	b, err := Open(context.Background(), Config{Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	fmt.Println(b.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// startChild runs a broker as a process of its own; kill ends it with SIGKILL.
func startChild(t *testing.T, dir string, env ...string) (addr string, pid int, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			_ = stdin.Close()
		})
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
	return strings.TrimSpace(line), cmd.Process.Pid, kill
}

// alarms collects what a broker tells.
type alarms struct {
	mu   sync.Mutex
	all  []Alarm
	more chan struct{}
}

func newAlarms() *alarms { return &alarms{more: make(chan struct{}, 100)} }

func (a *alarms) add(alarm Alarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, alarm)
	a.more <- struct{}{}
}

func (a *alarms) list() []Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Alarm(nil), a.all...)
}

// wait returns once there is an alarm of that kind, raised or cleared.
func (a *alarms) wait(t *testing.T, kind string, cleared bool) Alarm {
	t.Helper()
	for {
		for _, alarm := range a.list() {
			if alarm.Kind == kind && alarm.Cleared == cleared {
				return alarm
			}
		}
		select {
		case <-a.more:
		case <-time.After(20 * time.Second):
			t.Fatalf("no alarm %s (cleared: %t) in %v", kind, cleared, a.list())
		}
	}
}

// start opens a broker on a free port and closes it with the test.
func start(t *testing.T, config Config) *Broker {
	t.Helper()
	if config.Dir == "" {
		config.Dir = t.TempDir()
	}
	config.Listen = "127.0.0.1:0"
	config.Logger = slog.New(slog.DiscardHandler)
	b, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, b) })
	return b
}

func stop(t *testing.T, b *Broker) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func create(t *testing.T, b *Broker, topics map[string]int32) {
	t.Helper()
	if err := b.CreateTopics(t.Context(), topics); err != nil {
		t.Fatal(err)
	}
}

// client returns a client that is closed with the test.
func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(20 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// produce writes records with the given values to partition 0, one batch each.
func produce(t *testing.T, c *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, value := range values {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// numbered returns n values.
func numbered(prefix string, n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return values
}

// read returns `offset value` of every record of partition 0, up to its end.
func read(t *testing.T, addr, topic string) []string {
	t.Helper()
	c := client(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.FetchMaxWait(50*time.Millisecond))
	defer c.Close()
	end := endOf(t, c, topic)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	for next := int64(0); next < end; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got = append(got, fmt.Sprintf("%d %s", r.Offset, r.Value))
			next = r.Offset + 1
		})
	}
	return got
}

func endOf(t *testing.T, c *kgo.Client, topic string) int64 {
	t.Helper()
	ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok || end.Err != nil {
		t.Fatalf("end of %s: %+v", topic, end)
	}
	return end.Offset
}

func commitOffset(t *testing.T, c *kgo.Client, group, topic string, offset int64) {
	t.Helper()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, 0, offset, -1)
	if err := kadm.NewClient(c).CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
}

// committed returns the group's offset, -1 where it has none.
func committed(t *testing.T, c *kgo.Client, group, topic string) int64 {
	t.Helper()
	offsets, err := kadm.NewClient(c).FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	at, ok := offsets.Lookup(topic, 0)
	if !ok || at.Err != nil {
		return -1
	}
	return at.At
}

func topicID(t *testing.T, c *kgo.Client, topic string) kadm.TopicID {
	t.Helper()
	details, err := kadm.NewClient(c).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return details[topic].ID
}
