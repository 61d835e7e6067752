package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

type validateFlags struct {
	format           diag.Format
	explain          string
	strict, fix, yes bool
	options          config.Options
	connect          connectFlags
}

func (a *app) validateCommand() *cobra.Command {
	var flags validateFlags
	cmd := &cobra.Command{
		Use: "validate", Short: "Check the configuration: all problems at once, without a network unless told to",
		Long: `Validate shows every problem of the configuration at its place, with what is wrong
and how to mend it. It exits 3 where there are errors, with --strict also where
there are only warnings.

-f takes files, folders of *.yaml files, - for standard input, and Markdown files:
of those, each YAML block is checked on its own that has pipelines: at its
outermost level, begins with version: 1, or has a fence of ` + "```yaml millrace" + `; a
fence of ` + "```yaml ignore" + ` keeps it out.

--fix shows the certain mends as a diff, asks, and writes them; --yes does not ask.
Where nobody can answer it only shows them, and the exit code is that of the files
as they are. Of standard input it prints the mended text.

` + connectHelp,
		Example: `  millrace validate
  millrace validate -f pipelines.yaml -f cluster.yaml --strict
  millrace validate --skip-env --format github
  millrace validate --fix
  millrace validate --connect --replicas 3
  millrace validate --explain MR004`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.connect.check(cmd, flags.options); err != nil {
				return err
			}
			return a.validate(cmd.Context(), flags)
		},
	}
	cmd.Flags().StringVar((*string)(&flags.format), "format", "text", "text, json, github (workflow commands) or sarif")
	cmd.Flags().StringVar(&flags.explain, "explain", "", "print what a code such as MR004 means, and check nothing")
	cmd.Flags().BoolVar(&flags.strict, "strict", false, "treat warnings as errors")
	cmd.Flags().BoolVar(&flags.fix, "fix", false, "show the certain mends as a diff, and write them after a yes")
	cmd.Flags().BoolVarP(&flags.yes, "yes", "y", false, "with --fix: do not ask")
	cmd.Flags().BoolVar(&flags.options.SkipEnv, "skip-env", false,
		"take unset variables and missing secret files as unknown text")
	flags.connect.add(cmd)
	return cmd
}

func (a *app) validate(ctx context.Context, flags validateFlags) error {
	switch {
	case flags.explain != "":
		return a.explainCode(flags.explain)
	case !slices.Contains(diag.Formats(), flags.format):
		return usageError{fmt.Errorf("--format takes text, json, github or sarif, not %q", flags.format)}
	case flags.yes && !flags.fix:
		return usageError{errors.New("--yes answers what --fix asks: give both")}
	}
	options, err := a.loadOptions()
	if err != nil {
		return err
	}
	options.SkipEnv = flags.options.SkipEnv
	flags.options = options
	if flags.fix {
		return a.fix(flags)
	}
	results, problems := compile.Validate(a.configFiles(), flags.options, a.registry)
	problems, seen, err := flags.connect.look(ctx, a, results, problems)
	if err != nil {
		return err
	}
	if err := diag.Write(painted(a.out), flags.format, problems, colour(a.out)); err != nil {
		return err
	}
	if flags.format == diag.FormatText && !a.quiet {
		for _, line := range seen {
			fmt.Fprintln(a.out, line)
		}
	}
	if invalid(problems, flags.strict) {
		return errInvalid
	}
	if flags.format == diag.FormatText && !a.quiet {
		pipelines := 0
		for _, p := range results {
			pipelines += len(p.Plan.Pipelines)
		}
		_, err = fmt.Fprintf(a.out, "valid: %s, %s\n", count(pipelines, "pipeline"), count(len(problems), "warning"))
	}
	return err
}

// invalid tells whether problems keep a configuration from being valid.
func invalid(problems diag.Problems, strict bool) bool {
	return problems.HasErrors() || strict && len(problems) > 0
}

// explainCode prints what a code means.
func (a *app) explainCode(code string) error {
	e, ok := diag.Explain(diag.Code(strings.TrimSpace(code)))
	if !ok {
		var all []string
		for _, c := range diag.Codes() {
			all = append(all, string(c))
		}
		err := fmt.Errorf("there is no code %q", code)
		if near := diag.Nearest(code, all); near != "" && strings.HasPrefix(strings.ToUpper(code), "MR") &&
			len(code) != len(near) {
			err = fmt.Errorf("%w (did you mean %s?)", err, near)
		}
		return usageError{err}
	}
	_, err := fmt.Fprint(a.out, e.Text())
	return err
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
