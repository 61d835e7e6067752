package cmd

import (
	"fmt"
	"strings"
	"testing"
)

// The largest body is what ingest.max_record_bytes says, and who sends a larger
// one is told so; the topic has a limit of its own, which is told as well.
func TestIngestLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := fmt.Sprint("127.0.0.1:", freePort(t))
	write(t, dir, "pipelines.yaml", fmt.Sprintf(`version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
ingest: {listen: %q, max_record_bytes: 3MiB, routes: [{path: /orders, topic: orders}]}
pipelines: {p: {source: {topic: orders}, filter: "false", sinks: [{stdout: {}}]}}
`, address))
	start(t, dir, "run")
	for _, c := range []struct {
		size, code int
		says       string
	}{
		{900 << 10, 202, `"offset":`},
		{2 << 20, 413, "its topic's max.message.bytes is smaller"},
		{4 << 20, 413, "the record is larger than 3145728 bytes, which is ingest.max_record_bytes"},
	} {
		code, text := post(t, "http://"+address+"/orders", `"`+strings.Repeat("x", c.size)+`"`)
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%d bytes: %d %s, want %d with %q", c.size, code, text, c.code, c.says)
		}
	}
}
