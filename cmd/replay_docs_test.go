package cmd

import (
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	anyTook = regexp.MustCompile(`after \d+(\.\d+)?m?s`)
)

// The page on replays is run: its commands, in order, print what it shows, but for times.
func TestReplayAsItsPageTellsIt(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/replay.md")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{taken: map[string]int{}, keys: map[string]string{}, code: func(string) int { return 200 }}
	server := httptest.NewServer(r)
	defer server.Close()
	dir := t.TempDir()
	file := "kafka: {embedded: {listen: 127.0.0.1:0}}\ntopics: {order_invoices: {partitions: 1}}\n" + blocks(string(page), "yaml")[0]
	file = strings.Replace(file, "http://localhost:3001/notifications", "'"+server.URL+"/${payload.order_id}'", 1)
	write(t, dir, "pipelines.yaml", file)
	p := start(t, dir, "run")
	begin := time.Now().UTC().Add(-time.Hour).Truncate(time.Minute)
	var records strings.Builder
	for i, order := range []struct {
		id, status string
		minute     int
	}{{"o-1", "purchased", 0}, {"o-2", "purchased", 1}, {"o-3", "cancelled", 3}, {"o-4", "purchased", 4}, {"o-5", "purchased", 2}} {
		fmt.Fprintf(&records, `{"key": "k-%d", "timestamp": %q, "payload": {"order_id": %q, "status": %q}}`+"\n", i,
			begin.Add(time.Duration(order.minute)*time.Minute).Format(time.RFC3339), order.id, order.status)
	}
	write(t, dir, "orders.jsonl", records.String())
	told(t, dir, 0, "published 5 records", "publish", "order_invoices", "--records", "--input", "orders.jsonl")
	p.await("four are notified", func() bool { paths, _ := r.total(); return paths == 4 })
	p.await("all is done", func() bool { return p.status().Pipelines[0].Lag == 0 })

	commands := 0
	for _, part := range strings.Split(string(page), "\n```sh\n")[1:] {
		lines, rest, _ := strings.Cut(part, "\n```")
		said := ""
		for _, line := range strings.Split(lines, "\n") {
			for minute := range 5 {
				told := fmt.Sprintf("2026-01-31T08:%02d:00Z", minute)
				line = strings.ReplaceAll(line, told, begin.Add(time.Duration(minute)*time.Minute).Format(time.RFC3339))
			}
			code, out, errs := millrace(t, dir, fields(line)[1:]...)
			if cancel := strings.Contains(line, "jobs cancel"); code != 0 && !cancel || cancel && !strings.Contains(errs, "has ended already") {
				t.Errorf("%s: code %d, %s", line, code, errs)
			}
			said += errs + out
			commands++
		}
		if want, found := strings.CutPrefix(rest, "\n```text\n"); found {
			want, _, _ = strings.Cut(want, "\n```")
			if !strings.Contains(plainTimes(said), plainTimes(want)) {
				t.Errorf("%s\n(-page +command):\n%s", lines, cmp.Diff(plainTimes(want), plainTimes(said)))
			}
		}
	}
	if commands < 9 {
		t.Errorf("only %d commands were found", commands)
	}
	if paths, calls := r.total(); paths != 4 || calls != 7 {
		t.Errorf("%d calls for %d orders: want the 4 of the run, the gap, and two on purpose", calls, paths)
	}
}

func plainTimes(text string) string {
	return anyTook.ReplaceAllString(anyTime.ReplaceAllString(text, "T"), "after 0s")
}

// fields splits a command line as a shell does that knows quotes alone.
func fields(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}
