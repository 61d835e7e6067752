package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/diag"
)

func (a *app) configCommand() *cobra.Command {
	var format, name string
	var skipEnv bool
	cmd := &cobra.Command{
		Use: "config", Short: "Show the whole configuration as it is understood, defaults filled in",
		Long: `Config shows the configuration as millrace understands it: several files merged
into one, every default filled in, and variables put in where they are fixed at
load. It is a configuration itself and means the same.

Secrets are left out. One that comes from a file or a variable is shown as the
reference to it; one whose text stands in the configuration is shown as
${env.REDACTED}, so that the output validates with --skip-env and does not run by
mistake.`,
		Example: `  millrace config
  millrace config -f pipelines.yaml -f cluster.yaml
  millrace config --pipeline invoice-notifications
  millrace config --format json | jq '.pipelines | keys'`,
		RunE: func(*cobra.Command, []string) error {
			if format != "yaml" && format != "json" {
				return usageError{fmt.Errorf("--format takes yaml or json, not %q", format)}
			}
			return a.config(format, name, skipEnv)
		},
	}
	cmd.Flags().StringVar(&format, "format", "yaml", "yaml or json")
	cmd.Flags().StringVar(&name, "pipeline", "", "show only this pipeline")
	cmd.Flags().BoolVar(&skipEnv, "skip-env", false, "take unset variables and missing secret files as unknown text")
	return cmd
}

func (a *app) config(format, name string, skipEnv bool) error {
	options, err := a.loadOptions()
	if err != nil {
		return err
	}
	options.SkipEnv = skipEnv
	effective, problems := compile.LoadEffective(a.configFiles(), options, a.registry)
	if err := diag.Write(painted(a.err), diag.FormatText, problems, colour(a.err)); err != nil {
		return err
	}
	if effective == nil {
		return errInvalid
	}
	if name != "" {
		one := effective.Only(name)
		if one == nil {
			return unknownName("pipeline", name, effective.Pipelines())
		}
		effective = one
	}
	write := effective.YAML
	if format == "json" {
		write = effective.JSON
	}
	text, err := write()
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}
