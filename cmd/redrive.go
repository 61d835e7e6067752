package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/outcome"
)

// redriveFlags are those of `millrace dead-letter redrive`.
type redriveFlags struct {
	lettersFlags
	rate      float64
	maxRounds int
	exhausted bool
}

// lettersFlags are those of the commands that begin a job about dead letters.
type lettersFlags struct {
	letterFilter
	all bool
	max int
	jobFlags
	// asked are all of them as they were given, with the ids.
	asked string
	// dryRun is redrive's.
	dryRun bool
}

func (f *lettersFlags) addTo(cmd *cobra.Command) {
	f.letterFilter.addTo(cmd)
	cmd.Flags().BoolVar(&f.all, "all", false, "all open letters of the pipeline")
	cmd.Flags().IntVar(&f.max, "max", 0, "at most that many letters, the oldest")
	f.jobFlags.addTo(cmd)
}

// maxRounds is how many rounds a letter goes unless somebody says more.
const maxRounds = 3

func (a *app) redriveCommand() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use: "redrive PIPELINE [ID...]", Short: "Send dead letters again, each to the sink that it is of",
		Long: `Redrive sends open dead letters of a pipeline again: those of the ids that are given,
those that filters choose, or with --all every one. It counts first, and asks.

A letter of a sink goes to that sink alone, with the transform and the request of
today's file, and with its idempotency key and Idempotency-Key of old; the filter and
conditions are not asked again. A record that could not be decided is decided anew.
What fails again becomes a letter of the next round; what has been in more than
--max-rounds is left alone, unless --exhausted.

What became of each stands in the topic <dead-letter topic>.resolved, so that a letter
is sent once, from whatever machine it is asked for. It is a job as a replay is: where a
process runs the pipeline on this state folder, that one does the work, else the
command itself, and with the same --id again it goes on where an interruption or a
kill left it. It exits 0 once it is finished, also where letters failed again, 1 where
it failed or was cancelled, and 2 where nobody could say yes.`,
		Example: `  millrace dead-letter redrive invoice-notifications --reason refused --dry-run
  millrace dead-letter redrive invoice-notifications --reason refused --since -2h
  millrace dead-letter redrive invoice-notifications 0/12 3/4 --yes
  millrace dead-letter redrive invoice-notifications --all --rate 50 --max 1000`,
		Args: pipelineThenIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.read(cmd, args[1:]); err != nil {
				return err
			}
			return a.redrive(cmd.Context(), args[0], args[1:], f)
		},
	}
	f.addTo(cmd)
	flags := cmd.Flags()
	flags.Float64Var(&f.rate, "rate", 0, "at most that many letters a second reach a sink (default the pipeline's "+
		"rate_limit)")
	flags.IntVar(&f.maxRounds, "max-rounds", maxRounds, "leave alone what has been in more rounds")
	flags.BoolVar(&f.exhausted, "exhausted", false, "also send what has been in more rounds than that")
	flags.BoolVar(&f.dryRun, "dry-run", false, "decide and look the keys up, and do nothing")
	return cmd
}

// pipelineThenIDs takes a pipeline, and perhaps ids of letters.
func pipelineThenIDs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("it takes a pipeline, and perhaps the ids of dead letters, and was given no argument")
	}
	return nil
}

// redrive counts, asks, and has it done.
func (a *app) redrive(ctx context.Context, name string, ids []string, f redriveFlags) (err error) {
	r, err := a.openRedrive(ctx, api.Redrive, name, ids, f.lettersFlags)
	if r != nil {
		defer func() { err = errors.Join(err, r.close()) }()
	}
	if err != nil || r.resumed {
		return err
	}
	r.job.Rate = f.rate
	if !f.exhausted {
		r.job.Letters.MostRounds = f.maxRounds
	}
	found, n, spans, err := r.count(ctx)
	if err != nil || n == 0 {
		return err
	}
	if f.dryRun {
		return r.dryRun(ctx, found, spans)
	}
	if err := r.agree("send " + count(n, "dead letter") + " again"); err != nil {
		return err
	}
	return r.do(ctx, api.StartJob{Job: r.job, Spans: spans})
}

// redriving is a redrive, or a discard, on its way.
type redriving struct {
	*jobCommand
	flags   lettersFlags
	letters *lookingAtLetters
	job     api.Job
	// resumed tells that it was a job to go on with, and was.
	resumed bool
}

// openRedrive reads what was chosen, or goes on with the job of the id that was given.
// What it returns is to be closed, also with an error.
func (a *app) openRedrive(ctx context.Context, kind api.JobKind, name string, ids []string, f lettersFlags) (
	*redriving, error) {
	job, err := f.job(kind, name, ids)
	if err != nil {
		return nil, err
	}
	j, err := a.openJob(ctx, name, f.jobFlags)
	if err != nil {
		return nil, err
	}
	job.By = j.by
	r := &redriving{jobCommand: j, flags: f, job: job}
	begin := ""
	if !f.chooses(ids) {
		begin = "say which letters: --all, ids, or a filter such as --reason"
	}
	if f.id != "" && !f.dryRun {
		r.resumed, err = j.resume(ctx, kind, f.asked, begin)
		if r.resumed || err != nil {
			return r, err
		}
		r.job.ID = f.id
	}
	if begin != "" {
		return r, usageError{errors.New(begin)}
	}
	if err := r.job.Check(); err != nil {
		return r, usageError{err}
	}
	p := j.pipeline
	if p.DeadLetter == "" {
		return r, usageError{fmt.Errorf("pipeline %q has no dead letters: its dead_letter is off", name)}
	}
	if err := j.cluster.ensureTopic(ctx, p.DeadLetter, false); err != nil {
		return r, err
	}
	r.letters = &lookingAtLetters{app: a, plan: j.plan, progress: a.newProgress("read", 0)}
	r.letters.Letters = jobs.Letters{
		Pipeline: name, Topic: p.DeadLetter, Resolved: p.ResolvedLetters(),
		Settings: j.cluster.settings, Admin: j.cluster.admin, Deps: kafka.Deps{Logger: j.log},
		Largest: p.Source.MaxRecordBytes, OnRead: func(n int) { r.letters.progress.add(n, 0) },
	}
	return r, nil
}

