package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

// jobCommand is a command that begins a job, or goes on with one.
type jobCommand struct {
	app      *app
	flags    jobFlags
	name, by string
	plan     *plan.Plan
	pipeline *plan.Pipeline
	log      *slog.Logger
	cluster  *cluster // nil once it is closed
}

// openJob reads what a job of a pipeline needs, and reaches the cluster.
func (a *app) openJob(ctx context.Context, name string, f jobFlags) (*jobCommand, error) {
	if err := checkFormat(f.format); err != nil {
		return nil, err
	}
	part, err := a.loadPart(only("kafka", "idempotency", "limits", pipelinePath([]string{name})))
	if err != nil {
		return nil, err
	}
	chosen, err := choose(part.Plan, []string{name})
	if err != nil {
		return nil, a.notThere(part, err)
	}
	log, err := a.clientLogger()
	if err != nil {
		return nil, err
	}
	c, err := a.look(ctx, part.Plan, f.pid)
	if err != nil {
		return nil, err
	}
	user, host, _ := whoAmI()
	return &jobCommand{app: a, flags: f, name: name, by: user + "@" + host, plan: pipelineOf(part.Plan, name),
		pipeline: chosen[0], log: log, cluster: c}, nil
}

func (j *jobCommand) close() error {
	if j.cluster == nil {
		return nil
	}
	c := j.cluster
	j.cluster = nil
	return c.close()
}

// agree asks whether it is to be done.
func (j *jobCommand) agree(what string) error {
	switch {
	case j.flags.yes:
		return nil
	case !j.app.canAsk():
		return usageError{errors.New("it asks before it does anything, and nobody can answer here: give --yes")}
	case !j.app.ask(what + "? [y/N] "):
		return errors.New("nothing was done")
	}
	return nil
}

// resume goes on with the job of the id that was given, and tells whether there is one.
// Where there has to be, begin says what else begins one.
func (j *jobCommand) resume(ctx context.Context, kind api.JobKind, begin string) (bool, error) {
	standing, err := jobs.Lock{Admin: j.cluster.admin}.Find(ctx, j.name)
	if err != nil {
		return false, err
	}
	if standing != nil && standing.Job.ID == j.flags.id {
		if standing.Job.Kind != kind {
			return false, usageError{fmt.Errorf("job %s is a %s, not a %s", j.flags.id, standing.Job.Kind, kind)}
		}
		left := int64(0)
		for _, s := range standing.Spans {
			left += s.Until - s.Next
		}
		fmt.Fprintf(j.app.err, "%s goes on: %d of its offsets are left\n", standing.Job.ID, left)
		return true, j.do(ctx, api.StartJob{Job: standing.Job, Spans: standing.Spans})
	}
	for _, ended := range j.app.endedJobs() {
		if ended.ID == j.flags.id && ended.State == api.JobFinished {
			return false, usageError{fmt.Errorf("job %s has finished already, at %s: take another --id", ended.ID,
				stamp(ended.Ended))}
		}
	}
	if begin != "" {
		return false, usageError{fmt.Errorf("pipeline %q has no job %q to go on with; to begin one, %s", j.name,
			j.flags.id, begin)}
	}
	return false, nil
}

// do has the job done: by the process that runs the pipeline on this state folder, or
// where there is none by this one.
func (j *jobCommand) do(ctx context.Context, start api.StartJob) error {
	runs, err := j.app.processes(j.flags.pid)
	if err != nil {
		return err
	}
	shown := j.app.newJobProgress(start.Job)
	var status api.JobStatus
	runs = slices.DeleteFunc(slices.Clone(runs), func(r state.Run) bool {
		return !slices.Contains(r.Pipelines, j.name)
	})
	if len(runs) > 0 {
		status, err = j.follow(ctx, runs[0], start, shown)
	} else {
		status, err = j.work(ctx, start, shown)
	}
	shown.done()
	if err != nil {
		return err
	}
	return j.report(status)
}

