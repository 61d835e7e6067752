package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// replayFlags are those of `millrace replay`.
type replayFlags struct {
	from, to, at, where string
	rate                float64
	max                 int
	forgotten, force    bool
	dryRun              bool
	jobFlags
}

// jobFlags are those of every command that begins a job.
type jobFlags struct {
	id, format string
	yes        bool
	pid        int
}

func (f *jobFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.id, "id", "", "the job's `ID`: one that was interrupted goes on where it was")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().IntVar(&f.pid, "pid", 0, "which process, where several run")
	formatFlag(cmd, &f.format)
}

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay PIPELINE", Short: "Run a window of a pipeline's records again, without doing anything twice",
		Long: `Replay runs the records of a window of time through a pipeline again, beside its live
group, whose offsets it never moves. The keys hold: what was done is not done again,
only gaps are filled. It counts first, and asks.

The window takes records by their timestamp, --to excluded, up to where the logs end
now. A key that is not there although its record is older than keys are remembered
may have been done and forgotten: such records are left out and counted, unless
--forgotten makes their effects. --force makes all effects of the window again, once
per key and replay, under other keys; a pipeline without idempotency always needs it.

It is a job: where a process runs the pipeline on this state folder, that one does the
work, else the command itself. With the same --id again it goes on where an
interruption or a kill left it. It exits 0 once it is finished, also where records
were dead-lettered, 1 where it failed or was cancelled, and 2 where the window is
wrong, or nobody could say yes.`,
		Example: `  millrace replay invoice-notifications --from 2026-01-31 --to 2026-02-01
  millrace replay invoice-notifications --from -2h --where 'payload.total > 100' --dry-run
  millrace replay invoice-notifications --from earliest --yes
  millrace replay invoice-notifications --at orders/3/1042 --force`,
		Args: onePipeline,
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := askedFlags(cmd)
			if err != nil {
				return err
			}
			return a.replay(cmd.Context(), args[0], f, asked)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "from this `TIME` on: "+timeForms)
	flags.StringVar(&f.to, "to", "", "up to this `TIME`, excluded (default: where the logs end now)")
	flags.StringVar(&f.at, "at", "", "one record, instead of a window: `TOPIC/PARTITION/OFFSET`")
	flags.StringVar(&f.where, "where", "", "only records for which this `EXPRESSION` holds")
	flags.Float64Var(&f.rate, "rate", 0, "at most that many records a second reach a sink (default the pipeline's "+
		"rate_limit)")
	flags.IntVar(&f.max, "max", 0, "at most that many records")
	flags.BoolVar(&f.forgotten, "forgotten", false, "also make effects whose keys may be forgotten")
	flags.BoolVar(&f.force, "force", false, "make the effects again that are done, once per key and replay")
	flags.BoolVar(&f.dryRun, "dry-run", false, "decide and look the keys up, and do nothing")
	f.addTo(cmd)
	return cmd
}

// askedFlags are the flags that say what a job is, as they were given. One that says
// nothing, as of a variable that is not set, is an error: it would mean no bound.
func askedFlags(cmd *cobra.Command) (string, error) {
	var parts []string
	var wrong error
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Changed {
			return
		}
		value := f.Value.String()
		switch f.Name {
		case "rate", "max", "max-rounds":
			if n, err := strconv.ParseFloat(value, 64); err != nil || !(n > 0) || math.IsInf(n, 0) {
				wrong = cmp.Or(wrong, error(usageError{fmt.Errorf("--%s is a number above 0, not %s", f.Name, value)}))
			}
		case "pid", "yes", "format", "dry-run":
			return
		}
		if value == "" {
			wrong = cmp.Or(wrong,
				error(usageError{fmt.Errorf("--%s is empty: leave it out, or say what is meant", f.Name)}))
		}
		switch {
		case f.Name == "id":
		case f.Value.Type() == "bool":
			parts = append(parts, "--"+f.Name)
		default:
			parts = append(parts, "--"+f.Name+" "+shellWord(value))
		}
	})
	return strings.Join(parts, " "), wrong
}

