package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/state"
)

func (a *app) jobsCommand() *cobra.Command {
	var f jobFlags
	all := &cobra.Command{
		Use: "jobs", Short: "Look at replays and redrives, and end them",
		Long: `Jobs looks at what was told to pipelines beside their live groups: what runs, as the
groups of the cluster say, also on other machines, and what ended, as this state
folder remembers, with who began it, its filter, and what came of it.`,
		Args: knownCommand,
		RunE: func(*cobra.Command, []string) error { return usageError{errors.New("jobs takes list, show or cancel")} },
	}
	list := &cobra.Command{
		Use: "list", Short: "List what runs and what ended, newest last",
		Example: "  millrace jobs list\n  millrace jobs list --format json | jq 'select(.state == \"interrupted\")'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.jobsList(cmd.Context(), f) },
	}
	show := &cobra.Command{
		Use: "show ID", Short: "Show all that is known of a job",
		Example: "  millrace jobs show job-3kmzg7j7",
		Args:    oneJob,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.jobsShow(cmd.Context(), args[0], f) },
	}
	cancel := &cobra.Command{
		Use: "cancel ID", Short: "End a job: what is in flight finishes, what is left is not done",
		Long: `Cancel ends a job that a process on this state folder works on, or one that was
interrupted and nobody works on. What is in flight finishes, and what is left is not
done. One that another machine works on is ended there.`,
		Example: "  millrace jobs cancel job-3kmzg7j7",
		Args:    oneJob,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.jobsCancel(cmd.Context(), args[0], f) },
	}
	all.PersistentFlags().IntVar(&f.pid, "pid", 0, "which process, where several run")
	for _, cmd := range []*cobra.Command{list, show, cancel} {
		formatFlag(cmd, &f.format)
		all.AddCommand(cmd)
		usageArgs(cmd)
	}
	return all
}

// oneJob takes the id of a job.
func oneJob(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("it takes the id of one job, and was given %s; `millrace jobs list` shows them",
			count(len(args), "argument"))
	}
	return nil
}

// shownJob is a job with who works on it.
type shownJob struct {
	api.JobStatus
	// Member is who works on it, as the cluster tells, empty where nobody does.
	Member string `json:"member,omitempty"`
	// stands tells that its group is there.
	stands bool
	// client asks the process that works on it, nil where none of this folder does.
	client *api.Client
}

// lookingAtJobs is a command that looks at jobs.
type lookingAtJobs struct {
	app     *app
	cluster *cluster
	byID    map[[2]string]shownJob // by pipeline and id
}

// openJobs finds all jobs there are.
func (a *app) openJobs(ctx context.Context, f jobFlags) (*lookingAtJobs, error) {
	if err := checkFormat(f.format); err != nil {
		return nil, err
	}
	part, err := a.loadPart(only("kafka"))
	if err != nil {
		return nil, err
	}
	l := &lookingAtJobs{app: a, byID: map[[2]string]shownJob{}}
	for _, ended := range a.endedJobs() {
		l.put(shownJob{JobStatus: ended})
	}
	if l.cluster, err = a.look(ctx, part.Plan, f.pid); err != nil {
		return nil, err
	}
	standing, err := jobs.Lock{Admin: l.cluster.admin}.All(ctx)
	if err != nil {
		return nil, errors.Join(err, l.cluster.close())
	}
	for _, s := range standing {
		job := shownJob{stands: true,
			JobStatus: api.JobStatus{Job: s.Job, State: api.JobInterrupted, Counts: map[string]int64{}}}
		for _, span := range s.Spans {
			for word, n := range span.Counts {
				job.Counts[word] += n
				job.Done += n
			}
		}
		if ended, ok := l.byID[[2]string{s.Job.Pipeline, s.Job.ID}]; ok {
			job.State, job.Ended, job.Error = ended.State, ended.Ended, ended.Error
		}
		if len(s.Members) > 0 {
			job.State, job.Member = api.JobRunning, s.Members[0].String()
		}
		l.put(job)
	}
	return l, l.ask(ctx, f.pid)
}

// ask asks the processes of the state folder, which know best.
func (l *lookingAtJobs) ask(ctx context.Context, pid int) error {
	runs, err := l.app.processes(pid)
	if err != nil {
		return errors.Join(err, l.cluster.close())
	}
	for _, run := range runs {
		if run.Socket == "" {
			continue
		}
		client := api.Dial(run.Socket)
		all, err := client.Jobs(ctx)
		if none, ok := errors.AsType[*api.ResponseError](err); ok && none.Code == http.StatusNotFound {
			continue // a broker alone has none
		}
		if err != nil {
			fmt.Fprintf(l.app.err, "process %d does not tell of its jobs: %v\n", run.PID, err)
		}
		for _, job := range all {
			if job.State == api.JobRunning {
				l.put(shownJob{JobStatus: job, Member: fmt.Sprint("process ", run.PID), client: client})
			}
		}
	}
	return nil
}

// put takes a job in the place of what was known of it.
func (l *lookingAtJobs) put(job shownJob) { l.byID[[2]string{job.Pipeline, job.ID}] = job }

// all are the jobs, oldest first.
func (l *lookingAtJobs) all() []shownJob {
	return slices.SortedFunc(maps.Values(l.byID), func(a, b shownJob) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID))
	})
}

