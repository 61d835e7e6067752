package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/plan"
)

func (a *app) brokerCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use: "broker", Short: "Run the embedded broker alone; a run beside it uses it",
		Long: `Broker runs the embedded broker on the state folder, for kcat or any Kafka client.
A millrace run on the same folder uses it instead of starting one of its own. It
listens where kafka.embedded.listen of the configuration says, or --listen, and
makes the topics that its topics: block declares. The configuration needs no
pipelines.`,
		Example: `  millrace broker
  millrace broker --listen 127.0.0.1:0 --state /tmp/millrace`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger()
			if err != nil {
				return err
			}
			planned, err := a.planOf(only("kafka", "topics"))
			if err != nil {
				return err
			}
			var declared []plan.Topic
			if planned != nil {
				declared = planned.Topics
				if planned.Embedded != "" && !cmd.Flags().Changed("listen") {
					listen = planned.Embedded
				}
			}
			deps := pipeline.RunnerDeps{Version: a.version(), StateDir: a.state(), Logger: log}
			deps.Memory, deps.MemoryFrom = memory.Limit()
			return untilSignal(cmd.Context(), func(ctx context.Context) error {
				return pipeline.RunBroker(ctx, listen,
					declared, deps)
			}, func() {})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9092", "`ADDRESS` on loopback; port 0 picks a free one")
	return cmd
}
