package pipeline

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Part is a configuration for who uses only some of it: what is wrong elsewhere
// stops nothing.
type Part struct {
	// Plan can't be run: what is wrong elsewhere is missing in it.
	Plan *Plan
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
func LoadPart(files []string, o LoadOptions, registry handlers.Registry, uses func(diag.Problem) bool) Part {
	o.uses = func(p diag.Problem) bool {
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

func loadPart(files []string, o LoadOptions, registry handlers.Registry) (part Part) {
	config, problems := Read(files, o, registry)
	if config != nil {
		config.fragment = true
		plan, more := Compile(config, registry)
		problems = append(problems, more...)
		redactProblems(problems, plan.secrets)
		nearestVariables(problems, config.envNames)
		problems.Sort()
		part.Plan = plan
	}
	for _, p := range problems {
		switch {
		case IsUnset(p) && strings.HasSuffix(string(p.Path), ".source.instance"): // only a member's name
		case missingInSink(p):
			part.Unset = append(part.Unset, p)
		case o.uses(p):
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
	inSink := strings.Contains(path, ".sinks[") && !strings.HasSuffix(path, ".when") && !strings.HasSuffix(path, ".name")
	return IsUnset(p) && inSink
}

// Of are the problems of one pipeline.
func Of(problems diag.Problems, pipeline string) diag.Problems {
	path := diag.Path("pipelines").Field(pipeline)
	return slices.DeleteFunc(slices.Clone(problems), func(p diag.Problem) bool { return !p.Path.Within(path) })
}

// outermost is a line that begins a block of the outermost level.
var outermost = regexp.MustCompile(`^([a-z_]+):(?:\s|$)`)

// withoutBroken parses a file that is no YAML once more, without the blocks of
// its outermost level that are not and that nobody uses; the problems are then of
// those blocks. Where it is not certain which they are, nothing is gained.
func (r *reader) withoutBroken(source *diag.Source, broken diag.Problems) (*yamlconf.Document, diag.Problems) {
	text, first, found := bytes.Clone(source.Text()), broken, diag.Problems{}
	for {
		name, from, to := blockAt(text, broken)
		if name == "" || r.options.uses(diag.Problem{Path: diag.Path(name), Code: diag.CodeSyntax}) {
			return nil, first
		}
		for _, p := range broken {
			p.Path = diag.Path(name)
			found.Add(p)
		}
		for i := from; i < to; i++ {
			if text[i] != '\n' && text[i] != '\r' {
				text[i] = ' '
			}
		}
		var document *yamlconf.Document
		if document, broken = yamlconf.ParseSource(diag.NewSource(source.Name(), text), r.vocabulary); document != nil {
			return document, append(found, broken...)
		}
	}
}

// blockAt is the block of the outermost level that the first error is in; no
// name where a line does not clearly begin one.
func blockAt(text []byte, broken diag.Problems) (name string, from, to int) {
	wrong := slices.IndexFunc(broken, func(p diag.Problem) bool { return p.Severity == diag.Error })
	if wrong < 0 || broken[wrong].Place.Line == 0 {
		return "", 0, 0
	}
	at, line := 0, 0
	for l := range bytes.Lines(text) {
		line++
		if m := outermost.FindSubmatch(l); m != nil {
			if line > broken[wrong].Place.Line && to == 0 {
				to = at
			}
			if to == 0 {
				name, from = string(m[1]), at
			}
		} else if len(bytes.TrimSpace(l)) > 0 && !bytes.ContainsAny(l[:1], " \t#") && !bytes.HasPrefix(l, []byte("---")) {
			return "", 0, 0
		}
		at += len(l)
	}
	if to == 0 {
		to = at
	}
	return name, from, to
}
