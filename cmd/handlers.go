package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

func (a *app) handlersCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "handlers [KIND]", Short: "The sinks: a list, or everything about one, with an example to paste",
		Long: `Handlers lists the kinds of sinks that this binary has. With a KIND it shows every
key that the sink takes, what its acknowledgement is worth, and a whole
configuration to paste.`,
		Example: `  millrace handlers
  millrace handlers http
  millrace handlers file --format markdown`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains([]string{"text", "json", "markdown"}, format) {
				return usageError{fmt.Errorf("--format takes text, json or markdown, not %q", format)}
			}
			if len(args) == 0 {
				return a.listHandlers(a.registry, format)
			}
			return a.showHandler(a.registry, args[0], format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, json or markdown")
	return cmd
}

// listedHandler is one kind in a list.
type listedHandler struct {
	Kind    string `json:"kind"`
	Summary string `json:"summary,omitempty"`
	// Available is false for kinds that only later versions have.
	Available bool `json:"available"`
}

func (a *app) listHandlers(registry handlers.Registry, format string) error {
	var all []listedHandler
	for _, kind := range registry.Kinds() {
		all = append(all, listedHandler{kind, registry[kind].Summary(), true})
	}
	for _, kind := range config.MissingHandlers(registry) {
		all = append(all, listedHandler{Kind: kind})
	}
	if format == "json" {
		return a.printJSON(all)
	}
	var out strings.Builder
	if format == "markdown" {
		out.WriteString("| sink | what it does |\n|---|---|\n")
	}
	for _, h := range all {
		summary := h.Summary
		if !h.Available {
			summary = "(not available in this version)"
		}
		if format == "markdown" {
			fmt.Fprintf(&out, "| `%s` | %s |\n", h.Kind, summary)
		} else {
			fmt.Fprintf(&out, "%-8s %s\n", h.Kind, summary)
		}
	}
	if format == "text" && !a.quiet {
		out.WriteString("\n`millrace handlers KIND` shows the keys of one, with an example.\n")
	}
	_, err := fmt.Fprint(a.out, out.String())
	return err
}

func (a *app) showHandler(registry handlers.Registry, kind, format string) error {
	spec, ok := registry[kind]
	if !ok {
		return unknownHandler(registry, kind)
	}
	page := config.DescribeHandler(spec)
	switch format {
	case "json":
		return a.printJSON(page)
	case "markdown":
		_, err := fmt.Fprint(a.out, page.Markdown())
		return err
	default:
		_, err := fmt.Fprint(a.out, handlerText(page))
		return err
	}
}

func unknownHandler(registry handlers.Registry, kind string) error {
	missing := config.MissingHandlers(registry)
	if slices.Contains(missing, kind) {
		return usageError{fmt.Errorf("the %s sink is not available in this version; it has %s", kind,
			strings.Join(registry.Kinds(), ", "))}
	}
	if near := diag.Nearest(kind, append(registry.Kinds(), missing...)); near != "" {
		return usageError{fmt.Errorf("there is no sink %q (did you mean %q?)", kind, near)}
	}
	return usageError{fmt.Errorf("there is no sink %q; the sinks are %s", kind, strings.Join(registry.Kinds(), ", "))}
}
