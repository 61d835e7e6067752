package cmd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
)

// uses tells which problems of a configuration matter to a command.
type uses func(diag.Problem) bool

// only is what lies in blocks. Who reads records needs "kafka" alone, and who
// looks keys up "idempotency" as well.
func only(blocks ...diag.Path) uses {
	return func(p diag.Problem) bool {
		return slices.ContainsFunc(blocks, func(b diag.Path) bool {
			return p.Path.Within(b) || b == "idempotency" && p.Code == diag.CodeStore
		})
	}
}

// pipelinePath is where a pipeline stands in a file; without a name, all of them.
func pipelinePath(args []string) diag.Path {
	if len(args) == 0 {
		return "pipelines"
	}
	return diag.Path("pipelines").Field(args[0])
}

// usesTopics is what a command needs that compares topics: where they are, what
// the file says of them, and their names, but for those that sinks write.
func usesTopics(p diag.Problem) bool {
	return only("kafka", "topics")(p) || topicPath.MatchString(string(p.Path))
}

var topicPath = regexp.MustCompile(`^pipelines\.[^\[]*\.(source\.(topics?|pattern|group)|dead_letter)\b|^ingest\.routes\[\d+\]\.topic$`)

// loadPart loads the configuration for a command that uses only parts of it.
// Problems of those are shown on standard error, and errInvalid tells that some
// are errors. What is wrong elsewhere is counted in one line; that a variable is
// not set in this shell is no mistake, and no reason for one.
func (a *app) loadPart(of uses) (compile.Part, error) {
	options, err := a.loadOptions()
	if err != nil {
		return compile.Part{}, err
	}
	part := compile.LoadPart(a.configFiles(), options, a.registry, of)
	if part.Plan != nil {
		a.redactor = part.Plan.Redactor
	}
	if err := diag.Write(painted(a.err), diag.FormatText, part.Problems, colour(a.err)); err != nil {
		return part, err
	}
	if part.Problems.HasErrors() {
		return part, errInvalid
	}
	wrong := slices.DeleteFunc(slices.Clone(part.Elsewhere), compile.IsUnset)
	if len(wrong) > 0 && !a.quiet {
		fmt.Fprintf(a.err, "the configuration has %s in parts that this command does not use; `millrace validate` "+
			"shows them\n", count(len(wrong), "error"))
	}
	return part, nil
}

// sayUnset names what stands as unknown text in what is shown of pipelines.
func (a *app) sayUnset(part compile.Part, shown []*plan.Pipeline) {
	var all []string
	for _, p := range shown {
		for _, unset := range compile.Of(part.Unset, p.Name) {
			if !slices.Contains(all, unset.Message) {
				all = append(all, unset.Message)
			}
		}
	}
	if len(all) > 0 && !a.quiet {
		fmt.Fprintf(a.err, "%s: what a sink makes of it is unknown text here\n", strings.Join(all, "; "))
	}
}

// notThere is the error for a name that the configuration lacks. It may only seem
// so where all that is called thus could not be read.
func (a *app) notThere(part compile.Part, err error) error {
	broken := slices.ContainsFunc(part.Elsewhere, func(p diag.Problem) bool { return p.Path == "pipelines" })
	if !broken {
		return err
	}
	if err := diag.Write(painted(a.err), diag.FormatText, part.Elsewhere, colour(a.err)); err != nil {
		return err
	}
	return errInvalid
}

// sound are the pipelines that were read without an error, or the one named. It
// says which are left out, and shows why where none is left.
func (a *app) sound(part compile.Part, args []string) ([]*plan.Pipeline, error) {
	chosen, err := choose(part.Plan, args)
	if err != nil {
		return nil, a.notThere(part, err)
	}
	var left []string
	chosen = slices.DeleteFunc(slices.Clone(chosen), func(p *plan.Pipeline) bool {
		wrong := compile.Of(part.Elsewhere, p.Name).HasErrors()
		if wrong {
			left = append(left, p.Name)
		}
		return wrong
	})
	switch {
	case len(chosen) == 0 && len(part.Elsewhere) > 0:
		if err := diag.Write(painted(a.err), diag.FormatText, part.Elsewhere, colour(a.err)); err != nil {
			return nil, err
		}
		return nil, errInvalid
	case len(left) > 0 && !a.quiet:
		fmt.Fprintf(a.err, "left out, since the configuration has errors there: %s\n", strings.Join(left, ", "))
	}
	a.sayUnset(part, chosen)
	return chosen, nil
}
