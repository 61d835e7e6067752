package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
)

// explainFlags are those of `millrace explain`.
type explainFlags struct {
	at      string
	where   string
	last    int
	since   string
	until   string
	noStore bool
	format  string
	pid     int
}

func (a *app) explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use: "explain [PIPELINE]", Short: "Why one record ended as it did: each step, its value, its key, its dead " +
			"letter",
		Long: `Explain takes one record, by its place or the newest for which an expression
holds, and shows for each pipeline that reads it: every step of the decision with
the parts of the record that it used and what came of it; the state of its keys in
the store; what the group has committed; and its dead letters. The steps are those
of the configuration as it is now. Explain changes no offset, key, topic or
record; where no process runs, the embedded broker tidies the files of its own
folder. The place of a dead letter stands for the record that it was made of.`,
		Example: `  millrace explain --at order_invoices/3/120
  millrace explain invoice-notifications --where 'payload.order_id == "o-1"'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			switch {
			case f.at == "" && f.where == "":
				return usageError{errors.New("explain needs a record: --at topic/partition/offset, or --where EXPR")}
			case f.at != "" && (f.where != "" || f.since != "" || f.until != "" || cmd.Flags().Changed("last")):
				return usageError{errors.New("--at names one record; it excludes --where, -n, --since and --until")}
			}
			return a.explain(ctx, args, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.at, "at", "", "the record's place: topic/partition/offset")
	flags.StringVar(&f.where, "where", "", "the newest records for which this expression holds")
	flags.IntVarP(&f.last, "last", "n", 1, "with --where: how many")
	flags.StringVar(&f.since, "since", "", "with --where: look at records from a `TIME` on: "+timeForms)
	flags.StringVar(&f.until, "until", "", "with --where: look at records before a `TIME`")
	flags.BoolVar(&f.noStore, "no-store", false, "look no keys up")
	flags.StringVar(&f.format, "format", "text", "text or json")
	flags.IntVar(&f.pid, "pid", 0, "which process, where several run")
	return cmd
}

func (a *app) explain(ctx context.Context, args []string, f explainFlags) (err error) {
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
	var at idempotency.Origin
	if f.at != "" {
		if at, err = parsePlace(f.at); err != nil {
			return usageError{fmt.Errorf("--at: %w", err)}
		}
	}
	blocks := []diag.Path{"kafka", "idempotency"}
	if len(args) > 0 {
		blocks = append(blocks, pipelinePath(args))
	}
	part, err := a.loadPart(only(blocks...))
	if err != nil {
		return err
	}
	chosen, err := a.sound(part, args)
	if err != nil {
		return err
	}
	plan := part.Plan
	c, err := a.look(ctx, plan, f.pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	x := &explaining{app: a, flags: f, plan: plan, chosen: chosen, cluster: c}
	if err := x.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close(ctx)) }()
	if f.at != "" {
		return x.one(ctx, at)
	}
	return x.search(ctx, window, where)
}

// parsePlace reads topic/partition/offset.
func parsePlace(text string) (idempotency.Origin, error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 && parts[0] != "" {
		partition, err1 := strconv.ParseInt(parts[1], 10, 32)
		offset, err2 := strconv.ParseInt(parts[2], 10, 64)
		if err1 == nil && err2 == nil && partition >= 0 && offset >= 0 {
			return idempotency.Origin{Topic: parts[0], Partition: int32(partition), Offset: offset}, nil
		}
	}
	return idempotency.Origin{}, fmt.Errorf("a record's place is topic/partition/offset, such as orders/0/42, not %q",
		text)
}

// explaining is one explanation on its way.
type explaining struct {
	app     *app
	flags   explainFlags
	plan    *plan.Plan
	chosen  []*plan.Pipeline
	cluster *cluster

	keys     keys.Reader
	preview  *preview.Preview
	topics   preview.Topics
	statuses []api.Status
	progress *progress
	shown    int
}

func (x *explaining) open(ctx context.Context) error {
	log, err := x.app.clientLogger()
	if err != nil {
		return err
	}
	guarded := slices.ContainsFunc(x.chosen, func(p *plan.Pipeline) bool { return p.Idempotency != nil })
	if guarded && !x.flags.noStore {
		if x.keys, err = keys.NewReader(x.plan.Store, x.app.state(), log); err != nil {
			return fmt.Errorf("%w; --no-store goes on without it", err)
		}
	}
	ids, err := topicIDs(ctx, x.cluster.admin)
	if err != nil {
		return err
	}
	x.progress = x.app.newProgress("read", 0)
	x.topics = preview.Topics{
		Settings: x.cluster.settings, Admin: x.cluster.admin, Deps: kafka.Deps{Logger: log},
		OnRead: func(n int) { x.progress.add(n, 0) },
	}
	for _, p := range x.chosen {
		x.topics.Largest = max(x.topics.Largest, p.Source.MaxRecordBytes)
	}
	x.preview, err = preview.New(ctx, x.plan, x.chosen, preview.Deps{
		Version: x.app.version(), Keys: x.keys, Logger: log,
		TopicID: func(topic string) ([16]byte, bool) { id, ok := ids[topic]; return id, ok },
	})
	x.statuses = x.app.running(ctx, x.flags.pid)
	return err
}

func (x *explaining) close(ctx context.Context) error {
	var errs []error
	if x.preview != nil {
		errs = append(errs, x.preview.Close(ctx))
	}
	if x.keys != nil {
		errs = append(errs, x.keys.Close())
	}
	return errors.Join(errs...)
}

// running asks the processes on the state folder how they fare; what does not
// answer is left out.
func (a *app) running(ctx context.Context, pid int) []api.Status {
	runs, err := a.processes(pid)
	if err != nil {
		return nil
	}
	var all []api.Status
	for _, run := range runs {
		if status, err := statusOf(ctx, run); err == nil {
			all = append(all, status)
		}
	}
	return all
}

// one explains the record at a place.
func (x *explaining) one(ctx context.Context, at idempotency.Origin) error {
	reading := x.pipelines(at.Topic)
	isLetter := slices.ContainsFunc(x.plan.Pipelines, func(p *plan.Pipeline) bool { return p.DeadLetter == at.Topic })
	if len(reading) == 0 && !isLetter {
		var known []string
		for _, p := range x.chosen {
			known = append(known, p.Source.Topics...)
		}
		if near := diag.Nearest(at.Topic, known); near != "" {
			return fmt.Errorf("no pipeline here reads topic %q (did you mean %q?)", at.Topic, near)
		}
		return fmt.Errorf("no pipeline here reads topic %q: there is nothing to explain", at.Topic)
	}
	rec, err := x.topics.One(ctx, at.Topic, at.Partition, at.Offset)
	if err != nil {
		return err
	}
	if from, ok := preview.LetterOrigin(rec); ok && len(reading) == 0 {
		fmt.Fprintf(x.app.err, "%s is the dead letter of %s\n", at, from)
		if reading = x.pipelines(from.Topic); len(reading) == 0 {
			return fmt.Errorf("no pipeline here reads topic %q any more", from.Topic)
		}
		if rec, err = x.topics.One(ctx, from.Topic, from.Partition, from.Offset); err != nil {
			return err
		}
	}
	return x.show(ctx, preview.Item{Record: rec, Pipelines: reading})
}

// pipelines are the indexes of the chosen ones that read a topic.
func (x *explaining) pipelines(topic string) []int {
	var all []int
	for i, p := range x.chosen {
		if p.Reads(topic) {
			all = append(all, i)
		}
	}
	return all
}

// search explains the newest records that an expression holds for.
func (x *explaining) search(ctx context.Context, w preview.Window, where *where) error {
	items, read, err := x.topics.Search(ctx, x.chosen, w, where.holds)
	x.progress.done()
	if err != nil {
		return err
	}
	if err := where.failure(); err != nil {
		return err
	}
	if len(items) == 0 {
		return fmt.Errorf("the expression holds for none of %s", count(read, "record"))
	}
	for _, item := range items {
		if err := x.show(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

func (x *explaining) show(ctx context.Context, item preview.Item) error {
	explanations, err := x.preview.Explain(ctx, item)
	if err != nil {
		return fmt.Errorf("%w; --no-store goes on without the key store", err)
	}
	out := bufio.NewWriter(painted(x.app.out))
	for i := range explanations {
		e := &explanations[i]
		if err := x.topics.Complete(ctx, e); err != nil {
			return err
		}
		x.progress.done()
		e.Running(x.statuses)
		skips, err := pipeline.Skips(x.app.state(), e.Pipeline)
		if err != nil {
			return err
		}
		e.Skips(skips)
		if x.flags.format == "json" {
			if _, err := out.Write(append(x.preview.AppendExplanation(nil, e), '\n')); err != nil {
				return err
			}
			continue
		}
		if x.shown++; x.shown > 1 {
			fmt.Fprintln(out)
		}
		if err := x.preview.WriteExplanation(out, x.app.style(), e); err != nil {
			return err
		}
	}
	return out.Flush()
}
