package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/millrace/millrace/pipeline/files"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
)

// dryRunFlags are those of `millrace dry-run`.
type dryRunFlags struct {
	fromTopic bool
	last      int
	since     string
	until     string
	input     string
	noStore   bool
	values    bool
	format    string
	pid       int
}

// The numbers of records that a dry run takes unless it is told otherwise: the
// newest, and the most of a window of time.
const (
	dryRunLast   = 100
	dryRunWindow = 10_000
)

func (a *app) dryRunCommand() *cobra.Command {
	var f dryRunFlags
	cmd := &cobra.Command{
		Use: "dry-run [PIPELINE]", Short: "What a run would do with real records, without doing any of it",
		Long: `Dry-run takes real records and shows what a run would do with each: its outcome
and why, its idempotency key, and every request that a sink would send, secrets
taken out. The decisions are those of a run. It changes no offset, no key, no
topic and no record, and calls no sink. Where no process runs it opens the embedded
broker's folder, and the broker tidies its own files there.

Records come from the topics that the pipelines read (--from-topic, the default:
the newest 100 of each pipeline, more or fewer with -n, or a window of time with
--since and --until), or from a file of records as JSON, one a line (--input).

A record is a duplicate where the key store remembers its key, or where an
earlier record here has the same one. "delivered" takes for granted that the
sinks accept their writes.

With --format json each line is a record and pipeline: pipeline, topic, partition,
offset, outcome, reason, idempotency_key, route (its index) and writes, each with
sink, request, outcome and the id that the receiver sees. Where a record would not
end, outcome is null and halt says why: stop, block (dead_letter is off) or wait
(another process has its key). The summary then goes to standard error.`,
		Example: `  millrace dry-run -n 20
  millrace dry-run invoice-notifications --since 2h
  millrace dry-run --input records.jsonl --format json | jq -c 'select(.outcome == "dead_lettered")'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if !cmd.Flags().Changed("last") {
				f.last = dryRunLast
				if f.since != "" || f.until != "" {
					f.last = dryRunWindow
				}
			}
			topic := f.fromTopic || f.since != "" || f.until != "" || cmd.Flags().Changed("last")
			if f.input != "" && topic {
				return usageError{errors.New("--input excludes --from-topic, -n, --since and --until: records come " +
					"from one of the two")}
			}
			if f.values && f.input == "" {
				return usageError{errors.New("--values says what the lines of --input are")}
			}
			return a.dryRun(ctx, args, f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.fromTopic, "from-topic", false, "take records of the pipelines' topics (the default)")
	flags.IntVarP(&f.last, "last", "n", dryRunLast, "the newest records of each pipeline, -1 for all; with --since "+
		"at most 10000 unless given")
	flags.StringVar(&f.since, "since", "", "take records from a `TIME` on: "+timeForms)
	flags.StringVar(&f.until, "until", "", "take records before a `TIME`")
	flags.StringVar(&f.input, "input", "", "take records as JSON, one a line, from this file; - is stdin")
	flags.BoolVar(&f.values, "values", false, "with --input: each line is a record's value, its bytes as they stand")
	flags.BoolVar(&f.noStore, "no-store", false, "look no keys up: only records here repeat each other")
	flags.StringVar(&f.format, "format", "text", "text or json")
	flags.IntVar(&f.pid, "pid", 0, "which process, where several run")
	return cmd
}

func (a *app) dryRun(ctx context.Context, args []string, f dryRunFlags) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	window, err := parseWindow(f.last, f.since, f.until)
	if err != nil {
		return err
	}
	part, err := a.loadPart(only("kafka", "idempotency", "topics", pipelinePath(args)))
	if err != nil {
		return err
	}
	chosen, err := a.sound(part, args)
	if err != nil {
		return err
	}
	d := &dryRun{app: a, flags: f, plan: part.Plan, chosen: chosen}
	if f.input != "" {
		return d.fromInput(ctx)
	}
	return d.fromTopics(ctx, window)
}

// choose takes the pipeline that is named, or all of them.
func choose(planned *plan.Plan, args []string) ([]*plan.Pipeline, error) {
	if len(args) == 0 {
		return planned.Pipelines, nil
	}
	var names []string
	for _, p := range planned.Pipelines {
		if p.Name == args[0] {
			return []*plan.Pipeline{p}, nil
		}
		names = append(names, p.Name)
	}
	return nil, unknownName("pipeline", args[0], names)
}

func parseWindow(last int, since, until string) (w preview.Window, err error) {
	w.Last = last
	if last == 0 || last < -1 {
		return w, usageError{errors.New("-n takes a number of records from 1 on, or -1 for all")}
	}
	now := time.Now()
	if since != "" {
		if w.Since, err = parseTime(since, now); err != nil {
			return w, usageError{fmt.Errorf("--since: %w", err)}
		}
	}
	if until != "" {
		if w.Until, err = parseTime(until, now); err != nil {
			return w, usageError{fmt.Errorf("--until: %w", err)}
		}
	}
	if since != "" && until != "" && !w.Since.Before(w.Until) {
		return w, usageError{errors.New("--since must lie before --until")}
	}
	if until != "" && since == "" && last < 0 {
		w.Since = earliest()
	}
	return w, nil
}

// dryRun is one dry run on its way.
type dryRun struct {
	app    *app
	flags  dryRunFlags
	plan   *plan.Plan
	chosen []*plan.Pipeline

	preview *preview.Preview
	table   *preview.Table
}

// fromTopics shows what would become of records of the pipelines' topics.
func (d *dryRun) fromTopics(ctx context.Context, w preview.Window) (err error) {
	c, err := d.app.look(ctx, d.plan, d.flags.pid)
	if err != nil {
		return err
	}
	items, dropped, err := d.app.sample(ctx, c, d.chosen, w)
	ids := map[string][16]byte{}
	if err == nil {
		ids, err = topicIDs(ctx, c.admin)
	}
	// What was read is enough: nobody else needs to wait for the folder.
	if err := errors.Join(err, c.close()); err != nil {
		return err
	}
	if dropped > 0 && !w.Since.IsZero() && !d.app.quiet {
		fmt.Fprintf(d.app.err, "the window holds %s more than are shown: -n takes more, -n -1 all\n",
			count(dropped, "record"))
	}
	if err := d.open(ctx, func(topic string) ([16]byte, bool) { id, ok := ids[topic]; return id, ok }); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.preview.Close(ctx)) }()
	for batch := range slices.Chunk(items, 1000) {
		if err := d.show(ctx, batch); err != nil {
			return err
		}
	}
	return d.sum("")
}

// fromInput shows what would become of records of a file.
func (d *dryRun) fromInput(ctx context.Context) (err error) {
	in, name := io.NopCloser(d.app.in), "<stdin>"
	if d.flags.input != "-" {
		name = d.flags.input
		if in, err = files.OpenGiven(name); err != nil {
			return fmt.Errorf("--input: %w", err)
		}
	}
	defer in.Close()
	if err := d.open(ctx, nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.preview.Close(ctx)) }()
	input := preview.NewInput(name, in, d.plan, d.chosen)
	input.Values = d.flags.values
	for {
		items, err := input.Next()
		if shown := d.show(ctx, items); shown != nil {
			return shown
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	note := ""
	if input.Left > 0 {
		note = fmt.Sprintf("left out: %s of topics that only other pipelines read\n", count(input.Left, "record"))
	}
	return d.sum(note)
}

// open makes the preview, with the key store where one is needed and wanted.
func (d *dryRun) open(ctx context.Context, topicID func(string) ([16]byte, bool)) error {
	log, err := d.app.clientLogger()
	if err != nil {
		return err
	}
	deps := preview.Deps{Version: d.app.version(), TopicID: topicID, Logger: log}
	guarded := slices.ContainsFunc(d.chosen, func(p *plan.Pipeline) bool { return p.Idempotency != nil })
	if guarded && !d.flags.noStore {
		if deps.Keys, err = keys.NewReader(d.plan.Store, d.app.state(), log); err != nil {
			return fmt.Errorf("%w; --no-store goes on without it", err)
		}
	}
	if d.preview, err = preview.New(ctx, d.plan, d.chosen, deps); err != nil {
		return err
	}
	if guarded && deps.Keys == nil && !d.app.quiet {
		fmt.Fprintln(d.app.err, "warning: no keys are looked up: what was done before is shown as if it were new")
	}
	d.table = d.preview.NewTable(painted(d.app.out), d.app.style())
	return nil
}

func (d *dryRun) show(ctx context.Context, items []preview.Item) error {
	if len(items) == 0 {
		return nil
	}
	results, err := d.preview.DryRun(ctx, items)
	if err != nil {
		return fmt.Errorf("%w; --no-store goes on without the key store", err)
	}
	if d.flags.format == "text" {
		return d.table.Write(results)
	}
	out := bufio.NewWriter(d.app.out)
	var line []byte
	for i := range results {
		line = append(d.preview.AppendJSON(line[:0], &results[i]), '\n')
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// sum writes the summary, beside what machines read.
func (d *dryRun) sum(note string) error {
	if d.app.quiet {
		return nil
	}
	out := d.app.err
	if d.flags.format == "text" {
		out, note = d.app.out, "\n"+note
	}
	if _, err := io.WriteString(out, note); err != nil {
		return err
	}
	return d.preview.WriteSummary(painted(out), preview.Style{Colour: colour(out)})
}

// style is how text fits the terminal, where there is one.
func (a *app) style() preview.Style {
	style := preview.Style{Colour: colour(a.out)}
	if f, ok := fileOf(a.out); ok && terminal(a.out) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			style.Width = width
		}
	}
	return style
}

// sample reads the window, with progress on a terminal.
func (a *app) sample(ctx context.Context, c *cluster, chosen []*plan.Pipeline, w preview.Window) ([]preview.Item, int,
	error) {
	log, err := a.clientLogger()
	if err != nil {
		return nil, 0, err
	}
	shown := a.newProgress("read", 0)
	defer shown.done()
	topics := preview.Topics{Settings: c.settings, Admin: c.admin, Deps: kafka.Deps{Logger: log},
		OnRead: func(n int) { shown.add(n, 0) }}
	return topics.Sample(ctx, chosen, w)
}

func topicIDs(ctx context.Context, admin *kafka.Admin) (map[string][16]byte, error) {
	topics, err := admin.Topics(ctx)
	ids := map[string][16]byte{}
	for _, t := range topics {
		ids[t.Name] = t.ID
	}
	return ids, err
}
