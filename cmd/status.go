package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/state"
)

func (a *app) statusCommand() *cobra.Command {
	var format string
	var pid int
	var exitCode, refresh bool
	cmd := &cobra.Command{
		Use: "status [PIPELINE]", Short: "Show what the running processes do: outcomes, lag, what they wait for",
		Long: `Status asks the processes that run on the state folder. Of each pipeline it shows

  STATE      starting, running, waiting (a line that begins with ! says what for),
             paused, draining or stopped
  LAG        how many offsets of its topics its group has not committed yet; commits
             follow what is done by up to a second. It is unknown, in JSON null,
             where no broker tells it
  IN FLIGHT  records that are being worked on
  RETRIES    how often a write was tried again
  OUTCOMES   what became of the records since the start

A process on another machine, or another state folder, is not seen: topics list
shows the lag of all of them.`,
		Example: `  millrace status
  millrace status invoice-notifications
  millrace status --format json | jq '.[].pipelines[] | {name, lag}'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("--format takes text or json, not %q", format)}
			}
			if refresh {
				ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
				defer stop()
				return a.watchStatuses(ctx, pid, args, format)
			}
			all, err := a.statuses(cmd.Context(), pid, args)
			if err := errors.Join(a.showStatuses(all, format), err); err != nil {
				return err
			}
			if exitCode && slices.ContainsFunc(all, func(s api.Status) bool { return !readyOf(s, args) }) {
				return errSaid
			}
			return nil
		},
	}
	exitCodeFlag(cmd, &exitCode, "a process, or the pipeline named, is not ready")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	cmd.Flags().IntVar(&pid, "pid", 0, "only this process")
	cmd.Flags().BoolVarP(&refresh, "watch", "w", false, "show it again every second, until Ctrl-C")
	cmd.MarkFlagsMutuallyExclusive("watch", "exit-code")
	return cmd
}

// readyOf tells whether a process is ready, or just the pipeline named.
func readyOf(s api.Status, named []string) bool {
	if len(named) == 0 {
		return s.Ready
	}
	return !slices.ContainsFunc(s.Pipelines, func(p api.PipelineStatus) bool {
		return p.State != "running" ||
			len(p.Reasons) > 0
	})
}

// watchStatuses shows the statuses every second until ctx ends: on a terminal in place of
// the last ones. What can't be told now may be a second later.
func (a *app) watchStatuses(ctx context.Context, pid int, args []string, format string) error {
	for {
		all, err := a.statuses(ctx, pid, args)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, new(usageError)):
			return err
		}
		if terminal(a.out) && format == "text" {
			fmt.Fprint(raw(a.out), "\x1b[H\x1b[2J\x1b[3J")
		}
		if err := a.showStatuses(all, format); err != nil {
			return err
		}
		if err != nil {
			fmt.Fprintln(a.err, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (a *app) showStatuses(all []api.Status, format string) error {
	if format == "json" && all != nil {
		encoder := json.NewEncoder(a.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(all)
	}
	for _, s := range all {
		if err := showStatus(a.out, s); err != nil {
			return err
		}
	}
	return nil
}

// statuses asks every process on the state folder, for one pipeline where it is
// named. Those that answered are returned with the error of those that did not.
func (a *app) statuses(ctx context.Context, pid int, args []string) ([]api.Status, error) {
	runs, err := a.processes(pid)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("nothing runs on %s; start it with `millrace run`", a.state())
	}
	var all []api.Status
	var names []string
	var silent []error
	for _, run := range runs {
		status, err := statusOf(ctx, run)
		if err != nil {
			silent = append(silent, err)
			continue
		}
		if len(args) == 1 {
			kept := status.Pipelines[:0]
			for _, p := range status.Pipelines {
				names = append(names, p.Name)
				if p.Name == args[0] {
					kept = append(kept, p)
				}
			}
			if status.Pipelines = kept; len(kept) == 0 {
				continue
			}
		}
		all = append(all, status)
	}
	if len(all) == 0 && len(silent) == 0 {
		hint := ""
		if near := diag.Nearest(args[0], names); near != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", near)
		}
		return nil, usageError{errors.New("no running pipeline is called " + args[0] + hint)}
	}
	return all, errors.Join(silent...)
}

func statusOf(ctx context.Context, run state.Run) (api.Status, error) {
	client := api.Dial(run.Socket)
	defer client.Close()
	status, err := client.Status(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("process %d: %w", run.PID, err)
	}
	return status, err
}

func showStatus(w io.Writer, s api.Status) error {
	ready := "ready"
	if !s.Ready {
		ready = "NOT READY"
	}
	kind := "cluster"
	if s.Embedded {
		kind = "embedded broker"
	}
	fmt.Fprintf(w, "pid %d  %s  up %s  %s %s  version %s\n", s.PID, ready, time.Since(s.Started).Round(time.Second),
		kind, s.Broker, s.Version)
	if s.Ingest != "" {
		scheme := "http"
		if s.IngestTLS {
			scheme = "https"
		}
		fmt.Fprintf(w, "ingest %s://%s\n", scheme, s.Ingest)
	}
	if s.Health != "" {
		fmt.Fprintf(w, "health http://%s\n", s.Health)
	}
	for _, reason := range s.Reasons {
		fmt.Fprintf(w, "  ! %s\n", reason)
	}
	for _, job := range s.Jobs {
		waits := ""
		if len(job.Waits) > 0 {
			waits = "; waits: " + strings.Join(job.Waits, "; ")
		}
		fmt.Fprintf(w, "job %s: %s of %s, %d of %s done%s\n", job.ID, job.Kind, job.Pipeline, job.Done,
			count(job.Records, "record"), waits)
	}
	if len(s.Pipelines) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "PIPELINE\tSTATE\tLAG\tIN FLIGHT\tRETRIES\tOUTCOMES")
	for _, p := range s.Pipelines {
		var outcomes []string
		for _, o := range outcome.All() {
			if n := p.Outcomes[string(o)]; n > 0 {
				outcomes = append(outcomes, fmt.Sprintf("%d %s", n, o))
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\n", p.Name, p.State, p.Lag, p.InFlight, p.Retries,
			strings.Join(outcomes, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, p := range s.Pipelines {
		for _, reason := range p.Reasons {
			fmt.Fprintf(w, "  ! %s: %s\n", p.Name, reason)
		}
		for _, s := range p.Skipped {
			fmt.Fprintf(w, "  %s: skipped %s, until the commit has passed it (%s)\n", p.Name, s.Place(), s)
		}
	}
	return nil
}
