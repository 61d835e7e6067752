package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/scenario"
)

// testFlags are those of `millrace test`.
type testFlags struct {
	run, format, junit string
	verbose, watch     bool
	skipEnv            bool
}

func (a *app) testCommand() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use: "test", Short: "Run the configuration's tests, without a network",
		Long: `Test runs the tests of the configuration's tests: block. Each goes through the
real pipeline, with a fresh key store in memory and a clock of its own, which
starts at 2000-01-01T00:00:00Z and does not wait. Sinks make their requests as in
a run, and are never called: they answer what the test says.

  tests:
    - name: a receiver that is down for a while gets each order once
      pipeline: orders
      records:
        - {payload: {id: o-1}}
        - {payload: {id: o-1}, after: 1h}     # the clock runs on before it comes
      sinks: {http: [fail 503, timeout, ok]}  # then it takes everything
      expect:                                 # one a record
        - {outcome: delivered, sink: http, payload: {id: o-1}, calls: 3}
        - duplicate

It exits 3 where a test fails, or the configuration has errors.`,
		Example: `  millrace test
  millrace test --run 'repeated' --verbose
  millrace test --watch
  millrace test --format junit > tests.xml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return a.test(ctx, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "run only tests whose name this regular expression finds")
	flags.StringVar(&f.format, "format", "text", "text, json or junit")
	flags.StringVar(&f.junit, "junit", "", "write JUnit XML to this file as well")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show all that happens in each test")
	flags.BoolVar(&f.watch, "watch", false, "run the tests again whenever a file changes, until ctrl-C")
	flags.BoolVar(&f.skipEnv, "skip-env", false, "take unset variables and missing secret files as unknown text")
	return cmd
}

func (a *app) test(ctx context.Context, f testFlags) error {
	if formats := []string{"text", "json", "junit"}; !slices.Contains(formats, f.format) {
		return usageError{fmt.Errorf("--format takes one of %v, not %q", formats, f.format)}
	}
	load, err := a.loadOptions()
	if err != nil {
		return err
	}
	load.SkipEnv = f.skipEnv
	options := scenario.Options{Files: a.configFiles(), Registry: a.registry, Load: load}
	if f.run != "" {
		if options.Run, err = regexp.Compile(f.run); err != nil {
			return usageError{fmt.Errorf("--run takes a regular expression: %w", err)}
		}
	}
	if !f.watch {
		_, err := a.testOnce(ctx, options, f)
		return err
	}
	if slices.Contains(options.Files, "-") {
		return usageError{errors.New("--watch can't watch the standard input")}
	}
	return a.testOnChange(ctx, options, f)
}

// testOnce runs the tests and shows how they went.
func (a *app) testOnce(ctx context.Context, options scenario.Options, f testFlags) (*scenario.Report, error) {
	report, err := scenario.Run(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := diag.Write(painted(a.err), diag.FormatText, report.Problems, colour(a.err)); err != nil {
		return report, err
	}
	if report.Problems.HasErrors() {
		return report, errInvalid
	}
	if options.Run != nil && report.Tests > 0 && len(report.Results) == 0 {
		return report, usageError{fmt.Errorf("--run %s: of %s none has such a name", options.Run,
			count(report.Tests, "test"))}
	}
	if err := a.writeTests(report, f); err != nil {
		return report, err
	}
	if report.Failed() > 0 {
		return report, errInvalid
	}
	return report, nil
}

// writeTests writes the report as the flags say.
func (a *app) writeTests(report *scenario.Report, f testFlags) error {
	if f.junit != "" {
		file, err := os.Create(f.junit)
		if err != nil {
			return fmt.Errorf("--junit: %w", err)
		}
		if err := errors.Join(scenario.WriteJUnit(file, report), file.Close()); err != nil {
			return fmt.Errorf("--junit: write %s: %w", f.junit, err)
		}
	}
	write := map[string]func(io.Writer, *scenario.Report) error{
		"json":  scenario.WriteJSON,
		"junit": scenario.WriteJUnit,
		"text": func(w io.Writer, r *scenario.Report) error {
			return scenario.WriteText(painted(w), r, scenario.TextOptions{Colour: colour(w), Verbose: f.verbose,
				Quiet: a.quiet})
		},
	}[f.format]
	return write(a.out, report)
}
