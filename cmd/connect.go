package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/survey"
)

// connectHelp is what `validate` says of --connect.
const connectHelp = `With --connect it then looks at what the configuration needs, and writes nothing
there: whether brokers answer at the addresses of the file and at those that they
advertise, with TLS and credentials; whether topics exist, are as topics: says,
can be read and written, and survive a broker's failure; what the groups have
committed; whether the key store answers, keeps its keys and still has them; and
whether the sinks' systems answer. No topic, offset, key or file is made and no
request is sent. --replicas tells how many processes are to share the work.`

// connectFlags are those of `millrace validate --connect`.
type connectFlags struct {
	on       bool
	replicas int
	timeout  time.Duration
}

func (f *connectFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.on, "connect", false, "also look at brokers, topics, groups, the key store and sinks, without "+
		"writing anything")
	flags.IntVar(&f.replicas, "replicas", 0, "with --connect: how many processes are to share the work")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "with --connect: how long all checks may take together")
}

// check finds flags that do not go together.
func (f *connectFlags) check(cmd *cobra.Command, options config.Options) error {
	switch {
	case !f.on && (cmd.Flags().Changed("replicas") || cmd.Flags().Changed("timeout")):
		return usageError{errors.New("--replicas and --timeout go with --connect")}
	case f.on && options.SkipEnv:
		return usageError{errors.New("--connect needs to know everything, which --skip-env leaves out")}
	case f.replicas < 0:
		return usageError{fmt.Errorf("--replicas takes a number of processes, not %d", f.replicas)}
	case f.timeout <= 0:
		return usageError{fmt.Errorf("--timeout takes a time such as 10s, not %s", f.timeout)}
	}
	return nil
}

// look connects to what configurations without errors need, and returns all problems and
// what was looked at.
func (f *connectFlags) look(ctx context.Context, a *app, results []*compile.Result,
	problems diag.Problems) (diag.Problems, []string, error) {
	if !f.on || problems.HasErrors() {
		return problems, nil, nil
	}
	log, err := a.clientLogger()
	if err != nil {
		return nil, nil, err
	}
	var seen []string
	for _, result := range results {
		found := survey.Connect(ctx, result, survey.Options{
			Replicas: f.replicas, Timeout: f.timeout, StateDir: a.state(), Stdout: a.out, Logger: log,
		})
		problems = append(problems, found.Problems...)
		seen = append(seen, found.Seen...)
	}
	problems.Sort()
	return problems, seen, nil
}