// read checks the flags, and notes what was asked; ids are those of letters.
func (f *lettersFlags) read(cmd *cobra.Command, ids []string) (err error) {
	if err := f.check(cmd); err != nil {
		return err
	}
	f.asked, err = askedFlags(cmd)
	f.asked = strings.TrimSpace(strings.Join(ids, " ") + " " + f.asked)
	return err
}

// chooses tells whether anything says which letters.
func (f *lettersFlags) chooses(ids []string) bool {
	return f.all || len(ids) > 0 || f.filters()
}

func (f *lettersFlags) filters() bool {
	return len(f.reasons)+len(f.stages)+len(f.sinks) > 0 || f.since+f.until+f.where != "" || f.round > 0
}

// job is what the flags say is to be done.
func (f *lettersFlags) job(kind api.JobKind, name string, ids []string) (api.Job, error) {
	job := jobs.New(kind, name, "")
	switch {
	case f.all && (len(ids) > 0 || f.filters()), len(ids) > 0 && f.filters():
		return job, usageError{errors.New("--all, ids and filters exclude each other")}
	}
	window, err := parseWindow(-1, f.since, f.until)
	if err != nil {
		return job, err
	}
	if f.since != "" {
		job.From = window.Since
	}
	job.To, job.Where = window.Until, f.where
	job.Letters = &api.LetterChoice{Reasons: f.reasons, Stages: f.stages, Sinks: f.names(), Round: f.round}
	job.Letters.IDs, job.Asked = slices.Clone(ids), f.asked
	return job, nil
}

// count shows what was chosen, and returns where it lies: n letters.
func (r *redriving) count(ctx context.Context) (found *jobs.Listing, n int, spans []api.Span, err error) {
	for i, id := range r.job.Letters.IDs {
		parsed, err := jobs.ParseID(strings.TrimPrefix(id, r.letters.Topic+"/"))
		if err != nil {
			return nil, 0, nil, usageError{err}
		}
		r.job.Letters.IDs[i] = parsed.String()
	}
	var where *jobs.Where
	if r.job.Where != "" {
		if where, err = jobs.NewWhere(r.pipeline, r.job.Where); err != nil {
			return nil, 0, nil, usageError{fmt.Errorf("--where: %w", err)}
		}
	}
	query, err := jobs.QueryOf(r.job, r.pipeline, where)
	if err != nil {
		return nil, 0, nil, usageError{err}
	}
	found, err = r.letters.List(ctx, query)
	r.letters.progress.done()
	if err != nil {
		return nil, 0, nil, err
	}
	if where != nil {
		if n, first := where.Failed(); n > 0 {
			fmt.Fprintf(r.app.err, "--where failed for %s, which are left out; the first: %v\n", count(n, "letter"),
				first)
		}
	}
	spans, n = r.letters.Spans(found, r.flags.max)
	r.job.Records = n
	return found, n, spans, r.say(found, query, n)
}

// say shows what was found, and what of it is left alone.
func (r *redriving) say(found *jobs.Listing, query jobs.Query, n int) error {
	out := r.app.err
	if err := r.letters.printCounts(out, found); err != nil {
		return err
	}
	if found.Exhausted > 0 {
		fmt.Fprintf(out, "! %s left alone: more than %d rounds have failed; --exhausted sends them again\n",
			are(found.Exhausted, "letter"), r.job.Letters.MostRounds)
	}
	for _, sink := range slices.Sorted(maps.Keys(found.Orphans)) {
		fmt.Fprintf(out, "! %s left alone: the pipeline has no sink %q any more\n", are(found.Orphans[sink], "letter"),
			r.letters.plan.Redactor.Shown(sink))
	}
	if query.IDs != nil {
		left := maps.Clone(query.IDs)
		for _, id := range found.Found {
			delete(left, id)
		}
		if gone := len(left) - found.Exhausted - total(found.Orphans); gone > 0 {
			fmt.Fprintf(out, "! %s not open: resolved, or not the latest letter of a record and sink\n",
				are(gone, "id"))
		}
	}
	switch {
	case n == 0:
		fmt.Fprintf(out, "there is nothing to %s\n", r.job.Kind)
	case n < found.Matching:
		fmt.Fprintf(out, "--max: %d of these %d\n", n, found.Matching)
	}
	return nil
}

// sayRedrive says what became of letters that were not simply sent.
func sayRedrive(out io.Writer, s api.JobStatus) {
	if s.State == api.JobFinished && s.Done == 0 {
		fmt.Fprintln(out, "nothing was left to do: all of them were resolved meanwhile")
	}
	if n := s.Counts[string(outcome.DeadLettered)]; n > 0 {
		fmt.Fprintf(out, "%d failed again: each is a letter of the next round now\n", n)
	}
	if n := s.Counts[string(outcome.Duplicate)]; n > 0 {
		fmt.Fprintf(out, "%s done already: another record has done the key meanwhile\n", are(int(n), "letter"))
	}
	if n := s.Counts[outcome.ReasonSourceGone]; n > 0 {
		fmt.Fprintf(out, "%s left as they are: they lack a part of the record, and its source does not hold that "+
			"any more\n", are(int(n), "letter"))
	}
}

func total(counts map[string]int) (n int) {
	for _, each := range counts {
		n += each
	}
	return n
}
