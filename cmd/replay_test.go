package cmd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/kafka"
)

// replayFile has a keyed pipeline and one without keys.
func replayFile(b bed) string {
	return fmt.Sprintf(`version: 1
%[1]stopics:
  %[2]s: {partitions: 6}
  %[3]s: {partitions: 6}
pipelines:
  %[3]s:
    source: {topic: %[2]s}
    filter: payload.status == "purchased"
    idempotency: {key: "order:${payload.order_id}", ttl: 8d}
    sinks:
      - kafka: {topic: %[3]s}
    dead_letter: off
`, b.blocks("lease: 10s"), b.name("orders"), b.name("invoices"))
}

// replayOrders are orders of one second each, without repeats, the last of them an hour
// old.
func replayOrders(b bed, n int) flood {
	f := makeFlood(b, 0)
	begin := time.Now().Add(-time.Hour - time.Duration(n)*time.Second).Truncate(time.Second)
	for i := range n {
		o := order{OrderID: fmt.Sprint("o-", i), Status: "purchased", Seq: i}
		f.expected[o.OrderID] = true
		f.records = append(f.records, &handlers.Record{
			Topic: b.name("orders"), Partition: -1, Offset: -1, Time: begin.Add(time.Duration(i) * time.Second),
			Key:   fmt.Append(nil, "customer-", i%floodKeys),
			Value: fmt.Appendf(nil, `{"order_id": %q, "status": %q, "seq": %d}`, o.OrderID, o.Status, o.Seq),
		})
	}
	return f
}

// replays runs replays beside a pipeline, by the process that runs it or, where there is
// none, by themselves.
type replays struct {
	*testing.T
	bed  bed
	dir  string
	p    *process // nil where nothing runs
	addr string
	out  int64 // effects so far
}

func (r *replays) replay(code int, args ...string) api.JobStatus {
	r.Helper()
	args = append([]string{"replay", r.bed.name("invoices"), "--yes", "--format", "json"}, args...)
	got, out, errs := millrace(r.T, r.dir, args...)
	if got != code {
		r.Fatalf("%v: code %d, want %d:\n%s%s", args, got, code, out, errs)
	}
	var s api.JobStatus
	if code == 0 && out != "" {
		decode(r.T, []byte(out), &s)
	}
	return s
}

// client is one of the process's control socket, nil before it has one.
func (p *process) client() *api.Client {
	p.t.Helper()
	runs, err := (&app{stateDir: filepath.Join(p.dir, ".millrace")}).processes(p.cmd.Process.Pid)
	if err != nil || len(runs) == 0 {
		return nil
	}
	client := api.Dial(runs[0].Socket)
	p.t.Cleanup(client.Close)
	return client
}

// effects wants so many more effects than there were.
func (r *replays) effects(more int64) {
	r.Helper()
	n := r.written()
	if n-r.out != more {
		r.Errorf("%d effects, want %d", n-r.out, more)
	}
	r.out = n
}

func (r *replays) written() int64 {
	r.Helper()
	n := int64(0)
	r.look(func(a *kafka.Admin, _ string) {
		ends, err := a.EndOffsets(r.Context(), r.bed.name("invoices"))
		if err != nil {
			r.Fatal(err)
		}
		for _, end := range ends[r.bed.name("invoices")] {
			n += end
		}
	})
	return n
}

// look asks the cluster; where nothing runs and the broker lies in the folder, through a
// broker of its own.
func (r *replays) look(f func(a *kafka.Admin, broker string)) {
	r.Helper()
	addr := r.addr
	if r.p == nil && len(r.bed.brokers) == 0 {
		p := start(r.T, r.dir, "broker", "--listen", "127.0.0.1:0")
		addr = p.broker()
		defer p.stop()
	}
	f(r.bed.admin(r.T, addr), cmp.Or(strings.Join(r.bed.brokers[:min(1, len(r.bed.brokers))], ""), addr))
}

func want(t *testing.T, s api.JobStatus, counts map[string]int64) {
	t.Helper()
	if s.State != api.JobFinished || fmt.Sprint(s.Counts) != fmt.Sprint(counts) {
		t.Errorf("the job %s: %s, %v, want %v (%s)", s.ID, s.State, s.Counts, counts, s.Error)
	}
}

// The tutorial's case and beyond: a window again, gaps filled, forced, by the process
// that runs the pipeline, whose own group stays where it is.
func TestReplay(t *testing.T) {
	t.Parallel()
	testReplay(t, bed{}, 6000)
}

