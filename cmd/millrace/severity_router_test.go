package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestSeverityRouterWaitsForOneTopic routes records by a field on a cluster that
// lacks one of the topics: records of other keys for the others are each written
// once meanwhile, also those that come later, and those of the missing topic once it
// is made.
func TestSeverityRouterWaitsForOneTopic(t *testing.T) {
	port, brokerDir := freePort(t), t.TempDir()
	start(t, brokerDir, "broker", "--listen", fmt.Sprintf("127.0.0.1:%d", port))
	dir := clusterBeside(t, port, freePort(t), `
idempotency: {store: embedded}
topics: {logs: {partitions: 2}, logs_warn: {partitions: 2}}
pipelines:
  severity-router:
    source: {topic: logs}
    idempotency: {key: '${payload.id}'}
    sinks: [{kafka: {topic: 'logs_${payload.severity}'}}]
`)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	p := start(t, dir, "run", "--create-topics")
	delivered := func(n int64) func() bool {
		return func() bool { return p.status().Pipelines[0].Outcomes["delivered"] == n }
	}
	for wave := range 2 {
		var records []string
		for i := wave * 60; i < wave*60+60; i++ {
			severity := "warn"
			if i%10 == 0 {
				severity = "error"
			}
			records = append(records, fmt.Sprintf(`{"key": "%s-host-%d", "payload": {"id": "%d", "severity": %[1]q}}`, severity, i%16, i))
		}
		write(t, dir, "records.jsonl", strings.Join(records, "\n"))
		if code, _, stderr := millrace(t, dir, "publish", "logs", "--records", "--input", "records.jsonl"); code != 0 {
			t.Fatal(stderr)
		}
		p.await("the records of the topic that is there are written", delivered(int64(54*wave+54)))
	}
	s := p.status()
	if text := strings.Join(s.Pipelines[0].Reasons, "\n"); s.Ready || !strings.Contains(text, "logs_error") {
		t.Errorf("while a topic is missing: ready %v, %q", s.Ready, text)
	}
	if code, _, stderr := millrace(t, brokerDir, "publish", "logs_error", "--create", `{"id": "made"}`); code != 0 {
		t.Fatal(stderr)
	}
	p.await("the others are written once their topic is there", delivered(120))
	p.await("it is ready again", func() bool { return p.status().Ready })
	if code := p.stop(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for topic, want := range map[string]int{"logs_warn": 108, "logs_error": 13, "severity-router.dead-letter": 0} {
		seen := map[string]int{}
		for _, r := range readAll(t, address, topic) {
			seen[string(r.Value)]++
		}
		if len(seen) != want {
			t.Errorf("%s has %d different records, want %d", topic, len(seen), want)
		}
		for value, n := range seen {
			if n > 1 {
				t.Errorf("%s has %s %d times", topic, value, n)
			}
		}
	}
}
