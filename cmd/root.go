package cmd

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/secrets"
)

// The exit codes: product contract, every command.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitInvalid = 3
)

// usageError is a command line that is wrong.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// errInvalid is a configuration with errors, which have been shown already.
var errInvalid = errors.New("the configuration has errors")

// errSaid is what --exit-code answers with 1: the output says it already.
var errSaid = errors.New("said already")

// app is what all commands share: the program, the streams and the global flags.
type app struct {
	program

	in       io.Reader
	out, err io.Writer

	files    []string
	stateDir string
	envFile  string
	envNames []string
	texts    map[string][]byte // of files that can be read only once
	// redactor is that of the configuration, nil before it is loaded.
	redactor  *secrets.Redactor
	logLevel  string
	logFormat string
	quiet     bool
}

// exitCode says what went wrong with a command line, and is its exit code.
func exitCode(errOut io.Writer, cmd *cobra.Command, err error) int {
	var usage usageError
	var cut signalError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errSaid):
		return exitFailed
	case errors.As(err, &cut):
		fmt.Fprintf(errOut, "millrace: %v\n", err)
		return cut.code()
	case errors.Is(err, errInvalid):
		return exitInvalid
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "millrace: %v\nRun '%s --help' for usage.\n", err, cmd.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(errOut, "millrace: %v\n", err)
		return exitFailed
	}
}

func (a *app) root() *cobra.Command {
	info, _ := debug.ReadBuildInfo()
	root := &cobra.Command{
		Use:   nameIn(info),
		Short: "Declarative pipelines for Kafka: no record lost, each effect once per key",
		Long: `Millrace runs the pipelines that one YAML file declares: source topics, filter
expressions, idempotency keys and sinks. No record is lost, each effect happens
once per key, and you can see why before and after it runs.

It exits with 0 where all is done, 1 where it ran and failed, 2 where the command
line is wrong, and 3 where the configuration has errors.`,
		Example:       rootExample,
		Version:       a.version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			_, err := a.logger() // a wrong --log-level is wrong also where nothing is logged
			return err
		},
	}
	root.SetVersionTemplate("millrace {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringArrayVarP(&a.files, "file", "f", nil, "configuration `FILE` or folder, - for stdin; may be repeated "+
		"(default pipelines.yaml)")
	flags.StringVar(&a.stateDir, "state", os.Getenv("MILLRACE_STATE"),
		"state `FOLDER` (default .millrace beside the configuration; also MILLRACE_STATE)")
	flags.StringVar(&a.envFile, "env-file", "", "read variables from this `FILE`; those of the environment win")
	flags.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&a.logFormat, "log-format", "text", "text or json")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "only warnings, errors and results")
	root.AddCommand(a.runCommand(), a.validateCommand(), a.testCommand(), a.publishCommand(), a.tailCommand(),
		a.topicsCommand(), a.statusCommand(), a.pauseCommand(), a.resumeCommand(), a.keysCommand(), a.brokerCommand(),
		a.initCommand(), a.schemaCommand(), a.handlersCommand(), a.versionCommand())
	root.AddCommand(a.dryRunCommand(), a.explainCommand(), a.evalCommand())
	root.AddCommand(a.configCommand(), a.graphCommand(), a.completionCommand(root), a.deadLetterCommand())
	root.AddCommand(a.replayCommand(), a.jobsCommand(), a.seekCommand(), a.skipCommand())
	help(root)
	for _, cmd := range root.Commands() {
		usageArgs(cmd)
	}
	a.complete(root)
	group(root)
	return root
}

// knownCommand refuses what is no command, with the nearest one.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	err := fmt.Errorf("there is no command %q", args[0])
	if near := diag.Nearest(args[0], names); near != "" {
		err = fmt.Errorf("%w (did you mean %q?)", err, near)
	}
	return usageError{err}
}

// noArgs refuses arguments.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("it takes no arguments, and was given %q", args[0])
	}
	return nil
}

// usageArgs makes a wrong number of arguments a usage error.
func usageArgs(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = noArgs
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%s: %w", cmd.Name(), err)}
		}
		return nil
	}
}

// configFiles are the files named by -f, or the default.
func (a *app) configFiles() []string {
	if len(a.files) == 0 {
		return []string{"pipelines.yaml"}
	}
	return a.files
}

// state is the state folder: as told, or beside the first configuration file.
func (a *app) state() string {
	if a.stateDir != "" {
		return a.stateDir
	}
	first := a.configFiles()[0]
	if info, err := os.Stat(first); err == nil && info.IsDir() {
		return filepath.Join(first, ".millrace")
	}
	if isPipe(first) {
		return ".millrace"
	}
	return filepath.Join(filepath.Dir(first), ".millrace")
}

// logger logs to standard error.
func (a *app) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, usageError{fmt.Errorf("--log-level takes debug, info, warn or error, not %q", a.logLevel)}
	}
	if a.quiet {
		level = max(level, slog.LevelWarn)
	}
	options := &slog.HandlerOptions{Level: level}
	switch a.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, options)), nil
	default:
		return nil, usageError{fmt.Errorf("--log-format takes text or json, not %q", a.logFormat)}
	}
}

// terminal tells whether a stream is one, and so takes colours and moving lines.
func terminal(stream any) bool {
	f, ok := fileOf(stream)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour tells whether w takes colours.
func colour(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && terminal(w)
}
