package compile

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
)

// Part is a configuration for who uses only some of it: what is wrong elsewhere
// stops nothing.
type Part struct {
	// Plan can't be run: what is wrong elsewhere is missing in it.
	Plan *plan.Plan
	// Problems are those of the parts that are used. Where there are errors,
	// Plan is nil.
	Problems diag.Problems
	// Elsewhere are the errors of the other parts.
	Elsewhere diag.Problems
	// Unset are the missing variables and files that stand in the plan as unknown
	// text: those of sinks, in the order of the files.
	Unset diag.Problems
}

// LoadPart is Load for a command that uses only parts of the configuration. Uses
// tells which problems are of those parts; those of a file as a whole always are,
// and so is a top-level key that nobody knows: it may be a block that is used. Files
// may be read twice: Texts holds those that can't be.
func LoadPart(files []string, o config.Options, registry handlers.Registry, uses func(diag.Problem) bool) Part {
	o.Uses = func(p diag.Problem) bool {
		return p.Path == "" || p.Path.Parent() == "" && p.Code == diag.CodeUnknownKey || uses(p)
	}
	part := loadPart(files, o, registry)
	if part.Plan != nil && part.Unset != nil {
		// All that is used is there, so that unknown text can only come to stand
		// for what is missing elsewhere.
		o.SkipEnv = true
		part.Plan = loadPart(files, o, registry).Plan
	}
	return part
}

func loadPart(files []string, o config.Options, registry handlers.Registry) (part Part) {
	config, problems := config.Read(files, o, registry)
	if config != nil {
		config.Fragment = true
		result, more := Compile(config, registry)
		problems = append(problems, more...)
		result.Plan.Redactor.Problems(problems)
		nearestVariables(problems, config.EnvNames)
		problems.Sort()
		part.Plan = result.Plan
	}
	for _, p := range problems {
		switch {
		case IsUnset(p) && strings.HasSuffix(string(p.Path), ".source.instance"): // only a member's name
		case missingInSink(p):
			part.Unset = append(part.Unset, p)
		case o.Uses(p):
			part.Problems = append(part.Problems, p)
		case p.Severity == diag.Error:
			part.Elsewhere = append(part.Elsewhere, p)
		}
	}
	if part.Problems.HasErrors() {
		part.Plan = nil
	}
	return part
}

// IsUnset tells whether a problem is a variable or a file that is missing where
// the command runs, and need not be wrong.
func IsUnset(p diag.Problem) bool {
	return p.Code == expression.CodeUnset || p.Code == expression.CodeFile
}

// missingInSink tells whether a problem is a variable or a file that only a sink
// needs: no decision hangs on it.
func missingInSink(p diag.Problem) bool {
	path := string(p.Path)
	inSink := strings.Contains(path, ".sinks[") && !strings.HasSuffix(path, ".when") &&
		!strings.HasSuffix(path, ".name")
	return IsUnset(p) && inSink
}

// Of are the problems of one pipeline.
func Of(problems diag.Problems, pipeline string) diag.Problems {
	path := diag.Path("pipelines").Field(pipeline)
	return slices.DeleteFunc(slices.Clone(problems), func(p diag.Problem) bool { return !p.Path.Within(path) })
}
