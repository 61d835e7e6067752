package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// deadLetterFlags are those of `millrace dead-letter list` and show.
type deadLetterFlags struct {
	letterFilter
	last   int
	format string
	pid    int
}

// letterFilter are the flags that choose among open letters.
type letterFilter struct {
	reasons, stages, sinks []string
	since, until, where    string
	round                  int
}

func (f *letterFilter) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.reasons, "reason", nil, "only letters with this `REASON`")
	flags.StringArrayVar(&f.stages, "stage", nil, "only letters of the `STAGE` that failed, such as write")
	flags.StringArrayVar(&f.sinks, "sink", nil, "only letters of this sink; - for none")
	flags.StringVar(&f.since, "since", "", "only what failed last from a `TIME` on: "+timeForms)
	flags.StringVar(&f.until, "until", "", "only what failed last before a `TIME`")
	flags.StringVar(&f.where, "where", "", "only letters for whose record this `EXPRESSION` holds")
	flags.IntVar(&f.round, "round", 0, "only letters of this round; the first is 1")
}

// check tells what is wrong with what was given.
func (f *letterFilter) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("round") && f.round < 1 {
		return usageError{errors.New("--round counts from 1")}
	}
	return nil
}

// names are the sinks as letters name them.
func (f *letterFilter) names() []string {
	names := slices.Clone(f.sinks)
	for i, sink := range names {
		if sink == noSink {
			names[i] = ""
		}
	}
	return names
}

func (a *app) deadLetterCommand() *cobra.Command {
	var f deadLetterFlags
	deadLetter := &cobra.Command{
		Use: "dead-letter", Short: "Look at dead letters, send them again, or discard them",
		Long: `Dead-letter is about the records of a pipeline that could not be delivered, in its
dead-letter topic: list and show look at them and change nothing, redrive sends them
again, and discard ends those that nobody has a use for.`,
		Args: knownCommand,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("dead-letter takes list, show, redrive or discard")}
		},
	}
	deadLetter.PersistentFlags().IntVar(&f.pid, "pid", 0, "which process, where several run")
	list := &cobra.Command{
		Use: "list PIPELINE", Short: "Count the open dead letters by reason and sink, and list the newest",
		Long: `List counts a pipeline's open dead letters by sink, stage and reason, and lists the
newest of them, newest last. A letter is open where it is the latest of its record
and sink and was not resolved. Filters choose among the open letters, and all of
them must hold. --reason, --stage and --sink may be repeated, and then any of the
values will do; --sink - means records that were not decided.

--where sees the record as its source had it: payload, key, headers, topic,
partition, offset, timestamp and value. --since and --until are about when a
record failed last.

With --format json each line is a letter with its record, in the order of the
partitions; the counts then go to standard error.`,
		Example: `  millrace dead-letter list invoice-notifications
  millrace dead-letter list invoice-notifications --reason refused --since -2h -n 100
  millrace dead-letter list invoice-notifications --where 'payload.total > 100'
  millrace dead-letter list invoice-notifications -n -1 --format json | jq -r .record.key`,
		Args: onePipeline,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if err := f.check(cmd); err != nil {
				return err
			}
			return a.deadLetterList(ctx, args[0], f)
		},
	}
	f.addTo(list)
	list.Flags().IntVarP(&f.last, "last", "n", 20, "list that many of the newest; -1 lists all")
	show := &cobra.Command{
		Use: "show PIPELINE ID...", Short: "Show all of dead letters: errors, headers, key and value",
		Long: `Show shows all that is known of dead letters, by their ids: where the record came
from, what failed and how often, the first and the last error, what became of the
letter, and the record's headers, key and value. Of a part that was too large for
the letter it says where it is found. A letter's id is partition/offset, as list
and explain show it.`,
		Example: `  millrace dead-letter show invoice-notifications 0/12
  millrace dead-letter show invoice-notifications 0/12 3/4 --format json`,
		Args: pipelineAndIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return a.deadLetterShow(ctx, args[0], args[1:], f)
		},
	}
	for _, cmd := range []*cobra.Command{list, show} {
		formatFlag(cmd, &f.format)
	}
	for _, cmd := range []*cobra.Command{list, show, a.redriveCommand(), a.discardCommand()} {
		deadLetter.AddCommand(cmd)
		usageArgs(cmd)
	}
	return deadLetter
}

