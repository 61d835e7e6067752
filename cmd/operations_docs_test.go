package cmd

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What the page on looking after a process shows of skip and seek is what they do.
func TestOperationsAsTheirPageShowsThem(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	section := func(title string) string {
		_, text, ok := strings.Cut(string(page), "\n## "+title+"\n")
		if !ok {
			t.Fatalf("the page has lost its section %q", title)
		}
		text, _, _ = strings.Cut(text, "\n## ")
		return text
	}
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {orders: {partitions: 1}, order_invoices: {partitions: 2}}
pipelines:
  orders: {source: {topic: orders}, filter: payload.n > 1, dead_letter: off, sinks: [{stdout: {}}]}
  invoice-notifications: {source: {topic: order_invoices}, sinks: [{stdout: {}}]}
`)
	p := start(t, dir, "run")
	client, err := kgo.NewClient(kgo.SeedBrokers(p.broker()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	eight := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	for i := range 17 {
		r := &kgo.Record{Topic: "order_invoices", Value: []byte(`{}`), Timestamp: eight.Add(time.Duration(i-10) * time.Second)}
		if i >= 13 {
			r.Partition, r.Timestamp = 1, eight.Add(-time.Hour)
		}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	values := []string{"publish", "orders", `{"n":2}`, `{"n":2}`, `{"n":"x"}`}
	for len(values) < 2+14 {
		values = append(values, `{"n":3}`)
	}
	told(t, dir, 0, "", values...)
	p.await("one stands, and the other is done", func() bool {
		s := p.status().Pipelines
		return len(s[0].Standing) == 1 && s[0].InFlight == 12 && s[0].Lag == 12 && s[1].Lag == 0 && s[1].Outcomes["delivered"] == 17
	})

	shell, shown := blocks(section("Go past a record"), "sh"), blocks(section("Go past a record"), "text")
	if len(shell) != 2 || len(shown) != 1 {
		t.Fatal("the page has lost its blocks")
	}
	_, status, _ := millrace(t, dir, strings.Fields(strings.TrimSpace(shell[0]))[1:]...)
	_, status, _ = strings.Cut(status, "\nPIPELINE")
	if diff := cmp.Diff(strings.TrimSpace(shown[0]), strings.TrimSpace("PIPELINE"+status)); diff != "" {
		t.Errorf("status (-page +shown):\n%s", diff)
	}
	told(t, dir, 0, "orders: goes past orders/0/2", strings.Fields(strings.TrimSpace(shell[1]))[1:]...)
	p.await("it goes on", func() bool { return p.status().Pipelines[0].Lag == 0 })
	told(t, dir, 0, "", "publish", "orders", "--records", "--input", "skipped.jsonl")
	p.stop()

	shell, shown = blocks(section("Move a stopped pipeline"), "sh"), blocks(section("Move a stopped pipeline"), "text")
	if len(shell) != 1 || len(shown) != 1 {
		t.Fatal("the page has lost its blocks")
	}
	commands := strings.Split(strings.TrimSpace(shell[0]), "\n")
	for i := range commands {
		commands[i], _, _ = strings.Cut(commands[i], "#")
	}
	args := func(i int, more ...string) []string { return append(strings.Fields(commands[i])[1:], more...) }
	told(t, dir, 0, "nothing to move", args(0)...)
	table, _, _ := strings.Cut(shown[0], "\nmove 1 partition of group")
	if diff := cmp.Diff(strings.TrimSpace(table), strings.TrimSpace(told(t, dir, 2, "", args(1)...))); diff != "" {
		t.Errorf("seek (-page +shown):\n%s", diff)
	}
	told(t, dir, 0, "moved 1 partition", args(1, "--yes")...)
	told(t, dir, 2, "", args(2)...) // the log has no such offset here
}