// followEvery is how often a process is asked how a job fares.
const followEvery = 200 * time.Millisecond

// follow has a process do the job, and waits for its end.
func (j *jobCommand) follow(ctx context.Context, run state.Run, start api.StartJob, shown *jobProgress) (
	status api.JobStatus, err error) {
	client := api.Dial(run.Socket)
	defer client.Close()
	if status, err = client.StartJob(ctx, start); err != nil {
		return status, fmt.Errorf("ask process %d: %w", run.PID, err)
	}
	err = untilSignal(ctx, func(ctx context.Context) error {
		for status.State == api.JobRunning {
			shown.show(status)
			select {
			case <-ctx.Done():
				return fmt.Errorf("%[1]s goes on in process %[2]d: `millrace jobs show %[1]s`, `millrace jobs cancel %[1]s`",
					status.ID, run.PID)
			case <-time.After(followEvery):
			}
			now, err := client.Job(context.WithoutCancel(ctx), status.ID)
			if err != nil {
				return fmt.Errorf("process %d does not tell how %s fares, and --id goes on with it: %w", run.PID,
					status.ID, err)
			}
			status = now
		}
		return nil
	}, func() {})
	return status, err
}

// work does the job in this process.
func (j *jobCommand) work(ctx context.Context, start api.StartJob, shown *jobProgress) (api.JobStatus, error) {
	// What it opened to look is opened anew, by the part that holds it to the end.
	if err := j.close(); err != nil {
		return api.JobStatus{}, err
	}
	var last api.JobStatus
	deps := pipeline.RunnerDeps{Version: j.app.version(), StateDir: j.app.state(), Stdout: j.app.out, Logger: j.log,
		Job: &start, OnJob: func(s api.JobStatus) {
			last = s
			shown.show(s)
		}}
	deps.Memory, deps.MemoryFrom = memory.Limit()
	runner := pipeline.NewRunner(j.plan, deps)
	err := untilSignal(ctx, runner.Run, runner.CutOff)
	if err == nil && last.State == "" {
		err = errors.New("it ended before the job began")
	}
	return last, err
}

// report says how a job ended.
func (j *jobCommand) report(s api.JobStatus) error {
	if j.flags.format == "json" {
		if err := json.NewEncoder(j.app.out).Encode(s); err != nil {
			return err
		}
	} else {
		sayJob(j.app.out, s)
	}
	switch s.State {
	case api.JobFinished:
		return nil
	case api.JobInterrupted:
		return fmt.Errorf("%s was interrupted: the same command with --id %s goes on", s.ID, s.ID)
	case api.JobFailed:
		return fmt.Errorf("%s failed: %s", s.ID, s.Error)
	}
	return fmt.Errorf("%s was cancelled", s.ID)
}

// sayJob writes how a job ended, and why it did nothing where that is so.
func sayJob(out io.Writer, s api.JobStatus) {
	took := s.Ended.Sub(s.Began).Round(100 * time.Millisecond)
	fmt.Fprintf(out, "%s %s after %s\n", s.ID, s.State, took)
	words := jobWords(s.Counts)
	for _, word := range words {
		fmt.Fprintf(out, "  %-14s %9d\n", word, s.Counts[word])
	}
	if s.Kind == api.Replay {
		sayReplay(out, s)
	} else {
		sayRedrive(out, s)
	}
}

// sayReplay says why a replay did nothing, where that is so, and what it left out.
func sayReplay(out io.Writer, s api.JobStatus) {
	if n := s.Counts[string(outcome.Duplicate)]; n > 0 && s.Counts[string(outcome.Delivered)] == 0 {
		text := fmt.Sprintf("nothing was done again: %s done already", are(int(n), "record"))
		if !s.Expires.IsZero() {
			text += ", and the first of their keys is forgotten at " + stamp(s.Expires)
		}
		fmt.Fprintln(out, text+"; --force makes the effects again, once per key and replay")
	}
	if n := s.Counts[outcome.ReasonForgotten]; n > 0 {
		fmt.Fprintf(out, "%s left out: they may have been done so long ago that their keys are forgotten; --forgotten "+
			"makes their effects\n", are(int(n), "record"))
	}
}

