package cmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/api"
)

// A job that runs is listed, shown and ended, in the process that does it; one that was
// killed, by whoever finds it.
func TestJobs(t *testing.T) {
	t.Parallel()
	testJobs(t, bed{})
}

func testJobs(t *testing.T, b bed) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", replayFile(b)+"  "+b.name("other")+": {source: {topic: "+b.name("orders")+"}, filter: 'false', sinks: [{stdout: {}}], dead_letter: off}\n")
	b.create(t, 6, "orders", "invoices")
	p := start(t, dir, "run")
	told(t, dir, 0, "there are no jobs", "jobs", "list")
	told(t, dir, 2, "no job \"x\"", "jobs", "show", "x")
	told(t, dir, 2, "it takes the id of one job", "jobs", "cancel")
	told(t, dir, 2, "jobs takes list, show or cancel", "jobs")
	b.send(t, p.broker(), replayOrders(b, 2000).records)
	b.ended(t, p)
	slow := []string{"replay", b.name("invoices"), "--yes", "--from", "earliest", "--force", "--rate", "50"}
	running := func(id string) func() bool {
		return func() bool {
			_, out, _ := millrace(t, dir, "jobs", "list", "--format", "json")
			for line := range strings.Lines(out) {
				var job api.JobStatus
				decode(t, []byte(line), &job)
				if job.ID == id && job.State == api.JobRunning && job.Done >= 50 {
					return true
				}
			}
			return false
		}
	}

	job := launch(t, dir, append(slow, "--id", "one")...)
	p.await("it is under way", running("one"))
	told(t, dir, 0, "job one: replay of "+b.name("invoices"), "status")
	told(t, dir, 1, "replay one, begun by", "replay", b.name("invoices"), "--yes", "--from", "earliest")
	if out := told(t, dir, 0, "worked on  process ", "jobs", "show", "one"); !strings.Contains(out, "asked      --force --from earliest --rate 50") || !strings.Contains(out, "state      running") {
		t.Errorf("show says\n%s", out)
	}
	told(t, dir, 0, "one cancelled after", "jobs", "cancel", "one")
	<-job.done
	if code := job.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(job.log(), "one was cancelled") {
		t.Errorf("the command of a cancelled job: %d, %s", code, job.log())
	}
	told(t, dir, 1, "one has ended already: it was cancelled", "jobs", "cancel", "one")

	// The command may go: the process that runs the pipeline does the work.
	job = launch(t, dir, append(slow, "--id", "two")...)
	p.await("it is under way", running("two"))
	if code := job.stop(); code != 1 || !strings.Contains(job.log(), "two goes on in process") {
		t.Errorf("the command that left: %d, %s", code, job.log())
	}
	if code := p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	told(t, dir, 0, "state      interrupted", "jobs", "show", "two")
	told(t, dir, 0, "--id two` goes on with it", "jobs", "show", "two")

	// Who goes on with it says the same, or nothing, and agrees.
	told(t, dir, 2, "two was begun with --force --from earliest --rate 50: give the same", "replay", b.name("invoices"), "--yes", "--id", "two", "--from", "earliest")
	told(t, dir, 2, "give --yes", "replay", b.name("invoices"), "--id", "two")
	told(t, dir, 0, "2000  would be delivered", "replay", b.name("invoices"), "--id", "two", "--from", "earliest", "--force", "--dry-run")

	// Nothing runs: the command does the work, and is interrupted.
	job = launch(t, dir, "replay", b.name("invoices"), "--yes", "--id", "two")
	job.await("it goes on", func() bool {
		c := job.client()
		if c == nil {
			return false
		}
		s, err := c.Job(t.Context(), "two")
		return err == nil && s.Done > 0
	})
	if code := job.stop(); code != 1 || !strings.Contains(job.log(), "two was interrupted: the same command with --id two goes on") {
		t.Errorf("the command that was interrupted: %d, %s", code, job.log())
	}
	told(t, dir, 2, "two is a job of pipeline", "replay", b.name("other"), "--yes", "--id", "two", "--from", "earliest", "--force")
	told(t, dir, 0, "two cancelled after", "jobs", "cancel", "two")
	told(t, dir, 2, "has no job \"two\" to go on with", "replay", b.name("invoices"), "--id", "two")

	// Cancelled while the command works on it; who wants the folder meanwhile is told why not.
	job = launch(t, dir, append(slow, "--id", "three")...)
	job.await("it is under way", func() bool {
		c := job.client()
		if c == nil {
			return false
		}
		s, err := c.Job(t.Context(), "three")
		return err == nil && s.Done > 0
	})
	if len(b.brokers) == 0 {
		told(t, dir, 1, "a command works on job three in process ", "replay", b.name("other"), "--yes", "--from", "earliest", "--force")
		told(t, dir, 1, "a command works on job three in process ", "run")
	}
	told(t, dir, 0, "three cancelled after", "jobs", "cancel", "three")
	<-job.done
	var states []string
	for line := range strings.Lines(told(t, dir, 0, "", "jobs", "list", "--format", "json")) {
		var job api.JobStatus
		if err := json.Unmarshal([]byte(line), &job); err != nil {
			t.Fatal(err)
		}
		if job.Began.After(time.Now()) || job.By == "" || job.Records != 2000 {
			t.Errorf("%+v", job)
		}
		states = append(states, fmt.Sprint(job.ID, " ", job.State))
	}
	if strings.Join(states, ", ") != "one cancelled, two cancelled, three cancelled" {
		t.Errorf("%v", states)
	}
}
