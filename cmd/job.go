package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/memory"
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
	// unset is what the pipeline's sinks lack here: only another process can do the work.
	unset   diag.Problems
	log     *slog.Logger
	cluster *cluster // nil once it is closed
	// worker is the process that runs the pipeline on this state folder, nil for none.
	worker *state.Run
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
	j := &jobCommand{app: a, flags: f, name: name, by: user + "@" + host, plan: pipelineOf(part.Plan, name),
		pipeline: chosen[0], unset: compile.Of(part.Unset, name), log: log, cluster: c}
	if err := j.findWorker(ctx); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// findWorker finds the process that is to do the work, whose plan must be of the files
// that were read here. Where there is none, this one needs all that the pipeline needs.
func (j *jobCommand) findWorker(ctx context.Context) error {
	runs, err := j.app.processes(j.flags.pid)
	if err != nil {
		return err
	}
	for _, run := range runs {
		switch {
		case run.Socket == "":
		case slices.Contains(run.Pipelines, j.name):
			j.worker = &run
			status, err := statusOf(ctx, run)
			if err == nil && status.Digest != j.plan.Digest {
				err = fmt.Errorf("process %d runs pipeline %q by another version of the file than this command read: "+
					"start it anew with this one, or name its file with -f", run.PID, j.name)
			}
			return err
		case run.Job != "":
			return fmt.Errorf("a command works on job %s in process %d: wait for it, or `millrace jobs cancel %s`", run.Job,
				run.PID, run.Job)
		case len(run.Pipelines) > 0 && (j.plan.Embedded != "" || j.plan.Store.Embedded):
			return fmt.Errorf("process %d runs on this state folder without pipeline %q: start it anew with this file",
				run.PID, j.name)
		}
	}
	if len(j.unset) == 0 {
		return nil
	}
	if err := diag.Write(painted(j.app.err), diag.FormatText, j.unset, colour(j.app.err)); err != nil {
		return err
	}
	return errInvalid
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
// asked are the flags that say what the job is: none, or those that it was begun with.
// Where they begin none, begin says what else would.
func (j *jobCommand) resume(ctx context.Context, kind api.JobKind, asked, begin string) (bool, error) {
	all, err := jobs.Lock{Admin: j.cluster.admin}.All(ctx)
	if err != nil {
		return false, err
	}
	for _, standing := range all {
		if standing.Job.ID != j.flags.id {
			continue
		}
		if standing.Job.Pipeline != j.name {
			return false, usageError{fmt.Errorf("%s is a job of pipeline %q: take another --id", j.flags.id,
				standing.Job.Pipeline)}
		}
		if standing.Job.Kind != kind {
			return false, usageError{fmt.Errorf("job %s is a %s, not a %s", j.flags.id, standing.Job.Kind, kind)}
		}
		return true, j.goOn(ctx, standing, asked)
	}
	for _, ended := range j.app.endedJobs() {
		if ended.ID == j.flags.id && (ended.State == api.JobFinished || ended.Pipeline != j.name) {
			return false, usageError{fmt.Errorf("job %s of pipeline %q %s already, at %s: take another --id", ended.ID,
				ended.Pipeline, cmp.Or(stateVerb[ended.State], "has ended"), stamp(ended.Ended))}
		}
	}
	if begin != "" {
		return false, usageError{fmt.Errorf("pipeline %q has no job %q to go on with; to begin one, %s", j.name,
			j.flags.id, begin)}
	}
	return false, nil
}

// goOn goes on with a job, or looks on where this state folder's process works on it.
func (j *jobCommand) goOn(ctx context.Context, standing *jobs.Standing, asked string) error {
	job := standing.Job
	if asked != "" && asked != job.Asked {
		return usageError{fmt.Errorf("%s was begun with %s: give the same, or --id alone, to go on with it, or end it "+
			"with `millrace jobs cancel %[1]s`", job.ID, cmp.Or(job.Asked, "other flags"))}
	}
	left := int64(0)
	for _, s := range standing.Spans {
		left += s.Until - s.Next
	}
	fmt.Fprintf(j.app.err, "%s: %s %s %s, begun by %s at %s: %d of its offsets are left\n", job.ID, job.Kind,
		job.Pipeline, job.Asked, job.By, stamp(job.Began), left)
	if len(standing.Members) == 0 {
		if err := j.agree("go on with it"); err != nil {
			return err
		}
	}
	return j.do(ctx, api.StartJob{Job: job, Spans: standing.Spans})
}

// do has the job done: by the process that runs the pipeline on this state folder, or
// where there is none by this one.
func (j *jobCommand) do(ctx context.Context, start api.StartJob) (err error) {
	shown := j.app.newJobProgress(start.Job)
	var status api.JobStatus
	if j.worker != nil {
		status, err = j.follow(ctx, *j.worker, start, shown)
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
	if status, err = client.Job(ctx, start.Job.ID); err != nil || status.State != api.JobRunning {
		if status, err = client.StartJob(ctx, start); err != nil {
			return status, fmt.Errorf("ask process %d: %w", run.PID, err)
		}
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
			if err == nil {
				status = now
			} else if status, err = j.app.afterAll(run, status, err); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	return status, err
}

// afterAll is how a job ended whose process does not answer any more.
func (a *app) afterAll(run state.Run, last api.JobStatus, silent error) (api.JobStatus, error) {
	for _, ended := range a.endedJobs() {
		if ended.ID == last.ID && ended.Run == last.Run {
			return ended, nil
		}
	}
	if _, err := a.processes(run.PID); err == nil {
		return last, nil // it has no time now
	}
	return last, fmt.Errorf("process %d ended, and %s with it: --id %[2]s goes on (%[3]w)", run.PID, last.ID, silent)
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
