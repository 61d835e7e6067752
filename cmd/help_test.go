package cmd

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/handlers/builtin"
)

// commands are all commands that millrace has.
func commands(t *testing.T) []*cobra.Command {
	t.Helper()
	a := &app{program: program{registry: builtin.Registry()}, in: strings.NewReader(""), out: io.Discard, err: io.Discard}
	all := commandsBelow(a.root())
	if len(all) < 15 {
		t.Fatalf("only %d commands", len(all))
	}
	return all
}

func TestHelpOfEveryCommand(t *testing.T) {
	for _, cmd := range commands(t) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: a short text is no whole sentence: %q", path, cmd.Short)
		}
		if cmd.Parent() == cmd.Root() && cmd.GroupID == "" {
			t.Errorf("%s stands in no group of the help", path)
		}
		if !cmd.HasSubCommands() && cmd.Example == "" && cmd.Name() != "version" {
			t.Errorf("%s has no example", path)
		}
		for _, line := range append(strings.Split(cmd.Long, "\n"), strings.Split(cmd.Example, "\n")...) {
			if len([]rune(line)) > 100 {
				t.Errorf("%s: a line of its help is too wide: %q", path, line)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: %q", path, f.Name, f.Usage)
			}
		})
	}
}

// What an example calls is there, with its flags.
func TestExamplesOfHelpCanBeTyped(t *testing.T) {
	all := commands(t)
	root := all[0].Root()
	checked := 0
	for _, cmd := range append(all, root) {
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(line, "  #")
			for _, part := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("|&;<>()", r) }) {
				words := strings.Fields(part)
				if len(words) == 0 || words[0] != "millrace" {
					continue
				}
				checked++
				found, rest, err := root.Find(words[1:])
				if err != nil || found == root {
					t.Errorf("%q of %s is no command", part, cmd.CommandPath())
					continue
				}
				for _, word := range rest {
					name, isFlag := strings.CutPrefix(word, "--")
					name, _, _ = strings.Cut(name, "=")
					if isFlag && found.Flags().Lookup(name) == nil && found.InheritedFlags().Lookup(name) == nil {
						t.Errorf("%q of %s: there is no flag --%s", part, cmd.CommandPath(), name)
					}
				}
			}
		}
	}
	if checked < 25 {
		t.Errorf("only %d examples were checked", checked)
	}
}
