package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
)

// skipFlags are those of `millrace skip`.
type skipFlags struct {
	at, archive string
	format      string
	pid         int
}

func (a *app) skipCommand() *cobra.Command {
	var f skipFlags
	cmd := &cobra.Command{
		Use: "skip PIPELINE", Short: "Let a pipeline go past one record at which it stands",
		Long: `Skip takes one record out of a pipeline's way: one at which it stands by dead_letter:
off, at which on_error or unmatched: stop has stopped it, or that a receiver never
takes. The record is written to the end of --archive first, as one line of JSON. It
then ends as dropped, with reason skipped; its key is as if it never came.

Where a process runs the pipeline it goes on at once, also where it had stopped.
Where none does, the next run goes past the record. A record at which nothing stands
is refused, and skip says where the pipeline does stand.`,
		Example: `  millrace skip invoice-notifications --at order_invoices/3/120 --archive skipped.jsonl`,
		Args:    onePipeline,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return a.skip(ctx, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.at, "at", "", "the record's place: topic/partition/offset")
	flags.StringVar(&f.archive, "archive", "", "write the record to the end of this `FILE` first")
	flags.IntVar(&f.pid, "pid", 0, "which process, where several run")
	formatFlag(cmd, &f.format)
	return cmd
}

func (a *app) skip(ctx context.Context, name string, f skipFlags) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	if f.at == "" || f.archive == "" {
		return usageError{errors.New("skip needs a record and a file to keep it in: --at topic/partition/offset " +
			"--archive FILE")}
	}
	at, err := parsePlace(f.at)
	if err != nil {
		return usageError{fmt.Errorf("--at: %w", err)}
	}
	path := pipelinePath([]string{name})
	part, err := a.loadPart(only("kafka", path.Field("source")))
	if err != nil {
		return err
	}
	chosen, err := choose(part.Plan, []string{name})
	if err != nil {
		return a.notThere(part, err)
	}
	s := &skipping{app: a, flags: f, plan: part.Plan, pipeline: chosen[0], at: at}
	if !s.pipeline.Reads(at.Topic) {
		hint := ""
		if near := diag.Nearest(at.Topic, s.pipeline.Source.Topics); near != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", near)
		}
		return usageError{fmt.Errorf("pipeline %q does not read topic %q%s", name, at.Topic, hint)}
	}
	s.skip = api.Skip{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset}
	s.skip.User, s.skip.Host, _ = whoAmI()
	statuses, err := a.runningOf(ctx, f.pid, name)
	if err != nil {
		return err
	}
	if len(statuses) > 0 {
		return s.inProcess(ctx, statuses)
	}
	return s.nowhere(ctx)
}

// runningOf asks the processes on the state folder that run a pipeline how they fare; one
// of those that does not answer is an error.
func (a *app) runningOf(ctx context.Context, pid int, pipeline string) ([]api.Status, error) {
	runs, err := a.processes(pid)
	if err != nil {
		return nil, err
	}
	var all []api.Status
	for _, run := range runs {
		if !slices.Contains(run.Pipelines, pipeline) {
			continue
		}
		status, err := statusOf(ctx, run)
		if err != nil {
			return nil, fmt.Errorf("ask process %d: %w", run.PID, err)
		}
		status.Pipelines = slices.DeleteFunc(status.Pipelines, func(p api.PipelineStatus) bool {
			return p.Name != pipeline
		})
		if len(status.Pipelines) > 0 {
			all = append(all, status)
		}
	}
	return all, nil
}

// skipping is one skip on its way.
type skipping struct {
	app      *app
	flags    skipFlags
	plan     *plan.Plan
	pipeline *plan.Pipeline
	at       idempotency.Origin
	skip     api.Skip
}

