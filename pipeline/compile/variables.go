package compile

import (
	"regexp"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
)

var unsetVariable = regexp.MustCompile(`^the environment variable (\S+) is not set$`)

// nearestVariables names, for variables that are not set, the nearest one that
// is, and says of missing files how to do without.
func nearestVariables(problems diag.Problems, names []string) {
	for i := range problems {
		p := &problems[i]
		switch p.Code {
		case expression.CodeUnset:
			if m := unsetVariable.FindStringSubmatch(p.Message); m != nil {
				if near := diag.Nearest(m[1], names); near != "" {
					p.Hint = "did you mean " + near + ", which is set? Else " + p.Hint
				}
			}
		case expression.CodeFile:
			if p.Hint == "" {
				p.Hint = "the path is relative to the folder of this file; --skip-env checks without such files"
			}
		}
	}
}
