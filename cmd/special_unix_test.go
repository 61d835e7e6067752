//go:build unix

package cmd

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Pipes without a writer, devices without an end and folders are refused wherever
// a file is named, and keep nobody waiting.
func TestSpecialFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	const plain = "pipelines: {p: {source: {topic: orders}, sinks: [{stdout: {}}]}}\n"
	for _, special := range []string{pipe, "/dev/zero", dir} {
		for name, text := range map[string]string{
			"schema":         fmt.Sprintf("topics: {orders: {schema: %q}}\n", special) + plain,
			"kafka.tls.ca":   fmt.Sprintf("kafka: {brokers: ['127.0.0.1:1'], tls: {ca: %q}}\n", special) + plain,
			"kafka.tls.cert": fmt.Sprintf("kafka: {brokers: ['127.0.0.1:1'], tls: {cert: %q, key: %q}}\n", special, special) + plain,
			"file()":         fmt.Sprintf("pipelines: {p: {source: {topic: orders}, filter: 'payload.a == file(%q)', sinks: [{stdout: {}}]}}\n", special),
			"static file()":  fmt.Sprintf("drain: '${file(%q)}'\n", special) + plain,
		} {
			write(t, dir, "pipelines.yaml", text)
			says := soon(t, "validate", "-f", filepath.Join(dir, "pipelines.yaml"))
			if !strings.Contains(says, "no regular file") {
				t.Errorf("%s: %s says %q", name, special, says)
			}
		}
		write(t, dir, "pipelines.yaml", plain)
		for _, line := range [][]string{
			{"validate", "--env-file", special}, {"dry-run", "--no-store", "--input", special}, {"eval", "payload", "--input", special},
			{"publish", "orders", "--input", special},
		} {
			if says := soon(t, append(line, "-f", filepath.Join(dir, "pipelines.yaml"), "--state", filepath.Join(dir, "state"))...); !strings.Contains(says, "no regular file") {
				t.Errorf("%v says %q", line, says)
			}
		}
	}
}

// soon is what a command says, which ends by itself.
func soon(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(context.Background(), args, strings.NewReader(""), &out, &out)
	}()
	select {
	case <-done:
		return out.String()
	case <-time.After(time.Minute):
		t.Fatalf("%v does not end", args)
		return ""
	}
}
