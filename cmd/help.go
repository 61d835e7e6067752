package cmd

import "github.com/spf13/cobra"

// help refuses to tell of what is no command.
func help(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Example = "  millrace help validate"
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err != nil {
					return err
				}
				return knownCommand(found, rest)
			}
		}
	}
}

const rootExample = `  millrace init shop && cd shop      # a first pipelines.yaml
  millrace validate                  # what is wrong with it, at which line and column
  millrace run                       # runs it, with an embedded broker where it names no cluster
  millrace tail large-events         # what came of it, in a second terminal
  millrace status`

// group sorts the commands of the help by when they are used; one that is not
// named here stands below the others.
func group(root *cobra.Command) {
	groups := []struct {
		id, title string
		commands  []string
	}{
		{"run", "Run:", []string{"run", "broker", "pause", "resume", "status"}},
		{"before", "Before it runs:", []string{"init", "validate", "config", "graph", "eval", "test", "dry-run",
			"topics"}},
		{"after", "See why, and mend:", []string{"explain", "tail", "publish", "replay", "dead-letter", "jobs", "skip",
			"seek", "keys"}},
		{"reference", "Reference:", []string{"handlers", "schema", "completion", "version", "help"}},
	}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, name := range g.commands {
			for _, cmd := range root.Commands() {
				if cmd.Name() == name {
					cmd.GroupID = g.id
				}
			}
		}
	}
	root.SetHelpCommandGroupID("reference")
}
