package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/pipeline/listen"
	"github.com/millrace/millrace/pipeline/state"
)

// What was acknowledged survives a kill at any moment, and a clean end as well.
func TestRestart(t *testing.T) {
	for _, how := range []string{"killed", "closed"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			var addr string
			var end func()
			if how == "killed" {
				addr, _, end = startChild(t, dir)
			} else {
				b := start(t, Config{Dir: dir})
				addr, end = b.Addr(), func() { stop(t, b) }
			}
			c := client(t, addr)
			if _, err := kadm.NewClient(c).CreateTopics(t.Context(), 3, 1, nil, "orders", "empty"); err != nil {
				t.Fatal(err)
			}
			values := numbered("v", 50)
			produce(t, c, "orders", values...)
			commitOffset(t, c, "invoices", "orders", 20)
			id := topicID(t, c, "orders")
			c.Close()
			end()

			told := newAlarms()
			b := start(t, Config{Dir: dir, OnAlarm: told.add})
			names, err := b.TopicNames()
			if err != nil || !slices.Equal(names, []string{"empty", "orders"}) {
				t.Errorf("topics %v, %v", names, err)
			}
			again := client(t, b.Addr())
			if got := topicID(t, again, "orders"); got != id {
				t.Errorf("topic id %v, was %v", got, id)
			}
			if got := committed(t, again, "invoices", "orders"); got != 20 {
				t.Errorf("committed %d, want 20", got)
			}
			produce(t, again, "orders", "after")
			want := make([]string, 0, 51)
			for i, v := range append(values, "after") {
				want = append(want, fmt.Sprintf("%d %s", i, v))
			}
			if diff := cmp.Diff(want, read(t, b.Addr(), "orders")); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if got := told.list(); len(got) != 0 {
				t.Errorf("alarms: %v", got)
			}
		})
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	_, pid, _ := startChild(t, dir)
	_, err := Open(t.Context(), Config{Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	var held *state.HeldError
	if !errors.As(err, &held) || held.PID != pid {
		t.Errorf("got %v, want a HeldError of process %d", err, pid)
	}
}

func TestTheFolderIsPrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Dir: dir})
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %o, want 700", info.Mode().Perm())
	}
}

func TestListenAddresses(t *testing.T) {
	tests := []struct{ address, want, wantErr string }{
		{"127.0.0.1:9092", "127.0.0.1:9092", ""},
		{"localhost:0", "127.0.0.1:0", ""},
		{"[::1]:9092", "[::1]:9092", ""},
		{":9092", "", "not a loopback address"},
		{"0.0.0.0:9092", "", "not a loopback address"},
		{"192.168.1.2:9092", "", "not a loopback address"},
		{"broker:9092", "", "not a loopback address"},
		{"9092", "", "no host:port"},
	}
	for _, test := range tests {
		t.Run(test.address, func(t *testing.T) {
			got, err := listen.Loopback(test.address)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if test.wantErr == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.wantErr) || !strings.Contains(err.Error(), "kafka.embedded.listen") {
				t.Errorf("got %v, want %q and the key's name", err, test.wantErr)
			}
		})
	}
}

func TestATakenPortNamesTheKey(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	dir := t.TempDir()
	_, err = Open(t.Context(), Config{Dir: dir, Listen: taken.Addr().String(), Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "another process has the port: change kafka.embedded.listen") {
		t.Fatalf("got %v", err)
	}
	// The folder was given back.
	start(t, Config{Dir: dir})
}

func TestCreateTopics(t *testing.T) {
	b := start(t, Config{Partitions: 4})
	create(t, b, map[string]int32{"a": 0, "b": 9})
	create(t, b, map[string]int32{"a": 12, "c.d": 1})
	details, err := kadm.NewClient(client(t, b.Addr())).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for name, detail := range details {
		got[name] = len(detail.Partitions)
		if n := len(detail.Partitions[0].Replicas); n != 1 {
			t.Errorf("%s has %d replicas", name, n)
		}
	}
	if diff := cmp.Diff(map[string]int{"a": 4, "b": 9, "c.d": 1}, got); diff != "" {
		t.Errorf("partitions (-want +got):\n%s", diff)
	}
	for _, name := range []string{"", ".", "..", "a/b", "ä", strings.Repeat("x", 250)} {
		if err := b.CreateTopics(t.Context(), map[string]int32{name: 1}); err == nil || !strings.Contains(err.Error(), "letters") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := b.CreateTopics(t.Context(), map[string]int32{"c_d": 1}); err == nil || !strings.Contains(err.Error(), "dots and underscores") {
		t.Errorf("a colliding name: %v", err)
	}
}

func TestTopicsAreNotMadeByMentioningThem(t *testing.T) {
	b := start(t, Config{})
	c := client(t, b.Addr(), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
	err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "typo", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("got %v", err)
	}
	if names, err := b.TopicNames(); err != nil || len(names) != 0 {
		t.Errorf("topics %v, %v", names, err)
	}
}

func TestAfterClose(t *testing.T) {
	b := start(t, Config{})
	stop(t, b)
	stop(t, b)
	if err := b.CreateTopics(t.Context(), map[string]int32{"a": 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestSarama(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 1})
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Metadata.AllowAutoTopicCreation = false
	producer, err := sarama.NewSyncProducer([]string{b.Addr()}, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range numbered("v", 10) {
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder(v)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := producer.Close(); err != nil {
		t.Error(err)
	}
	if got := readSarama(t, b.Addr(), "orders", 10); !slices.Equal(got, numbered("v", 10)) {
		t.Errorf("read %v", got)
	}
}

// readSarama returns the values of the first n records of partition 0.
func readSarama(t *testing.T, addr, topic string, n int) []string {
	t.Helper()
	config := sarama.NewConfig()
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	consumer, err := sarama.NewConsumer([]string{addr}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	part, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = part.Close() }()
	var got []string
	for len(got) < n {
		select {
		case m := <-part.Messages():
			got = append(got, string(m.Value))
		case <-time.After(20 * time.Second):
			t.Fatalf("read only %v", got)
		}
	}
	return got
}

// What is no Kafka request costs its sender the connection and nobody else
// anything.
func TestStrangersAreCutOff(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 1})
	for name, bytes := range map[string]string{
		"http":                "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a vast request":      "\xff\xff\xff\xff\x00\x00\x00\x00",
		"an unknown request":  "\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x00\x00\x00",
		"a request too short": "\x00\x00\x00\x02\x00\x03\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte(bytes)); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d, %v; want the connection closed", n, err)
			}
		})
	}
	produce(t, client(t, b.Addr()), "orders", "still here")
}