// shellWord is a word as a shell takes it.
func shellWord(word string) string {
	if word != "" && strings.Trim(word, plainCharacters) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

const plainCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,+@[]"

// replay counts, asks, and has it done.
func (a *app) replay(ctx context.Context, name string, f replayFlags, asked string) (err error) {
	window, err := f.window(time.Now())
	if err != nil {
		return err
	}
	j, err := a.openJob(ctx, name, f.jobFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	if f.id != "" && !f.dryRun {
		begin := ""
		if f.from == "" && f.at == "" {
			begin = "say from when on: --from"
		}
		if again, err := j.resume(ctx, api.Replay, asked, begin); again || err != nil {
			return err
		}
	}
	if f.from == "" && f.at == "" {
		return usageError{errors.New("say from when on: --from earliest, --from 2026-01-31, --from -2h; or --at for " +
			"one record")}
	}
	job := jobs.New(api.Replay, name, j.by)
	job.From, job.To, job.Where, job.Rate, job.Force, job.Forgotten, job.Asked =
		window.From, window.To, f.where, f.rate, f.force, f.forgotten, asked
	if f.id != "" {
		job.ID = f.id
	}
	if err := job.Check(); err != nil {
		return usageError{err}
	}
	var where *jobs.Where
	if f.where != "" {
		if where, err = jobs.NewWhere(j.pipeline, f.where); err != nil {
			return usageError{fmt.Errorf("--where: %w", err)}
		}
		window.Where = where.Holds
	}
	r := &replaying{jobCommand: j, flags: f, window: window, job: job}
	return r.run(ctx, where)
}

// window is what the flags say is to be run again.
func (f *replayFlags) window(now time.Time) (jobs.Window, error) {
	w := jobs.Window{Max: f.max}
	wrong := func(format string, args ...any) (jobs.Window, error) {
		return w, usageError{fmt.Errorf(format, args...)}
	}
	if f.at != "" {
		if f.from != "" || f.to != "" || f.where != "" {
			return wrong("--at is one record: it excludes --from, --to and --where")
		}
		place, err := parsePlace(f.at)
		if err != nil {
			return wrong("--at: %w", err)
		}
		at := jobs.At(place)
		w.At = &at
		return w, nil
	}
	if f.from == "" {
		return w, nil
	}
	from, err := parseTime(f.from, now)
	if err != nil {
		return wrong("--from: %w", err)
	}
	if from.After(now) {
		return wrong("--from %s lies in the future", f.from)
	}
	if f.from != "earliest" {
		w.From = from
	}
	if f.to == "" || f.to == "latest" {
		return w, nil
	}
	if w.To, err = parseTime(f.to, now); err != nil {
		return wrong("--to: %w", err)
	}
	if w.To.After(now) {
		return wrong("--to %s lies in the future; without --to the window ends where the logs end now", f.to)
	}
	if !w.From.Before(w.To) || f.to == "earliest" {
		return wrong("the window ends before it begins: --from %s, --to %s", f.from, f.to)
	}
	return w, nil
}

// replaying is a replay on its way.
type replaying struct {
	*jobCommand
	flags  replayFlags
	window jobs.Window
	job    api.Job
	// effects is how many there would be, where that was counted.
	effects int
}

func (r *replaying) run(ctx context.Context, where *jobs.Where) error {
	shown := r.app.newProgress("counted", 0)
	counter := &jobs.Counter{Plan: r.pipeline, Settings: r.cluster.settings, Admin: r.cluster.admin,
		Deps: kafka.Deps{Logger: r.log}, OnRead: func(n int) { shown.add(n, 0) }}
	var tries *replayTries
	unknown := r.pipeline.Idempotency == nil && !r.job.Force
	if r.flags.dryRun || r.job.Force || unknown {
		var err error
		if tries, err = r.tries(ctx); err != nil {
			return err
		}
		defer func() { _ = tries.preview.Close(ctx) }()
		counter.Each = tries.add
	}
	counted, err := counter.Count(ctx, r.window)
	shown.done()
	if err != nil {
		if r.window.At != nil && !errors.Is(err, context.Canceled) && errors.As(err, new(*jobs.NoRecordError)) {
			return usageError{err}
		}
		return err
	}
	if where != nil {
		if n, first := where.Failed(); n > 0 {
			fmt.Fprintf(r.app.err, "--where failed for %s, which are left out; the first: %v\n", count(n, "record"),
				first)
		}
	}
	if tries != nil {
		if r.effects, err = tries.end(); err != nil {
			return err
		}
	}
	r.say(counted)
	if unknown && counted.Records > 0 {
		return usageError{fmt.Errorf("pipeline %q has no idempotency: nothing tells what was done, so that %s would "+
			"be made again; --force makes them", r.name, count(r.effects, "effect"))}
	}
	if r.flags.dryRun {
		return tries.say(counted)
	}
	if counted.Records == 0 {
		if r.flags.format == "json" {
			return json.NewEncoder(r.app.out).Encode(api.JobStatus{Job: r.job, State: api.JobFinished,
				Counts: map[string]int64{}})
		}
		return nil
	}
	if err := r.agree("run again"); err != nil {
		return err
	}
	r.job.Records = counted.Records
	return r.do(ctx, api.StartJob{Job: r.job, Spans: counted.Spans()})
}

// say shows what the window holds.
func (r *replaying) say(c *jobs.Counted) {
	out := r.app.err
	if c.Records == 0 {
		fmt.Fprintln(out, "no record matches: there is nothing to run again")
	} else {
		fmt.Fprintf(out, "%s: %s from %s to %s\n", r.name, count(c.Records, "record"), stamp(c.Oldest), stamp(c.Newest))
		sayParts(out, c.Parts)
	}
	for _, p := range c.Parts {
		if !p.Cut.IsZero() {
			fmt.Fprintf(out, "  ! %s/%d holds records from %s (offset %d) on only: earlier ones are gone\n", p.Topic,
				p.Partition, stamp(p.Cut), p.From)
		}
	}
	if guard := r.pipeline.Idempotency; guard != nil && c.Old > 0 && !r.job.Force {
		then := "where a key is forgotten, the record is left out, unless --forgotten is given"
		if r.job.Forgotten {
			then = "where a key is forgotten, the effect is made again"
		}
		fmt.Fprintf(out, "  ! %s older than keys are remembered (ttl %s): %s\n", are(c.Old, "record"),
			yamlconf.FormatDuration(guard.TTL), then)
	}
	if r.job.Force && c.Records > 0 {
		fmt.Fprintf(out, "  ! --force: %s made again, whether or not they were made before\n",
			are(r.effects, "effect"))
	}
}

// are is count with its verb.
func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return count(n, noun) + " are"
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// pipelineOf is a pipeline of a plan, which a job needs whole.
func pipelineOf(p *plan.Plan, name string) *plan.Plan {
	own := *p
	own.Pipelines, own.Ingest = nil, nil
	for _, each := range p.Pipelines {
		if each.Name == name {
			own.Pipelines = []*plan.Pipeline{each}
		}
	}
	return &own
}
