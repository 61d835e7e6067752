package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Run every pipeline until SIGTERM, then drain",
		Long: `Run starts every pipeline of the configuration, and the embedded broker where the
configuration names no cluster. SIGTERM or Ctrl-C drains: it stops fetching,
finishes what is in flight, confirms, commits and leaves the groups. A second
signal ends the process at once.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runPipelines(cmd.Context()) },
	}
}

func (a *app) runPipelines(ctx context.Context) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	plan, err := a.load()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a signal kills
	runner := pipeline.NewRunner(plan, pipeline.RunnerDeps{Version: version(), StateDir: a.state(), Stdout: a.out, Logger: log})
	return runner.Run(ctx)
}
