package cmd

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// One topic of several is missing: each record is written once and in order within its
// topic, those of the others at once, also where they have the key of one that waits or
// none, and however many wait.
func TestSeverityRouterWaitsForOneTopic(t *testing.T) {
	for name, c := range map[string]struct {
		idempotency string
		key         func(i int) []byte
	}{
		"keys":         {"idempotency: {key: '${payload.id}'}", func(i int) []byte { return fmt.Appendf(nil, "host-%d", i%5) }},
		"without keys": {"", func(int) []byte { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			routeLogs(t, c.idempotency, c.key)
		})
	}
}

func routeLogs(t *testing.T, idempotency string, key func(i int) []byte) {
	port, brokerDir := freePort(t), t.TempDir()
	start(t, brokerDir, "broker", "--listen", fmt.Sprintf("127.0.0.1:%d", port))
	dir := clusterBeside(t, port, freePort(t), `
idempotency: {store: embedded}
topics: {logs: {partitions: 2}, logs_warn: {partitions: 2}}
pipelines:
  severity-router:
    source: {topic: logs}
    `+idempotency+`
    sinks: [{kafka: {topic: 'logs_${payload.severity}'}}]
`)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	p := start(t, dir, "run", "--create-topics")
	delivered := func(n int64) func() bool {
		return func() bool { return p.status().Pipelines[0].Outcomes["delivered"] == n }
	}
	publisher, err := kafka.NewPublisher(kafka.Settings{Brokers: []string{address}}, kafka.Deps{Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	const waves, size = 40, 20
	for wave := range waves {
		var records []*handlers.Record
		for i := wave * size; i < wave*size+size; i++ {
			severity := "warn"
			if i%10 == 0 {
				severity = "error"
			}
			records = append(records, &handlers.Record{
				Topic: "logs", Key: key(i), Value: fmt.Appendf(nil, `{"id": "%d", "severity": %q}`, i, severity), Time: time.Now(),
			})
		}
		if err := publisher.Produce(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // batches of their own
	}
	p.await("the records of the topic that is there are written", delivered(waves*size*9/10))
	s := p.status()
	if text := strings.Join(s.Pipelines[0].Reasons, "\n"); s.Ready || !strings.Contains(text, "logs_error") {
		t.Errorf("while a topic is missing: ready %v, %q", s.Ready, text)
	}
	if code, _, stderr := millrace(t, brokerDir, "publish", "logs_error", "--create", `{"id": "-1"}`); code != 0 {
		t.Fatal(stderr)
	}
	p.await("the others are written once their topic is there", delivered(waves*size))
	p.await("it is ready again", func() bool { return p.status().Ready })
	if code := p.stop(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for topic, want := range map[string]int{"logs_warn": waves * size * 9 / 10, "logs_error": waves*size/10 + 1, "severity-router.dead-letter": 0} {
		writtenOnceInOrder(t, readAll(t, address, topic), topic, want)
	}
}

// writtenOnceInOrder fails unless there are n records, each once, and by their id in the
// order of their key, or of their source's partition where they have none.
func writtenOnceInOrder(t *testing.T, records []*handlers.Record, topic string, n int) {
	t.Helper()
	seen, last := map[string]bool{}, map[string]int{}
	for _, r := range records {
		if seen[string(r.Value)] {
			t.Errorf("%s has %s more than once", topic, r.Value)
		}
		seen[string(r.Value)] = true
		if r.Key == nil {
			continue // where it went has no order of its source
		}
		_, text, _ := strings.Cut(string(r.Value), `"id": "`)
		text, _, _ = strings.Cut(text, `"`)
		id, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := last[string(r.Key)]; ok && before > id {
			t.Errorf("%s has %d after %d of the key %s", topic, id, before, r.Key)
		}
		last[string(r.Key)] = id
	}
	if len(seen) != n {
		t.Errorf("%s has %d different records, want %d", topic, len(seen), n)
	}
}
