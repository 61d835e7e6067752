package cmd

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// Twenty records of 60 MiB that are a few kilobytes each on the wire: all at once they
// are 1.2 GiB, beside what their dead letters were.
func TestBombsFlowByWithinTheMemoryThatThereIs(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "256MiB")
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {orders: {partitions: 4}}
pipelines:
  orders:
    source: {topic: orders}
    filter: payload.total > 0
    sinks: [{kafka: {topic: taken}}]
`)
	p := start(t, dir, "run")
	publisher, err := kafka.NewPublisher(kafka.Settings{Brokers: []string{p.status().Broker}, Compression: "zstd"},
		kafka.Deps{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	const bombs = 20
	zeros := make([]byte, 60<<20)
	for i := range bombs {
		key := fmt.Appendf(nil, "k%d", i)
		for _, r := range []*handlers.Record{{Topic: "orders", Key: key, Value: zeros}, {Topic: "orders", Key: key, Value: []byte(`{"total": 1}`)}} {
			if err := publisher.Produce(t.Context(), []*handlers.Record{r}); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.await("all records end", func() bool {
		o := p.status().Pipelines[0].Outcomes
		return o["delivered"] == bombs && o["dead_lettered"] == bombs
	})
	if log := p.log(); !strings.Contains(log, `"memory_limit":268435456,"memory_from":"GOMEMLIMIT"`) {
		t.Errorf("the log does not say how much memory there is: %.500s", log)
	}
	peak, err := residentPeak(p.cmd.Process.Pid)
	if err != nil {
		t.Skip("the peak of the memory is not to be had here")
	}
	if t.Logf("a peak of %d MiB", peak>>20); peak > 512<<20 {
		t.Errorf("a peak of %d MiB of memory", peak>>20)
	}
}

// A record whose decision may need all the memory that there is for decisions waits for
// nobody who keeps some of it, such as ingest.
func TestALargeRecordBesideIngest(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "256MiB")
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
ingest: {listen: 127.0.0.1:0, routes: [{path: /orders, topic: orders}]}
pipelines:
  large: {source: {topic: orders}, sinks: [{kafka: {topic: taken}}]}
  other: {source: {topic: others}, sinks: [{kafka: {topic: taken_too}}]}
`)
	p := start(t, dir, "run")
	write(t, dir, "large.json", `"`+strings.Repeat("a", 1_000_000)+`"`)
	for _, args := range [][]string{{"publish", "orders", "--input", "large.json"}, {"publish", "others", "1"}} {
		if code, _, stderr := millrace(t, dir, args...); code != exitDone {
			t.Fatal(stderr)
		}
	}
	p.await("both are delivered", func() bool {
		s := p.status()
		return s.Pipelines[0].Outcomes["delivered"] == 1 && s.Pipelines[1].Outcomes["delivered"] == 1
	})
}

// residentPeak is the most memory that a process has had.
func residentPeak(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no VmHWM in %q", status)
}
