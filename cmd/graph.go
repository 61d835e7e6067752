package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/diag"
)

func (a *app) graphCommand() *cobra.Command {
	var format string
	var skipEnv bool
	cmd := &cobra.Command{
		Use: "graph", Short: "Draw what the pipelines connect, as Mermaid or DOT",
		Long: `Graph draws the topics, pipelines and sinks of the configuration, with the filters
and conditions on the way, dead letters as dashed lines, and the routes of ingest.
Mermaid is drawn by GitHub, GitLab and many editors in a block of a Markdown file;
DOT is drawn by Graphviz.`,
		Example: `  millrace graph > pipelines.mmd
  millrace graph --format dot | dot -Tsvg > pipelines.svg`,
		RunE: func(*cobra.Command, []string) error {
			if format != "mermaid" && format != "dot" {
				return usageError{fmt.Errorf("--format takes mermaid or dot, not %q", format)}
			}
			plan, problems, err := a.compile(skipEnv)
			if err != nil {
				return err
			}
			if err := diag.Write(painted(a.err), diag.FormatText, problems, colour(a.err)); err != nil {
				return err
			}
			if plan == nil {
				return errInvalid
			}
			text := plan.Graph().Mermaid()
			if format == "dot" {
				text = plan.Graph().DOT()
			}
			_, err = fmt.Fprint(a.out, text)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "mermaid", "mermaid or dot")
	cmd.Flags().BoolVar(&skipEnv, "skip-env", false, "take unset variables and missing secret files as unknown text")
	return cmd
}
