package cmd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/topics"
)

// completer completes one word; what was given before it is in args.
type completer func(args []string) ([]string, cobra.ShellCompDirective)

const noFiles = cobra.ShellCompDirectiveNoFileComp

// complete teaches all commands to complete: arguments by the words of their
// usage line, such as PIPELINE, and values of flags by their name or by the
// choices that their usage names.
func (a *app) complete(root *cobra.Command) {
	for _, cmd := range append([]*cobra.Command{root}, commandsBelow(root)...) {
		if cmd.ValidArgs == nil && cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() {
			cmd.ValidArgsFunction = a.completeArgs(cmd)
		}
		flags := cmd.LocalFlags()
		flags.VisitAll(func(f *pflag.Flag) {
			c := a.flagCompleter(f)
			if c == nil {
				return
			}
			complete := func(_ *cobra.Command, args []string, _ string) ([]string,
				cobra.ShellCompDirective) {
				return c(args)
			}
			if err := cmd.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
				cobra.CompErrorln(err.Error())
			}
		})
	}
}

func commandsBelow(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(append(all, sub), commandsBelow(sub)...)
	}
	return all
}

// jobIDs are the jobs that the state folder knows, for the commands that take one.
func (a *app) jobIDs(cmd *cobra.Command) []string {
	var ids []string
	if parent := cmd.Parent(); parent != nil && parent.Name() == "jobs" {
		for _, job := range a.endedJobs() {
			ids = append(ids, job.ID)
		}
	}
	return ids
}

// completeArgs completes by the place of an argument in the usage line.
func (a *app) completeArgs(cmd *cobra.Command) cobra.CompletionFunc {
	places := strings.Fields(cmd.Use)[1:]
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(places) {
			return nil, noFiles
		}
		switch strings.Trim(places[len(args)], "[].") {
		case "PIPELINE":
			return a.pipelineNames(), noFiles
		case "TOPIC":
			return a.topicNames(), noFiles
		case "KIND":
			return a.handlerKinds(), noFiles
		case "ID":
			return a.jobIDs(cmd), noFiles
		case "FOLDER":
			return nil, cobra.ShellCompDirectiveFilterDirs
		case "FILE":
			return nil, cobra.ShellCompDirectiveDefault
		default:
			return nil, noFiles
		}
	}
}

// flagCompleter is nil where the flag takes no value.
func (a *app) flagCompleter(f *pflag.Flag) completer {
	switch {
	case f.Value.Type() == "bool":
		return nil
	case f.Name == "file":
		return func([]string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml", "md"}, cobra.ShellCompDirectiveFilterFileExt
		}
	case f.Name == "state":
		return func([]string) ([]string, cobra.ShellCompDirective) { return nil, cobra.ShellCompDirectiveFilterDirs }
	case strings.Contains(strings.ToLower(f.Usage), "file"):
		return func([]string) ([]string, cobra.ShellCompDirective) { return nil, cobra.ShellCompDirectiveDefault }
	case f.Name == "pipeline":
		return func([]string) ([]string, cobra.ShellCompDirective) { return a.pipelineNames(), noFiles }
	case f.Name == "topic":
		return func([]string) ([]string, cobra.ShellCompDirective) { return a.topicNames(), noFiles }
	case f.Name == "sink":
		return func(args []string) ([]string, cobra.ShellCompDirective) { return a.sinkNames(args), noFiles }
	case f.Name == "pid":
		return func([]string) ([]string, cobra.ShellCompDirective) { return a.pids(), noFiles }
	case strings.Contains(f.Usage, " code such as MR"):
		return func([]string) ([]string, cobra.ShellCompDirective) { return problemCodes(), noFiles }
	default:
		words := choices(f.Usage)
		return func([]string) ([]string, cobra.ShellCompDirective) { return words, noFiles }
	}
}

var choice = regexp.MustCompile(`^([a-z0-9-]+)(?: \([^)]*\))?$`)

// choices are the words that a flag's usage lists, such as "text or json"; nil
// where it is a sentence.
func choices(usage string) []string {
	usage, _, _ = strings.Cut(usage, "; ")
	parts := strings.Split(strings.ReplaceAll(usage, " or ", ", "), ", ")
	var words []string
	for _, part := range parts {
		m := choice.FindStringSubmatch(part)
		if m == nil {
			return nil
		}
		words = append(words, m[1])
	}
	if len(words) < 2 {
		return nil
	}
	return words
}

// understood is the configuration as far as it can be read, without a word of
// what is wrong with it; nil where there is none.
func (a *app) understood() (*config.Config, *plan.Plan) {
	env, err := a.environment()
	if err != nil || slices.Contains(a.files, "-") {
		return nil, nil
	}
	// While it completes, cobra may read the flags twice.
	files := slices.Compact(slices.Clone(a.configFiles()))
	config, problems := config.Read(files, config.Options{Env: env, SkipEnv: true}, a.registry)
	if config == nil || problems.HasErrors() {
		return config, nil
	}
	compiled, problems := compile.Compile(config, a.registry)
	if problems.HasErrors() {
		return config, nil
	}
	return config, compiled.Plan
}

func (a *app) pipelineNames() []string {
	config, _ := a.understood()
	var names []string
	if config != nil {
		for _, f := range config.Files {
			for _, p := range f.Blocks.Pipelines {
				names = append(names, cobra.CompletionWithDesc(p.Name,
					strings.Join(strings.Fields(p.Value.Description), " ")))
			}
		}
	}
	return names
}

func (a *app) topicNames() []string {
	config, plan := a.understood()
	var names []string
	if plan != nil {
		for _, want := range topics.Wanted(plan) {
			names = append(names, want.Name)
		}
	}
	if config != nil {
		for _, f := range config.Files {
			for _, t := range f.Blocks.Topics {
				names = append(names, t.Name)
			}
			for _, p := range f.Blocks.Pipelines {
				names = append(append(names, p.Value.Source.Topics...), p.Value.Source.Topic)
			}
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

// sinkNames are those of the pipeline that the first argument names, or of all.
func (a *app) sinkNames(args []string) []string {
	_, plan := a.understood()
	if plan == nil {
		return nil
	}
	var names []string
	for _, p := range plan.Pipelines {
		if len(args) > 0 && p.Name != args[0] {
			continue
		}
		for _, s := range p.Sinks() {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (a *app) pids() []string {
	runs, err := a.processes(0)
	if err != nil {
		return nil
	}
	var pids []string
	for _, run := range runs {
		pids = append(pids, fmt.Sprint(run.PID))
	}
	return pids
}

func (a *app) handlerKinds() []string {
	var kinds []string
	for _, kind := range a.registry.Kinds() {
		kinds = append(kinds, cobra.CompletionWithDesc(kind, strings.ReplaceAll(a.registry[kind].Summary(), "`", "")))
	}
	return kinds
}

func problemCodes() []string {
	var codes []string
	for _, code := range diag.Codes() {
		e, _ := diag.Explain(code)
		codes = append(codes, cobra.CompletionWithDesc(string(code), e.Title))
	}
	return codes
}