// jobWords are the words that a job counts by, in the order in which they are shown.
func jobWords(counts map[string]int64) []string {
	var words []string
	for _, o := range outcome.All() {
		if counts[string(o)] > 0 {
			words = append(words, string(o))
		}
	}
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

// maxParts is how many partitions are shown one by one.
const maxParts = 12

// sayParts writes what a window holds by partition.
func sayParts(out io.Writer, parts []jobs.CountedPart) {
	parts = slices.DeleteFunc(slices.Clone(parts), func(p jobs.CountedPart) bool { return p.Records == 0 })
	for i, p := range parts {
		if i == maxParts && len(parts) > maxParts+1 {
			fmt.Fprintf(out, "  and %s more\n", count(len(parts)-i, "partition"))
			return
		}
		place := fmt.Sprintf("%s/%d", p.Topic, p.Partition)
		fmt.Fprintf(out, "  %-24s %9d  offsets %d to %d\n", place, p.Records, p.From, p.Until-1)
	}
}

// endedJobs are those that the state folder knows, oldest first. What can't be read
// is left out.
func (a *app) endedJobs() []api.JobStatus {
	lines, err := state.Jobs(a.state())
	if err != nil {
		fmt.Fprintf(a.err, "millrace: %v\n", err)
	}
	var all []api.JobStatus
	for _, line := range lines {
		var s api.JobStatus
		if json.Unmarshal(line, &s) == nil && s.ID != "" {
			all = append(all, s)
		}
	}
	return all
}

// jobProgress shows how far a job is: a bar on a terminal, else a line now and then.
type jobProgress struct {
	app   *app
	total int
	began time.Time
	first int64
	// said is when that was last shown.
	said  time.Time
	waits string
	bar   bool
}

func (a *app) newJobProgress(job api.Job) *jobProgress {
	return &jobProgress{app: a, total: job.Records, began: time.Now(), said: time.Now(), first: -1,
		bar: terminal(a.err) && !a.quiet}
}

// plainEvery is how often a line tells how far a job is where nobody looks.
const plainEvery = 10 * time.Second

func (p *jobProgress) show(s api.JobStatus) {
	if p.first < 0 {
		p.first = s.Done
	}
	waits := strings.Join(s.Waits, "; ")
	switch {
	case p.bar:
		fmt.Fprintf(raw(p.app.err), "\r\x1b[K%s", p.line(s, waits))
	case !p.app.quiet && (time.Since(p.said) >= plainEvery || waits != p.waits && waits != ""):
		p.said = time.Now()
		fmt.Fprintf(p.app.err, "%s: %s\n", s.ID, p.line(s, waits))
	}
	p.waits = waits
}

func (p *jobProgress) line(s api.JobStatus, waits string) string {
	rate := float64(s.Done-p.first) / max(time.Since(p.began).Seconds(), 0.001)
	line := fmt.Sprintf("%d of %s, %.0f/s", s.Done, count(p.total, "record"), rate)
	if p.total > 0 {
		part := min(1, float64(s.Done)/float64(p.total))
		if left := float64(p.total) - float64(s.Done); rate > 0 && left > 0 {
			line += ", " + time.Duration(left/rate*float64(time.Second)).Round(time.Second).String() + " left"
		}
		if p.bar {
			full := int(part * progressWidth)
			bar := strings.Repeat("█", full) + strings.Repeat("░", progressWidth-full)
			line = fmt.Sprintf("[%s] %3.0f %%  %s", bar, part*100, line)
		}
	}
	if waits != "" {
		line += "; waits: " + waits
	}
	return line
}

func (p *jobProgress) done() {
	if p.bar {
		fmt.Fprint(raw(p.app.err), "\r\x1b[K")
	}
}
