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

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/state"
)

// oneTopic takes the name of a topic.
func oneTopic(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("it takes one topic, and was given %s", count(len(args), "argument"))
	}
	return nil
}

// tailFlags are those of `millrace tail`.
type tailFlags struct {
	last     int
	from     string
	where    string
	untilEnd bool
	pid      int
}

func (a *app) tailCommand() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use: "tail TOPIC", Short: "Follow a topic: one record as JSON a line",
		Long: `Tail prints the newest records of a topic and follows it, one record as JSON a
line. It belongs to no consumer group and leaves nothing behind.

--where sees a record as a filter does: payload, key, headers, topic, partition,
offset, timestamp and value. Of what -n begins with, it keeps what holds: to
search the whole topic, give -n -1.`,
		Example: `  millrace tail orders
  millrace tail orders -n 100 --until-end
  millrace tail orders --from 15m --where 'payload.total > 100'
  millrace tail orders -n -1 --until-end --where 'key == "o-1"'
  millrace tail orders.dead-letter -n -1 --until-end | jq -r '.headers'`,
		Args: oneTopic,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if f.from != "" && cmd.Flags().Changed("last") {
				return usageError{errors.New("-n and --from exclude each other")}
			}
			return a.tail(ctx, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.IntVarP(&f.last, "last", "n", 10, "begin with that many of the newest records; -1 begins with the first of "+
		"all")
	flags.StringVar(&f.from, "from", "", "begin at a `TIME`: "+timeForms)
	flags.StringVar(&f.where, "where", "", "print only records for which this `EXPRESSION` holds")
	flags.BoolVar(&f.untilEnd, "until-end", false, "stop at the end instead of following")
	flags.IntVar(&f.pid, "pid", 0, "which process, where several run")
	return cmd
}

func (a *app) tail(ctx context.Context, topic string, f tailFlags) (err error) {
	where, err := a.where(f.where)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			return
		}
		if err = where.failure(); err == nil && f.untilEnd && where.seen > 0 && where.kept == 0 && !a.quiet {
			fmt.Fprintf(a.err, "--where holds for none of %s%s\n", count(where.seen, "record"),
				f.searchHint(where.seen))
		}
	}()
	options := kafka.ReadOptions{Follow: !f.untilEnd}
	switch {
	case f.from != "":
		if options.Since, err = parseTime(f.from, time.Now()); err != nil {
			return usageError{fmt.Errorf("--from: %w", err)}
		}
		if options.Since.Equal(earliest()) {
			options.Since = time.Time{} // also what is older than any time that Kafka takes
		}
	case f.last == 0:
		options.Since = time.Now()
	case f.last > 0:
		options.Last = f.last
	}
	for {
		again, err := a.tailOnce(ctx, topic, &options, f.pid, where.holds)
		if err != nil || !again {
			return err
		}
		// Nothing runs on the folder, so nothing is written: holding it would
		// only keep a run from starting.
		for {
			runs, err := a.processes(f.pid)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(runs, func(r state.Run) bool { return r.Broker != "" }) {
				break
			}
			if !pause(ctx) {
				return nil
			}
		}
	}
}

// searchHint says how to look at more than the newest records.
func (f tailFlags) searchHint(seen int) string {
	if f.from != "" || f.last < 0 || seen < f.last {
		return ""
	}
	return "; -n -1 looks at the whole topic"
}

// tailOnce prints until the end, or follows. Where it had to open the folder
// itself it prints only what is there, and says that it is to be called again
// once a process runs, with options that go on from there.
func (a *app) tailOnce(ctx context.Context, topic string, options *kafka.ReadOptions, pid int,
	keep func(*handlers.Record) bool) (again bool, err error) {
	c, err := a.connectToRead(ctx, pid)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.ensureTopic(ctx, topic, false); err != nil {
		return false, err
	}
	log, err := a.clientLogger()
	if err != nil {
		return false, err
	}
	now := *options
	if c.own {
		now.Follow = false
		ends, err := c.admin.EndOffsets(ctx, topic)
		if err != nil {
			return false, err
		}
		again = options.Follow
		*options = kafka.ReadOptions{Offsets: ends[topic], Follow: true}
	}
	reader, err := kafka.NewReader(c.settings, kafka.Deps{Logger: log}, topic, now)
	if err != nil {
		return false, err
	}
	defer reader.Close()
	return again, a.printRecords(ctx, reader, keep)
}

func (a *app) printRecords(ctx context.Context, reader *kafka.Reader, keep func(*handlers.Record) bool) error {
	out := bufio.NewWriter(a.out)
	var line []byte
	for {
		records, err := reader.Next(ctx)
		for _, r := range records {
			if !keep(r) {
				continue
			}
			line = append(handlers.AppendJSON(line[:0], r), '\n')
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
		if flushed := out.Flush(); flushed != nil {
			return flushed
		}
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
