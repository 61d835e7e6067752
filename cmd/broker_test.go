package cmd

import (
	"strings"
	"testing"
)

// A broker takes a file that has no pipelines, and makes the topics that it
// declares: what another file's pipelines, or any Kafka client, need to be there.
func TestBrokerMakesDeclaredTopics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "topics.yaml", "kafka: {embedded: {listen: 127.0.0.1:0}}\ntopics: {orders: {partitions: 3}, invoices: {}}\n")
	for _, run := range []string{"first", "again"} {
		p := start(t, dir, "broker", "-f", "topics.yaml")
		code, out, errs := millrace(t, dir, "topics", "list", "-f", "topics.yaml")
		if lines := strings.Split(out, "\n"); code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[1], "invoices  6 ") || !strings.HasPrefix(lines[2], "orders    3 ") {
			t.Errorf("%s: code %d\n%s%s", run, code, out, errs)
		}
		if code := p.stop(); code != 0 {
			t.Errorf("%s: exit code %d", run, code)
		}
	}
}