func testReplay(t *testing.T, b bed, n int) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", replayFile(b))
	b.create(t, 6, "orders", "invoices")
	p := start(t, dir, "run")
	f := replayOrders(b, n)
	b.send(t, p.broker(), f.records)
	b.ended(t, p)
	r := &replays{T: t, bed: b, dir: dir, p: p, addr: p.broker()}
	r.effects(int64(n))
	live := b.committed(t, r.addr)
	from, to := f.records[n/3].Time, f.records[2*n/3].Time
	window := []string{"--from", from.UTC().Format(time.RFC3339), "--to", to.UTC().Format(time.RFC3339)}
	third := int64(2*n/3 - n/3)

	want(t, r.replay(0, window...), map[string]int64{"duplicate": third})
	r.effects(0)
	says := told(t, dir, 0, "nothing was done again", append([]string{"replay", b.name("invoices"), "--yes"}, window...)...)
	if !strings.Contains(says, fmt.Sprintf("%d records are done already, and the first of their keys is forgotten at ", third)) {
		t.Errorf("it says %s", says)
	}

	var gone []idempotency.ID
	for i := range 100 {
		gone = append(gone, idempotency.Identity(b.name("invoices"), "kafka", 1, fmt.Sprint("order:o-", n/3+i*(n/3)/100)))
	}
	client := p.client()
	if were, err := client.Keys().Delete(t.Context(), gone); err != nil || slices.Contains(were, false) {
		t.Fatal(were, err)
	}
	told(t, dir, 0, "100  would be delivered", append([]string{"replay", b.name("invoices"), "--dry-run"}, window...)...)
	r.effects(0)
	want(t, r.replay(0, window...), map[string]int64{"delivered": 100, "duplicate": third - 100})
	r.effects(100)
	want(t, r.replay(0, window...), map[string]int64{"duplicate": third})

	forced := r.replay(0, append(window, "--force", "--id", "again")...)
	want(t, forced, map[string]int64{"delivered": third})
	r.effects(third)
	told(t, dir, 2, "finished already, at", append([]string{"replay", b.name("invoices"), "--force", "--yes", "--id", "again"}, window...)...)

	at := f.records[n/2]
	place := fmt.Sprintf("%s/%d/%d", at.Topic, at.Partition, at.Offset)
	want(t, r.replay(0, "--at", place, "--force"), map[string]int64{"delivered": 1})
	r.effects(1)
	want(t, r.replay(0, "--from", "earliest", "--max", "7", "--where", "payload.seq >= 10", "--force"), map[string]int64{"delivered": 7})
	r.effects(7)
	told(t, dir, 0, "no record matches", "replay", b.name("invoices"), "--yes", "--from", "earliest", "--where", "payload.seq > 1e9")
	if now := b.committed(t, r.addr); fmt.Sprint(now) != fmt.Sprint(live) {
		t.Errorf("the live group moved from %v to %v", live, now)
	}
	groups, err := b.admin(t, r.addr).Groups(t.Context(), jobs.GroupOf(b.name("invoices")))
	if err != nil || len(groups) != 0 {
		t.Errorf("groups of jobs are left: %v, %v", groups, err)
	}
	if code := p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}

	// Nothing runs: the command does it itself.
	r.p = nil
	want(t, r.replay(0, window...), map[string]int64{"duplicate": third})
	want(t, r.replay(0, append(window, "--force", "--where", "payload.seq % 10 == 0")...), map[string]int64{"delivered": countBy(f, n/3, 2*n/3, 10)})
	r.effects(countBy(f, n/3, 2*n/3, 10))
	var ended []string
	for _, s := range (&app{stateDir: filepath.Join(dir, ".millrace"), err: os.Stderr}).endedJobs() {
		ended = append(ended, string(s.State))
	}
	if len(ended) < 9 || slices.ContainsFunc(ended, func(s string) bool { return s != "finished" }) {
		t.Errorf("the folder knows jobs %v", ended)
	}
}

func countBy(f flood, from, to, by int) (n int64) {
	for i := from; i < to; i++ {
		if i%by == 0 {
			n++
		}
	}
	return n
}

// Killed in the middle, by whomever it is done, the same id goes on: the totals are those
// of a job that nobody killed, and each effect is made once. A second job is refused
// meanwhile.
func TestReplayIsKilled(t *testing.T) {
	t.Parallel()
	testReplayIsKilled(t, bed{}, 6000)
}

