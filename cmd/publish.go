package cmd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/files"
)

// publishFlags are those of `millrace publish`.
type publishFlags struct {
	key       string
	headers   []string
	tombstone bool
	input     string
	records   bool
	create    bool
	pid       int
	hasKey    bool
}

// publishBatch is how many records are sent at once.
const publishBatch = 1000

func (a *app) publishCommand() *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use: "publish TOPIC [VALUE...]", Short: "Write records: each argument, or each line of stdin or --input",
		Long: `Publish writes each argument, or each line of standard input or of --input, as the
value of one record, its bytes as they stand. With --records each line is a
record in its JSON form, as tail prints it; it goes to TOPIC, and its key says to
which partition.

It answers once the records are durable. What can't be written is named, and the
exit code is 1.`,
		Example: `  millrace publish orders '{"order_id": "o-1", "total": 5}' --key o-1
  millrace publish orders --input orders.jsonl
  millrace publish orders --key o-1 --tombstone
  millrace tail orders -n -1 --until-end | millrace publish copies --records --create`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("it takes a topic, then values")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.hasKey = cmd.Flags().Changed("key")
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return a.publish(ctx, args[0], args[1:], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "the records' key")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "a header as `NAME=VALUE`; may be repeated")
	flags.BoolVar(&f.tombstone, "tombstone", false, "write one record without a value")
	flags.StringVar(&f.input, "input", "", "read lines from this `FILE`")
	flags.BoolVar(&f.records, "records", false, "each line is a record as JSON")
	flags.BoolVar(&f.create, "create", false, "make the topic where it is missing")
	flags.IntVar(&f.pid, "pid", 0, "which process, where several run")
	return cmd
}

func (a *app) publish(ctx context.Context, topic string, values []string, f publishFlags) (err error) {
	headers, err := parseHeaders(f.headers)
	if err != nil {
		return err
	}
	base := handlers.Record{Topic: topic, Partition: -1, Offset: -1, Headers: headers}
	if f.hasKey {
		base.Key = []byte(f.key)
	}
	if f.tombstone && (len(values) > 0 || f.input != "" || f.records) {
		return usageError{errors.New("--tombstone writes one record without a value; it takes no values, --input or " +
			"--records")}
	}
	if f.tombstone && !f.hasKey {
		return usageError{errors.New("--tombstone needs --key: it says which key's value is gone")}
	}
	in, size, err := a.publishInput(f.input)
	if err != nil {
		return err
	}
	defer in.Close()
	to := &link{app: a, topic: topic, create: f.create, pid: f.pid}
	if err := to.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	out := &outgoing{link: to, progress: a.newProgress("published", size)}
	switch {
	case f.tombstone:
		err = out.add(ctx, base, 0)
	case len(values) > 0:
		for _, v := range values {
			if err = errors.Join(err, out.value(ctx, base, []byte(v), f.records, len(v))); err != nil {
				break
			}
		}
	default:
		if f.input == "" && a.asksTerminal() {
			fmt.Fprintln(a.err, "each line is a record; end with Ctrl-D")
		}
		err = out.lines(ctx, base, in, f.records)
	}
	err = errors.Join(err, out.flush(ctx))
	out.progress.done()
	if err == nil && !a.quiet {
		_, err = fmt.Fprintf(a.out, "published %s to %s\n", count(out.sent, "record"), topic)
	} else if err != nil && out.sent > 0 {
		err = fmt.Errorf("after %s were published: %w", count(out.sent, "record"), err)
	}
	return err
}

// asksTerminal tells whether lines are typed by a person.
func (a *app) asksTerminal() bool {
	file, ok := a.in.(*os.File)
	return ok && !a.quiet && term.IsTerminal(int(file.Fd()))
}

func parseHeaders(flags []string) ([]handlers.Header, error) {
	var headers []handlers.Header
	for _, h := range flags {
		name, value, ok := strings.Cut(h, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("--header takes NAME=VALUE, not %q", h)}
		}
		headers = append(headers, handlers.Header{Key: name, Value: []byte(value)})
	}
	return headers, nil
}

// publishInput is where lines come from, with its size where that is known.
func (a *app) publishInput(path string) (io.ReadCloser, int64, error) {
	if path == "" || path == "-" {
		return io.NopCloser(a.in), 0, nil
	}
	file, err := files.OpenGiven(path)
	if err != nil {
		return nil, 0, fmt.Errorf("--input: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// outgoing collects records into batches and sends them.
type outgoing struct {
	link     *link
	progress *progress
	batch    []*handlers.Record
	bytes    int
	sent     int
}

// inputLine is one line of the input, without its end.
type inputLine struct {
	text []byte
	size int
	err  error // why there are no more, io.EOF at the end
}

// readLines hands out the lines of in until one carries an error
// or ctx ends.
func readLines(ctx context.Context, in io.Reader) <-chan inputLine {
	lines := make(chan inputLine, publishBatch)
	go func() {
		defer close(lines)
		reader := bufio.NewReaderSize(in, 1<<16)
		for {
			line, err := files.Line(reader)
			size := len(line)
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			select {
			case lines <- inputLine{line, size, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// idle is how long the input may be silent before what came is sent.
const idle = 100 * time.Millisecond

// lines sends a value or record a line, and what has come so far whenever the
// input is silent for a moment.
func (o *outgoing) lines(ctx context.Context, base handlers.Record, in io.Reader, records bool) error {
	lines := readLines(ctx, in)
	silent := time.NewTimer(idle)
	defer silent.Stop()
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-silent.C:
			if err := errors.Join(o.flush(ctx), o.link.rest()); err != nil {
				return err
			}
		case line := <-lines:
			silent.Reset(idle)
			if len(line.text) > 0 {
				if err := o.value(ctx, base, line.text, records, line.size); err != nil {
					return fmt.Errorf("line %d: %w", n, err)
				}
			}
			if errors.Is(line.err, io.EOF) {
				return nil
			}
			if line.err != nil {
				return fmt.Errorf("line %d: %w", n, line.err)
			}
			n++
		}
	}
}

func (o *outgoing) value(ctx context.Context, base handlers.Record, text []byte, record bool, read int) error {
	if !record {
		base.Value = text
		return o.add(ctx, base, read)
	}
	r, err := handlers.DecodeJSON(text, handlers.Record{Topic: base.Topic, Partition: -1, Offset: -1})
	if err != nil {
		return err
	}
	r.Topic = base.Topic // where it goes, not where it came from
	if r.Key == nil {
		r.Key = base.Key
	}
	r.Headers = append(r.Headers, base.Headers...)
	return o.add(ctx, *r, read)
}

func (o *outgoing) add(ctx context.Context, r handlers.Record, read int) error {
	o.batch = append(o.batch, &r)
	o.bytes += read
	if len(o.batch) < publishBatch && o.bytes < 4<<20 {
		return nil
	}
	return o.flush(ctx)
}

func (o *outgoing) flush(ctx context.Context) error {
	if len(o.batch) == 0 {
		return nil
	}
	err := o.link.produce(ctx, o.batch)
	failed := 0
	for i := range o.batch {
		if handlers.FailureOf(err, i) != nil {
			failed++
		}
	}
	o.sent += len(o.batch) - failed
	o.progress.add(len(o.batch)-failed, int64(o.bytes))
	o.batch, o.bytes = nil, 0
	return err
}
