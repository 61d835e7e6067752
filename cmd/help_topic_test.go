package cmd

import (
	"io"
	"strings"
	"testing"
)

func TestHelpOfNoCommand(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		said string
	}{
		{args: "help nosuch", code: exitUsage, said: `there is no command "nosuch"`},
		{args: "help keys nosuch", code: exitUsage, said: `there is no command "nosuch"`},
		{args: "help validte", code: exitUsage, said: `did you mean "validate"?`},
		{args: "help validate"},
		{args: "help"},
	} {
		var errOut strings.Builder
		code := run(t.Context(), strings.Fields(c.args), strings.NewReader(""), io.Discard, &errOut)
		if code != c.code || !strings.Contains(errOut.String(), c.said) {
			t.Errorf("%s: %d, %s", c.args, code, &errOut)
		}
	}
}
