package cmd

import (
	"os"
	"testing"
)

// What somebody is told who is in the wrong folder, or asks for what is not
// there yet.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range [][]string{{"tail", "orders"}, {"topics", "list"}, {"publish", "orders", "x"}} {
		expect(t, dir, 1, "there is neither a pipelines.yaml nor a state folder .millrace here", args...)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("a folder was made where nothing is: %v, %v", left, err)
	}
	write(t, dir, "pipelines.yaml", topicsFile)
	expect(t, dir, 0, "not made yet: orders, notify.dead-letter, copies; `millrace topics apply` makes", "topics", "list")
	expect(t, dir, 1, `topic "orders" does not exist yet: `+"`millrace run` makes it", "tail", "orders")
	expect(t, dir, 1, `topic "else" does not exist, nor does any other; --create makes it now`, "publish", "else", "x")
	expect(t, dir, 0, "published 2 records", "publish", "--create", "else", "x", "y")
	expect(t, dir, 1, `topic "elsa" does not exist (did you mean "else"?)`, "tail", "elsa")
	expect(t, dir, 1, `topic "foreign" does not exist; those that do: else`, "tail", "foreign")
	expect(t, dir, 0, "--where holds for none of 1 record; -n -1 looks at the whole topic", "tail", "else", "-n", "1", "--where", `value == "z"`, "--until-end")
	expect(t, dir, 2, "Run 'millrace publish --help' for usage.", "publish", "else", "-H", "x")
	expect(t, dir, 2, "Run 'millrace topics apply --help' for usage.", "topics", "apply", "--format", "yaml")
	expect(t, dir, 2, "Run 'millrace --help' for usage.", "nix")
}
