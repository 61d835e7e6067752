package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/topics"
)

func (a *app) topicsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "topics", Short: "Compare the topics that the file names with the cluster's, and make it so",
		Long: `Topics looks at the topics that the file names, those of its topics: block as well
as sources, dead letters, ingest routes and constant sink topics, and at what the
cluster has. It makes what is missing, adds partitions and sets retention and
cleanup; it never takes partitions away and never deletes a topic.`,
		Example: `  millrace topics plan
  millrace topics apply --yes
  millrace topics list --all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("topics takes plan, apply or list")}
		},
	}
	cmd.AddCommand(a.topicsPlanCommand(), a.topicsApplyCommand(), a.topicsListCommand())
	for _, sub := range cmd.Commands() {
		usageArgs(sub)
	}
	return cmd
}

// formatFlag adds --format.
func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "text", "text or json")
}

// exitCodeFlag adds --exit-code, for scripts and health checks.
func exitCodeFlag(cmd *cobra.Command, on *bool, answer string) {
	cmd.Flags().BoolVar(on, "exit-code", false, "exit 1 where "+answer)
}

func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return usageError{fmt.Errorf("--format takes text or json, not %q", format)}
	}
	return nil
}

func (a *app) topicsPlanCommand() *cobra.Command {
	var format string
	var exitCode bool
	cmd := &cobra.Command{
		Use: "plan", Short: "Show what apply would do, and what it would not",
		Long: `Plan shows the difference between the topics that the file names and those of the
cluster: what apply would make, and what it leaves to a person.`,
		Example: `  millrace topics plan
  millrace topics plan -f pipelines.yaml -f cluster.yaml --format json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withTopics(cmd.Context(), usesTopics, func(c *cluster) error {
				plan, err := c.compareTopics(cmd.Context())
				if err != nil {
					return err
				}
				if err := a.showTopics(format, plan); err != nil {
					return err
				}
				if exitCode && plan.Pending()+plan.Left() > 0 {
					return errSaid
				}
				return nil
			})
		},
	}
	formatFlag(cmd, &format)
	exitCodeFlag(cmd, &exitCode, "the cluster differs from the file")
	return cmd
}

// withTopics runs f on the configuration's cluster.
func (a *app) withTopics(ctx context.Context, of uses, f func(*cluster) error) error {
	c, err := a.connect(ctx, 0, of)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.close())
}

func (c *cluster) compareTopics(ctx context.Context) (topics.Plan, error) {
	if c.plan == nil {
		return topics.Plan{}, usageError{errors.New("there is no configuration to compare with: name it with -f")}
	}
	return topics.Compare(ctx, c.admin, topics.Wanted(c.plan), topics.OptionsOf(c.plan))
}

func (a *app) showTopics(format string, plan topics.Plan) error {
	if format == "json" {
		return a.printJSON(plan)
	}
	return plan.WriteText(a.out)
}

func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func (a *app) topicsApplyCommand() *cobra.Command {
	var format string
	var yes bool
	cmd := &cobra.Command{
		Use: "apply", Short: "Make the cluster's topics as the file says",
		Long: `Apply shows the plan, asks, and makes it. It exits 1 where a difference is left that
it does not make, such as a topic with more partitions than the file says.`,
		Example: `  millrace topics apply
  millrace topics apply --yes`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if !yes && !a.canAsk() {
				return usageError{errors.New("topics apply asks before it changes anything, and nobody can answer " +
					"here: give --yes")}
			}
			return a.withTopics(cmd.Context(), usesTopics, func(c *cluster) error {
				return a.applyTopics(cmd.Context(),
					c, format, yes)
			})
		},
	}
	formatFlag(cmd, &format)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// canAsk tells whether somebody sits at a terminal.
func (a *app) canAsk() bool {
	in, ok := a.in.(*os.File)
	return ok && term.IsTerminal(int(in.Fd())) && terminal(a.err)
}

func (a *app) applyTopics(ctx context.Context, c *cluster, format string, yes bool) error {
	plan, err := c.compareTopics(ctx)
	if err != nil {
		return err
	}
	if err := a.showTopics(format, plan); err != nil {
		return err
	}
	if plan.Pending() > 0 {
		if !yes && !a.ask(fmt.Sprintf("make %s? [y/N] ", count(plan.Pending(), "change"))) {
			return errors.New("nothing was changed")
		}
		made := 0
		err := topics.Apply(ctx, c.admin, plan, func(topics.Change) { made++ })
		if err != nil {
			return fmt.Errorf("%s made of %d: %w", count(made, "change"), plan.Pending(), err)
		}
		if format == "text" {
			fmt.Fprintf(a.out, "%s made\n", count(made, "change"))
		}
	}
	if plan.Left() > 0 {
		return fmt.Errorf("%s left, for the reasons above", count(plan.Left(), "difference"))
	}
	return nil
}

// ask asks a question that y or yes answers.
func (a *app) ask(question string) bool {
	fmt.Fprint(a.err, question)
	answer, _ := bufio.NewReader(a.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}

func (a *app) topicsListCommand() *cobra.Command {
	var format string
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List topics with partitions, replication, retention, and each pipeline's lag",
		Long: `List shows the topics that the file names, or whose names its patterns match; with
--all, or without a file, those of the whole cluster. Lag is what a pipeline's
group has not committed yet; a group that has not begun has the whole topic
before it.`,
		Example: `  millrace topics list
  millrace topics list --all --format json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withTopics(cmd.Context(), only("kafka"), func(c *cluster) error {
				listed, err := c.listTopics(cmd.Context(), all)
				if err != nil {
					return err
				}
				if format == "json" {
					return a.printJSON(listed)
				}
				if len(listed) > 0 {
					if err := topics.WriteList(a.out, listed); err != nil {
						return err
					}
				}
				return a.tellMissing(c, listed)
			})
		},
	}
	formatFlag(cmd, &format)
	cmd.Flags().BoolVar(&all, "all", false, "every topic of the cluster")
	return cmd
}

// tellMissing says which of the topics that the file names are not there yet.
func (a *app) tellMissing(c *cluster, listed []topics.Listed) error {
	if c.plan == nil {
		if len(listed) == 0 {
			fmt.Fprintln(a.err, "there are no topics")
		}
		return nil
	}
	var missing []string
	for _, w := range topics.Wanted(c.plan) {
		if !slices.ContainsFunc(listed, func(l topics.Listed) bool { return l.Topic == w.Name }) {
			missing = append(missing, w.Name)
		}
	}
	if len(missing) > 0 && !a.quiet {
		fmt.Fprintf(a.err, "not made yet: %s; `millrace topics apply` makes what the file names\n",
			c.plan.Redactor.Text(strings.Join(missing, ", ")))
	}
	return nil
}

func (c *cluster) listTopics(ctx context.Context, all bool) ([]topics.Listed, error) {
	planned := c.plan
	if planned == nil {
		planned, all = &plan.Plan{}, true
	}
	readers := topics.Readers(planned)
	if all {
		return topics.List(ctx, c.admin, nil, readers)
	}
	names := []string{}
	for _, w := range topics.Wanted(planned) {
		names = append(names, w.Name)
	}
	there, err := c.admin.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range there {
		for _, r := range readers {
			if r.Reads(t.Name) && !slices.Contains(names, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	return topics.List(ctx, c.admin, names, readers)
}
