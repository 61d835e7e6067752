package cmd

import (
	"strings"
	"testing"
	"time"
)

// Every command that takes a time takes it in the same forms.
func TestTimes(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"earliest": time.UnixMilli(0), "latest": now, "-2h": now.Add(-2 * time.Hour), "15m": now.Add(-15 * time.Minute), "-8d": now.AddDate(0, 0, -8),
		"2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), "2026-01-31T08:00:00+01:00": time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC),
		"2026-01-31T08:00:00.5Z": time.Date(2026, 1, 31, 8, 0, 0, 500e6, time.UTC),
	} {
		if got, err := parseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "--2h", "2h ago", "31.1.2026", "1700000000", "Earliest"} {
		if got, err := parseTime(text, now); err == nil || !strings.Contains(err.Error(), "earliest or latest") {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	if w, err := parseWindow(5, "earliest", "latest"); err != nil || w.Since.IsZero() || w.Until.IsZero() {
		t.Errorf("got %+v, %v", w, err)
	}
}

// tail takes the words for a time, and earliest is the first record of all.
func TestTailFromEarliest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", "kafka: {embedded: {listen: '127.0.0.1:0'}}\npipelines: {p: {source: {topic: in}, sinks: [{stdout: {}}]}}\n")
	start(t, dir, "run")
	if code, out, errs := millrace(t, dir, "publish", "in", "1", "2", "3"); code != exitDone {
		t.Fatal(out, errs)
	}
	for from, want := range map[string]int{"earliest": 3, "-1h": 3, "latest": 0, "2100-01-01": 0, "2020-01-01": 3} {
		code, out, errs := millrace(t, dir, "tail", "in", "--until-end", "--from", from)
		if code != exitDone || strings.Count(out, "\n") != want {
			t.Errorf("--from %s: code %d, %s%s, want %d records", from, code, out, errs, want)
		}
	}
}

func TestProgressCountsOne(t *testing.T) {
	p := &progress{verb: "read", noun: "record", records: 1, began: time.Now()}
	if line := p.line(); !strings.HasPrefix(line, "read 1 record, ") {
		t.Error(line)
	}
}