// inProcess asks the process that stands at the record to go past it.
func (s *skipping) inProcess(ctx context.Context, statuses []api.Status) error {
	none := &api.NotStandingError{Pipeline: s.pipeline.Name, Place: s.at.String()}
	has := false
	for _, status := range statuses {
		p := status.Pipelines[0]
		if i := slices.IndexFunc(p.Skipped, s.skip.Same); i >= 0 {
			return s.say(api.SkipAnswer{Pipeline: p.Name, Skip: p.Skipped[i], State: p.State})
		}
		if slices.ContainsFunc(p.Standing, func(at api.Standing) bool { return at.Place() == s.at.String() }) {
			return s.ask(ctx, status.PID)
		}
		none.Standing, none.Waits = append(none.Standing, p.Standing...), append(none.Waits, p.Reasons...)
		has = has || slices.ContainsFunc(p.Partitions, func(part kafka.PartitionStatus) bool {
			return part.Topic == s.at.Topic && part.Partition == s.at.Partition
		})
	}
	if !has {
		return fmt.Errorf("%w; what runs on %s does not have %s/%d: where another replica does, skip it with the "+
			"state folder of that one", none, s.app.state(), s.at.Topic, s.at.Partition)
	}
	return none
}

// ask archives the record and has a process go past it.
func (s *skipping) ask(ctx context.Context, pid int) (err error) {
	c, err := s.app.look(ctx, s.plan, s.flags.pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	log, err := s.app.clientLogger()
	if err != nil {
		return err
	}
	topics := preview.Topics{Settings: c.settings, Admin: c.admin, Deps: kafka.Deps{Logger: log},
		Largest: s.pipeline.Source.MaxRecordBytes, OnRead: func(int) {}}
	rec, err := topics.One(ctx, s.at.Topic, s.at.Partition, s.at.Offset)
	if err := s.archive(rec, err); err != nil {
		return err
	}
	runs, err := s.app.processes(pid)
	if err != nil {
		return err
	}
	client := api.Dial(runs[0].Socket)
	defer client.Close()
	answer, err := client.Skip(ctx, s.pipeline.Name, s.skip)
	if err != nil {
		return fmt.Errorf("ask process %d: %w (it is in %s all the same)", pid, err, s.flags.archive)
	}
	return s.say(answer)
}

// archive writes the record to the end of the archive, durably. Of one that can't be read
// it writes where it lies and why.
func (s *skipping) archive(rec *handlers.Record, err error) error {
	var line []byte
	unreadable, ok := errors.AsType[*preview.UnreadableError](err)
	switch {
	case err == nil:
		line = handlers.AppendJSON(nil, rec)
	case ok:
		line, err = json.Marshal(struct {
			Topic      string `json:"topic"`
			Partition  int32  `json:"partition"`
			Offset     int64  `json:"offset"`
			Unreadable string `json:"unreadable"`
		}{s.at.Topic, s.at.Partition, s.at.Offset, s.app.redactor.Shown(unreadable.Error())})
	}
	if err != nil {
		return err
	}
	s.skip.Archive = absolutePath(s.flags.archive)
	if err := appendLine(s.flags.archive, line); err != nil {
		return fmt.Errorf("write the record to %s, before anything else: %w", s.flags.archive, err)
	}
	return nil
}

// say tells what became of it.
func (s *skipping) say(answer api.SkipAnswer) error {
	if s.flags.format == "json" {
		return json.NewEncoder(s.app.out).Encode(answer)
	}
	if !answer.Changed {
		fmt.Fprintf(s.app.out, "%s: %s is %s already\n", s.pipeline.Name, s.at, answer.Skip)
		return nil
	}
	fmt.Fprintf(s.app.out, "%s: goes past %s, which is written to %s and ends as dropped, reason skipped; it is %s\n",
		s.pipeline.Name, s.at, s.flags.archive, cmp.Or(answer.State, "not running, and the next run does so"))
	return nil
}

// now is when a skip is made that no process notes.
func (s *skipping) now() api.Skip {
	skip := s.skip
	skip.At = time.Now().UTC()
	return skip
}