func testReplayIsKilled(t *testing.T, b bed, n int) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", replayFile(b))
	b.create(t, 6, "orders", "invoices")
	p := start(t, dir, "run")
	f := replayOrders(b, n)
	b.send(t, p.broker(), f.records)
	b.ended(t, p)
	r := &replays{T: t, bed: b, dir: dir, p: p, addr: p.broker()}
	r.effects(int64(n))
	if code := p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	r.p = nil
	name := b.name("invoices")
	begin := []string{"replay", name, "--yes", "--from", "earliest", "--force", "--id", b.name("night"), "--rate", fmt.Sprint(n / 4)}
	for range 2 {
		job := launch(t, dir, begin...)
		var before int64
		job.await("some of it is committed", func() bool {
			client := job.client()
			if client == nil {
				return false
			}
			s, err := client.Job(t.Context(), b.name("night"))
			if before == 0 {
				before = s.Done
			}
			return err == nil && s.Done > before+int64(n/10)
		})
		job.kill()
	}
	told(t, dir, 1, b.name("night")+", begun by", "replay", name, "--yes", "--from", "earliest")
	told(t, dir, 2, "has no job \"day\"", "replay", name, "--yes", "--id", "day")
	want(t, r.replay(0, "--id", b.name("night")), map[string]int64{"delivered": int64(n)})
	r.look(func(_ *kafka.Admin, broker string) {
		made := map[string]int{}
		for _, rec := range readAll(t, broker, name) {
			made[string(rec.Value)]++
		}
		more := 0
		for value, times := range made {
			if more += times - 2; times < 2 {
				t.Errorf("%d times: %s", times, value)
			}
		}
		// A call that a kill cut off is made again: its key was not confirmed. Each kill
		// cuts off one batch a lane at most.
		if most := slices.Max(slices.Collect(maps.Values(made))); most > 2+2 {
			t.Errorf("an effect was made %d times", most)
		}
		t.Logf("%d calls were cut off and made again", more)
	})
}

// What is wrong is said, and nothing is changed.
func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", replayFile(bed{})+"  plain: {source: {topic: orders}, sinks: [{stdout: {}}]}\n")
	p := start(t, dir, "run")
	bed{}.send(t, p.broker(), replayOrders(bed{}, 10).records)
	bed{}.ended(t, p)
	for _, c := range []struct {
		code int
		says string
		args string
	}{
		{2, `did you mean "invoices"`, "invoice --from earliest"},
		{2, "say from when on", "invoices"},
		{2, "the window ends before it begins", "invoices --from 2026-02-01 --to 2026-01-01"},
		{2, "the window ends before it begins", "invoices --from earliest --to earliest"},
		{2, "lies in the future", "invoices --from 2999-01-01"},
		{2, "lies in the future", "invoices --from earliest --to 2999-01-01"},
		{2, "is no time", "invoices --from yesterday"},
		{2, "--where: at character", "invoices --from earliest --where payload.("},
		{2, "such as orders/0/42", "invoices --at orders/1"},
		{2, "does not read its topic", "invoices --at parcels/1/0"},
		{2, "the topic has no such partition", "invoices --at orders/9/0"},
		{2, "there is no record orders/1/5000", "invoices --at orders/1/5000"},
		{2, "excludes --from", "invoices --at orders/1/0 --from earliest"},
		{2, "the id of a job has", "invoices --from earliest --id A/b"},
		{2, "has no job \"day\" to go on with", "invoices --id day"},
		{2, "plain\" has no idempotency: nothing tells what was done, so that 10 effects would be made again", "plain --from earliest"},
		{2, "so that 10 effects would be made again", "plain --from earliest --dry-run"},
		{2, "--max is a number above 0", "invoices --from earliest --max -1"},
		{2, "--max is a number above 0", "invoices --from earliest --max 0"},
		{2, "--rate is a number above 0", "invoices --from earliest --rate NaN"},
		{2, "--to is empty", "invoices --from earliest --to="},
		{2, "--where is empty", "invoices --from earliest --where="},
		{2, "--id is empty", "invoices --from earliest --id="},
		{2, "the id of a job has", "invoices --from earliest --id -x"},
		{2, "it takes one pipeline", ""},
	} {
		args := append([]string{"replay", "--yes"}, strings.Fields(c.args)...)
		code, out, errs := millrace(t, dir, args...)
		if code != c.code || !strings.Contains(errs, c.says) || out != "" {
			t.Errorf("%s: code %d, want %d with %q:\n%s%s", c.args, code, c.code, c.says, out, errs)
		}
	}
	code, _, errs := millrace(t, dir, "replay", "invoices", "--from", "earliest")
	if code != 2 || !strings.Contains(errs, "give --yes") {
		t.Errorf("without --yes: code %d, %s", code, errs)
	}
	if lines := p.lines(); len(lines) != 10 {
		t.Errorf("%d effects of plain", len(lines))
	}
	if _, err := os.Stat(filepath.Join(dir, ".millrace", "jobs.jsonl")); !os.IsNotExist(err) {
		t.Errorf("a job was begun: %v", err)
	}
	var listed []json.RawMessage
	if code, out, errs := millrace(t, dir, "status", "--format", "json"); code != 0 || json.Unmarshal([]byte(out), &listed) != nil {
		t.Errorf("status: %d, %s%s", code, out, errs)
	}
}
