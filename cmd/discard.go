package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/jobs"
)

// discardFlags are those of `millrace dead-letter discard`.
type discardFlags struct {
	lettersFlags
	archive string
	append  bool
}

func (a *app) discardCommand() *cobra.Command {
	var f discardFlags
	cmd := &cobra.Command{
		Use:   "discard PIPELINE [ID...]",
		Short: "End dead letters that nobody has a use for, after writing them to a file",
		Long: `Discard ends open dead letters of a pipeline: those of the ids that are given, those
that filters choose, or with --all every one. It counts first, and asks. Then it writes
them to the file that --archive names, a letter a line as list --format json shows it,
and only once that is on the disk discards them: they are open no more, and their
idempotency keys count as done, so that a replay does not make their effects either.

A file that exists is never written over: --append adds to it. It is a job as a
redrive is, and with the same --id again it goes on where an interruption left it,
which needs no archive.`,
		Example: `  millrace dead-letter discard invoice-notifications 0/12 3/4 --archive letters.jsonl
  millrace dead-letter discard invoice-notifications --until -30d --archive old.jsonl --append`,
		Args: pipelineThenIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.read(cmd, args[1:]); err != nil {
				return err
			}
			return a.discard(cmd.Context(), args[0], args[1:], f)
		},
	}
	f.addTo(cmd)
	cmd.Flags().StringVar(&f.archive, "archive", "", "write the letters to this `FILE` first; it must not exist")
	cmd.Flags().BoolVar(&f.append, "append", false, "add to the archive where it exists")
	return cmd
}

// discard counts, asks, archives, and has it done.
func (a *app) discard(ctx context.Context, name string, ids []string, f discardFlags) (err error) {
	if f.archive == "" && f.chooses(ids) {
		return usageError{errors.New("say where the letters are kept that are discarded: --archive FILE")}
	}
	r, err := a.openRedrive(ctx, api.Discard, name, ids, f.lettersFlags)
	if r != nil {
		defer func() { err = errors.Join(err, r.close()) }()
	}
	if err != nil || r.resumed {
		return err
	}
	if _, err := os.Stat(f.archive); !f.append && !errors.Is(err, fs.ErrNotExist) {
		return usageError{fmt.Errorf("%s is there already, and is not written over: name another file, or --append",
			f.archive)}
	}
	found, n, spans, err := r.count(ctx)
	if err != nil || n == 0 {
		return err
	}
	if err := r.agree("discard " + count(n, "dead letter")); err != nil {
		return err
	}
	if err := r.archive(ctx, f, chosenOf(found, spans)); err != nil {
		return fmt.Errorf("nothing was discarded: %w", err)
	}
	return r.do(ctx, api.StartJob{Job: r.job, Spans: spans})
}

// chosenOf are the letters that were found, and lie within spans.
func chosenOf(found *jobs.Listing, spans []api.Span) []jobs.ID {
	until := map[int32]int64{}
	for _, s := range spans {
		until[s.Partition] = s.Until
	}
	var chosen []jobs.ID
	for _, id := range found.Found {
		if id.Offset < until[id.Partition] {
			chosen = append(chosen, id)
		}
	}
	return chosen
}

// archive writes letters to the file, and returns once they are on the disk.
func (r *redriving) archive(ctx context.Context, f discardFlags, chosen []jobs.ID) (err error) {
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if f.append {
		how = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	file, err := os.OpenFile(f.archive, how, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if failed := file.Close(); err == nil && failed != nil {
			err = failed
		}
	}()
	out := bufio.NewWriter(file)
	print, n := r.letters.printJSON(out), 0
	err = r.letters.Each(ctx, chosen, func(l *jobs.Letter) error {
		n++
		return print(l)
	})
	r.letters.progress.done()
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(f.archive))
	if err != nil {
		return err
	}
	err = errors.Join(folder.Sync(), folder.Close())
	if err == nil {
		fmt.Fprintf(r.app.err, "%s: %s\n", f.archive, count(n, "letter"))
	}
	return err
}
