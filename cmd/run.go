package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/memory"
)

func (a *app) runCommand() *cobra.Command {
	var deps pipeline.RunnerDeps
	cmd := &cobra.Command{
		Use: "run", Short: "Run every pipeline until SIGTERM, then drain",
		Long: `Run starts every pipeline of the configuration, and the embedded broker where the
configuration names no cluster. SIGTERM or Ctrl-C drains: it stops fetching,
finishes what is in flight, confirms, commits and leaves the groups. So does a
SIGHUP, as of a terminal that is closed. A second SIGTERM or Ctrl-C cuts off what is
in flight, says so, and exits 143 or 130.

A Kafka or a Redis that is not up yet is waited for: the log, status and /readyz
say so. What waiting can't mend, such as refused credentials or a topic that does
not exist, ends the run.

With --until-end, as for cron and CI, it drains by itself and exits 0 once every
group has committed up to where its topics ended at the start, whichever member
of the group did so. A sink or a store that is down is waited for; a partition
that stands still until a person acts, or a pipeline that stopped, exits 1 once
the others are done.`,
		Example: `  millrace run
  millrace run -f pipelines.yaml -f cluster.yaml --log-format json
  millrace run --until-end --create-topics`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runPipelines(cmd.Context(), deps) },
	}
	cmd.Flags().BoolVar(&deps.CreateTopics, "create-topics", false,
		"make the topics that the file names and the cluster lacks; those that differ are left as they are")
	cmd.Flags().BoolVar(&deps.UntilEnd, "until-end", false, "stop once all that the topics held at the start is done")
	cmd.Flags().BoolVar(&deps.Leave, "leave", false, "at the end take static members (source.instance) out of their "+
		"groups for good")
	return cmd
}

func (a *app) runPipelines(ctx context.Context, deps pipeline.RunnerDeps) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	plan, err := a.load()
	if err != nil {
		return err
	}
	deps.Version, deps.StateDir, deps.Stdout, deps.Logger = a.version(), a.state(), a.out, log
	deps.Memory, deps.MemoryFrom = memory.Limit()
	runner := pipeline.NewRunner(plan, deps)
	return untilSignal(ctx, runner.Run, runner.CutOff)
}