// find is the newest job of an id.
func (l *lookingAtJobs) find(id string) (shownJob, error) {
	var ids []string
	for _, job := range slices.Backward(l.all()) {
		if job.ID == id {
			return job, nil
		}
		ids = append(ids, job.ID)
	}
	return shownJob{}, unknownName("job", id, ids)
}

func (a *app) jobsList(ctx context.Context, f jobFlags) (err error) {
	l, err := a.openJobs(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.cluster.close()) }()
	if f.format == "json" {
		out := json.NewEncoder(a.out)
		for _, job := range l.all() {
			if err := out.Encode(job); err != nil {
				return err
			}
		}
		return nil
	}
	if len(l.byID) == 0 {
		fmt.Fprintln(a.out, "there are no jobs")
		return nil
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tPIPELINE\tSTATE\tDONE\tBEGAN\tBY")
	for _, job := range l.all() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d of %d\t%s\t%s\n", job.ID, job.Kind, job.Pipeline, job.State, job.Done,
			job.Records, job.Began.UTC().Format(time.RFC3339), job.By)
	}
	return table.Flush()
}

func (a *app) jobsShow(ctx context.Context, id string, f jobFlags) (err error) {
	l, err := a.openJobs(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.cluster.close()) }()
	job, err := l.find(id)
	if err != nil {
		return err
	}
	if f.format == "json" {
		return a.printJSON(job)
	}
	out := painted(a.out)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "%-10s %s\n", name, text)
		}
	}
	line("job", job.ID)
	line("kind", string(job.Kind))
	line("pipeline", job.Pipeline)
	line("state", string(job.State))
	line("worked on", job.Member)
	line("by", job.By)
	line("began", stamp(job.Began))
	if !job.Ended.IsZero() {
		line("ended", stamp(job.Ended))
	}
	line("asked", job.Asked)
	line("window", windowText(job.Job))
	line("done", fmt.Sprintf("%d of %d", job.Done, job.Records))
	for _, word := range jobWords(job.Counts) {
		line("", fmt.Sprintf("%-14s %9d", word, job.Counts[word]))
	}
	line("waits for", strings.Join(job.Waits, "; "))
	line("error", job.Error)
	if job.State == api.JobInterrupted || job.State == api.JobFailed {
		fmt.Fprintf(out, "`millrace %s %s --id %s` goes on with it\n", job.Kind, job.Pipeline, job.ID)
	}
	return nil
}

// windowText is the times that a job was told to take.
func windowText(job api.Job) string {
	var parts []string
	if !job.From.IsZero() {
		parts = append(parts, "from "+stamp(job.From))
	}
	if !job.To.IsZero() {
		parts = append(parts, "to "+stamp(job.To))
	}
	return strings.Join(parts, " ")
}

func (a *app) jobsCancel(ctx context.Context, id string, f jobFlags) (err error) {
	l, err := a.openJobs(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.cluster.close()) }()
	job, err := l.find(id)
	if err != nil {
		return err
	}
	switch {
	case job.client != nil:
		if job.JobStatus, err = a.cancelIn(ctx, job.client, id); err != nil {
			return fmt.Errorf("%s: %w", job.Member, err)
		}
	case job.State == api.JobRunning:
		return fmt.Errorf("%s is worked on elsewhere, by %s: cancel it there", id, job.Member)
	case !job.stands:
		return fmt.Errorf("%s has ended already: it %s", id, cmp.Or(stateVerb[job.State], string(job.State)))
	default:
		if err := l.forget(ctx, &job); err != nil {
			return err
		}
	}
	if f.format == "json" {
		return a.printJSON(job)
	}
	sayJob(a.out, job.JobStatus)
	return nil
}

var stateVerb = map[api.JobState]string{
	api.JobFinished: "finished", api.JobCancelled: "was cancelled", api.JobFailed: "failed",
}

// cancelIn ends a job of a process, and waits until what is in flight is finished. A
// process that is for the job alone ends with it.
func (a *app) cancelIn(ctx context.Context, client *api.Client, id string) (api.JobStatus, error) {
	status, err := client.CancelJob(ctx, id)
	if err != nil {
		return status, err
	}
	for status.State == api.JobRunning && pause(ctx) {
		now, err := client.Job(ctx, id)
		if err == nil {
			status = now
			continue
		}
		for _, ended := range a.endedJobs() {
			if ended.ID == id {
				status = ended
			}
		}
		if status.State == api.JobRunning {
			return status, err
		}
	}
	return status, ctx.Err()
}

// forget ends a job that nobody works on.
func (l *lookingAtJobs) forget(ctx context.Context, job *shownJob) error {
	if err := (jobs.Lock{Admin: l.cluster.admin}).Release(ctx, job.Pipeline); err != nil {
		return err
	}
	job.State, job.Ended = api.JobCancelled, time.Now().UTC().Truncate(time.Millisecond)
	text, err := json.Marshal(job.JobStatus)
	if err != nil {
		return err
	}
	folder, err := state.Open(l.app.state())
	if err == nil {
		err = folder.LogJob(text)
	}
	if err != nil {
		fmt.Fprintf(l.app.err, "the job is ended, which is not kept: %v\n", err)
	}
	return nil
}
