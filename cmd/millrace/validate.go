package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/diag"
)

func (a *app) validateCommand() *cobra.Command {
	var format string
	var strict bool
	var options pipeline.LoadOptions
	cmd := &cobra.Command{
		Use: "validate", Short: "Check the configuration: all problems at once, without a network",
		Long: `Validate shows every problem of the configuration at its place, with what is wrong
and how to mend it. It exits 3 where there are errors, with --strict also where
there are only warnings.`,
		RunE: func(*cobra.Command, []string) error { return a.validate(diag.Format(format), strict, options) },
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, json, github (workflow commands) or sarif")
	cmd.Flags().BoolVar(&strict, "strict", false, "treat warnings as errors")
	cmd.Flags().BoolVar(&options.SkipEnv, "skip-env", false, "take unset variables and missing secret files as unknown text")
	return cmd
}

func (a *app) validate(format diag.Format, strict bool, options pipeline.LoadOptions) error {
	if !slices.Contains(diag.Formats(), format) {
		return usageError{fmt.Errorf("--format takes one of %v, not %q", diag.Formats(), format)}
	}
	plan, problems, err := a.compile(options)
	if err != nil {
		return err
	}
	if err := diag.Write(a.out, format, problems, colour(a.out)); err != nil {
		return err
	}
	if problems.HasErrors() || strict && len(problems) > 0 {
		return errInvalid
	}
	if format == diag.FormatText && !a.quiet {
		_, err = fmt.Fprintf(a.out, "valid: %s, %s\n", count(len(plan.Pipelines), "pipeline"), count(len(problems), "warning"))
	}
	return err
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the configuration's JSON Schema, for editors",
		RunE: func(*cobra.Command, []string) error {
			schema, err := pipeline.JSONSchema(builtin.Registry())
			if err != nil {
				return err
			}
			_, err = a.out.Write(schema)
			return err
		},
	}
}
