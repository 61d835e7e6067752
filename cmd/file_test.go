package cmd

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

const filesFile = `version: 1
kafka: {brokers: ["%s"]}
topics: {clicks: {partitions: 6}}
pipelines:
  clicks:
    source: {topic: clicks, session_timeout: 6s, commit_interval: 100ms}
    dead_letter: off
    sinks:
      - file: {dir: out, path: "${payload.country}/c.jsonl", rotate: {size: 500kB}}
`

// Clicks go to files while the process is killed again and again: none is lost,
// no line is torn, and no file that was set aside is written again.
func TestFilesThroughKills(t *testing.T) {
	t.Parallel()
	b := standIn(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", fmt.Sprintf(filesFile, b.brokers[0]))
	expect(t, dir, 0, "", "topics", "apply", "--yes")
	const clicks = 30_000
	publisher, err := kafka.NewPublisher(kafka.Settings{Brokers: b.brokers}, kafka.Deps{Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	var records []*handlers.Record
	for i := range clicks {
		records = append(records, &handlers.Record{
			Topic: "clicks", Partition: -1, Offset: -1, Key: fmt.Append(nil, "visitor-", i%500),
			Value: fmt.Appendf(nil, `{"n": %d, "country": %q, "padding": "%0100d"}`, i, []string{"de", "fr", "us"}[i%3], i),
		})
	}
	if err := publisher.Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if err := publisher.Close(); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	aside := map[string]int64{}
	for range 2 {
		p := start(t, dir, "run")
		before := written(t, dir, nil)
		p.await("more is written", func() bool { return written(t, dir, nil) > before })
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		p.kill()
		written(t, dir, aside)
	}
	expect(t, dir, 0, "", "run", "--until-end")
	written(t, dir, aside)

	seen := map[int]int{}
	lines := 0
	for _, name := range outFiles(t, dir) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var click struct {
				N       int
				Country string
			}
			if err := json.Unmarshal([]byte(line), &click); err != nil || filepath.Base(filepath.Dir(name)) != click.Country {
				t.Fatalf("%s: %v in line %q", name, err, line)
			}
			seen[click.N]++
			lines++
		}
	}
	t.Logf("%d lines in %d files, %d of them repeats", lines, len(outFiles(t, dir)), lines-len(seen))
	if len(seen) != clicks {
		t.Errorf("%d clicks are lost", clicks-len(seen))
	}
	if len(aside) < 3 {
		t.Errorf("only %d files were set aside", len(aside))
	}
}

func outFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "out", "*", "c*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// written is how many bytes there are. Of files that were set aside it notes the
// size, and fails where one has changed.
func written(t *testing.T, dir string, aside map[string]int64) (all int64) {
	t.Helper()
	for _, name := range outFiles(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			continue // it was just set aside
		}
		all += info.Size()
		if aside == nil || filepath.Base(name) == "c.jsonl" {
			continue
		}
		if before, ok := aside[name]; ok && before != info.Size() {
			t.Errorf("%s had %d bytes and has %d", name, before, info.Size())
		}
		aside[name] = info.Size()
	}
	return all
}