// onePipeline takes the name of a pipeline.
func onePipeline(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("it takes one pipeline, and was given %s", count(len(args), "argument"))
	}
	return nil
}

// pipelineAndIDs takes a pipeline and the ids of letters.
func pipelineAndIDs(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("it takes a pipeline and the ids of dead letters, and was given no argument")
	case 1:
		return fmt.Errorf("it takes a pipeline and the ids of dead letters, and was given only %q; "+
			"`millrace dead-letter list %s` shows the ids", args[0], args[0])
	}
	return nil
}

func (a *app) deadLetterList(ctx context.Context, name string, f deadLetterFlags) (err error) {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	window, err := parseWindow(f.last, f.since, f.until)
	if err != nil {
		return err
	}
	where, err := a.where(f.where)
	if err != nil {
		return err
	}
	query := jobs.Query{
		Reasons: f.reasons, Stages: f.stages, Sinks: f.names(), Round: f.round, Newest: f.last,
		Until: window.Until,
	}
	if f.since != "" {
		query.Since = window.Since
	}
	if f.where != "" {
		query.Where = where.holds
	}
	l, err := a.openLetters(ctx, name, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	listing, err := l.List(ctx, query)
	l.progress.done()
	if err != nil {
		return err
	}
	if err := where.failure(); err != nil {
		return err
	}
	if f.format == "json" {
		if !a.quiet {
			if err := l.printCounts(a.err, listing); err != nil {
				return err
			}
		}
		out := bufio.NewWriter(a.out)
		err := l.Each(ctx, listing.Found, l.printJSON(out))
		return errors.Join(err, out.Flush())
	}
	if err := l.printCounts(a.out, listing); err != nil {
		return err
	}
	return l.printList(ctx, listing)
}

func (a *app) deadLetterShow(ctx context.Context, name string, args []string, f deadLetterFlags) (err error) {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	l, err := a.openLetters(ctx, name, f, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	out := bufio.NewWriter(painted(a.out))
	visit := l.printJSON(out)
	if f.format == "text" {
		visit = l.printAll(out)
	}
	err = l.Show(ctx, l.ids, visit)
	return errors.Join(out.Flush(), err)
}

// lookingAtLetters is a command that looks at a pipeline's dead letters.
type lookingAtLetters struct {
	jobs.Letters
	app      *app
	plan     *plan.Plan
	ids      []jobs.ID
	progress *progress
	close    func() error
}

// openLetters finds a pipeline's dead letters; args are ids of some.
func (a *app) openLetters(
	ctx context.Context, name string, f deadLetterFlags, args ...string,
) (*lookingAtLetters, error) {
	part, err := a.loadPart(only("kafka", "idempotency", pipelinePath([]string{name}).Field("dead_letter")))
	if err != nil {
		return nil, err
	}
	chosen, err := choose(part.Plan, []string{name})
	if err != nil {
		return nil, a.notThere(part, err)
	}
	p := chosen[0]
	if p.DeadLetter == "" {
		return nil, usageError{fmt.Errorf("pipeline %q has no dead letters: its dead_letter is off", name)}
	}
	l := &lookingAtLetters{app: a, plan: part.Plan}
	for _, arg := range args {
		id, err := jobs.ParseID(strings.TrimPrefix(arg, p.DeadLetter+"/"))
		if err != nil {
			return nil, usageError{err}
		}
		l.ids = append(l.ids, id)
	}
	log, err := a.clientLogger()
	if err != nil {
		return nil, err
	}
	c, err := a.look(ctx, part.Plan, f.pid)
	if err != nil {
		return nil, err
	}
	if err := c.ensureTopic(ctx, p.DeadLetter, false); err != nil {
		return nil, errors.Join(err, c.close())
	}
	l.close, l.progress = c.close, a.newProgress("read", 0)
	l.Letters = jobs.Letters{
		Pipeline: name, Topic: p.DeadLetter, Resolved: p.ResolvedLetters(),
		Settings: c.settings, Admin: c.admin, Deps: kafka.Deps{Logger: log},
		Largest: p.Source.MaxRecordBytes, OnRead: func(n int) { l.progress.add(n, 0) },
	}
	return l, nil
}
