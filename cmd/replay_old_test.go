package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// What is older than keys are remembered may have been done and forgotten: it is counted,
// and made where somebody says so. What stops a pipeline stops a replay too, which goes on
// once that is mended.
func TestReplayOfOldRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := strings.Replace(replayFile(bed{}), "ttl: 8d", "ttl: 30m", 1)
	write(t, dir, "pipelines.yaml", file)
	p := start(t, dir, "run")
	f := replayOrders(bed{}, 60)
	bed{}.send(t, p.broker(), f.records)
	bed{}.ended(t, p)
	r := &replays{T: t, dir: dir, p: p, addr: p.broker()}
	r.effects(60)
	var gone []idempotency.ID
	for i := range 5 {
		gone = append(gone, idempotency.Identity("invoices", "kafka", 1, fmt.Sprint("order:o-", i)))
	}
	if _, err := p.client().Keys().Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	told(t, dir, 0, "5  may have been done and forgotten", "replay", "invoices", "--from", "earliest", "--dry-run")
	says := told(t, dir, 0, "5 records are left out", "replay", "invoices", "--from", "earliest", "--yes")
	if !strings.Contains(says, "forgotten              5") || !strings.Contains(says, "duplicate             55") {
		t.Errorf("it says\n%s", says)
	}
	r.effects(0)
	want(t, r.replay(0, "--from", "earliest", "--forgotten"), map[string]int64{"delivered": 5, "duplicate": 55})
	r.effects(5)

	bad := *f.records[0]
	bad.Value = []byte("{")
	bed{}.send(t, p.broker(), []*handlers.Record{&bad})
	p.stop()
	write(t, dir, "pipelines.yaml", file+"    on_error: stop\n")
	told(t, dir, 1, "stopped at orders/", "replay", "invoices", "--from", "earliest", "--yes", "--id", "stops")
	told(t, dir, 0, "state      failed", "jobs", "show", "stops")
	write(t, dir, "pipelines.yaml", file+"    on_error: drop\n")
	want(t, r.with(nil).replay(0, "--id", "stops"), map[string]int64{"dropped": 1, "duplicate": 60})
}

// with is the same where another process runs, or none.
func (r *replays) with(p *process) *replays {
	r.p = p
	return r
}

// Where retention has taken a part of the window, it says from where on records exist.
func TestReplayOfWhatRetentionCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", replayFile(bed{}))
	p := start(t, dir, "run")
	f := replayOrders(bed{}, 60)
	bed{}.send(t, p.broker(), f.records)
	bed{}.ended(t, p)
	client, err := kgo.NewClient(kgo.SeedBrokers(p.broker()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	cut := kadm.Offsets{}
	cut.AddOffset("orders", 2, 5, -1)
	if _, err := kadm.NewClient(client).DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	_, out, errs := millrace(t, dir, "replay", "invoices", "--yes", "--from", f.records[0].Time.Add(-time.Second).UTC().Format(time.RFC3339))
	if !strings.Contains(errs, "! orders/2 holds records from ") || strings.Count(errs, "(offset 5) on only") != 1 || !strings.Contains(out, "55") {
		t.Errorf("it says\n%s%s", errs, out)
	}
}

// A sink that lacks a variable is no sink: nothing is called with what stands in its
// place, where the command would do the work itself.
func TestReplayNeedsWhatItsSinksNeed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := strings.Replace(replayFile(bed{}), "- kafka: {topic: invoices}", "- file: {dir: '${env.MILLRACE_TEST_UNSET}', path: a.txt}", 1)
	write(t, dir, "pipelines.yaml", strings.Replace(file, "${env.MILLRACE_TEST_UNSET}", "out", 1))
	p := start(t, dir, "run")
	bed{}.send(t, p.broker(), replayOrders(bed{}, 3).records)
	bed{}.ended(t, p)
	write(t, dir, "pipelines.yaml", file)
	told(t, dir, 1, "by another version of the file than this command read", "replay", "invoices", "--yes", "--from", "earliest", "--force")
	told(t, dir, 1, "by another version of the file than this command read", "replay", "invoices", "--from", "earliest", "--dry-run")
	p.stop()
	told(t, dir, 3, "MILLRACE_TEST_UNSET", "replay", "invoices", "--yes", "--from", "earliest", "--force")
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 3 {
		t.Errorf("it made %v", files)
	}
}

// What the folder knows of jobs survives a line that was cut off; where it can't be kept,
// nothing begins.
func TestWhatIsKeptOfJobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", replayFile(bed{}))
	p := start(t, dir, "run")
	bed{}.send(t, p.broker(), replayOrders(bed{}, 3).records)
	bed{}.ended(t, p)
	log := filepath.Join(dir, ".millrace", "jobs.jsonl")
	if err := os.WriteFile(log, []byte(`{"id":"old","kind":"rep`), 0o600); err != nil {
		t.Fatal(err)
	}
	once := []string{"replay", "invoices", "--yes", "--from", "earliest", "--force", "--id", "once"}
	told(t, dir, 0, "once finished after", once...)
	told(t, dir, 0, "state      finished", "jobs", "show", "once")
	told(t, dir, 2, "finished already, at", once...)
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(log, 0o700); err != nil {
		t.Fatal(err)
	}
	told(t, dir, 1, "is no regular file: remove it", "replay", "invoices", "--yes", "--from", "earliest", "--force", "--id", "twice")
	r := &replays{T: t, dir: dir, p: p, addr: p.broker()}
	r.effects(6)
}
