package compile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// condition compiles a filter or a when, nil where it is not written or wrong.
func (c *compiler) condition(f *config.File, scope *expression.Scope, path diag.Path,
	source string) *expression.Expression {
	return c.compileExpression(f, path, source, scope.Condition)
}

// expression compiles an expression of any type, nil where it is not written or
// wrong.
func (c *compiler) expression(f *config.File, scope *expression.Scope, path diag.Path,
	source string) *expression.Expression {
	return c.compileExpression(f, path, source, scope.Expression)
}

func (c *compiler) compileExpression(f *config.File, path diag.Path, source string,
	compile func(string) (*expression.Expression, []expression.Finding)) *expression.Expression {
	if source == "" || !c.sound(f, path) {
		return nil
	}
	compiled, findings := compile(source)
	whole := func(text string) bool {
		_, found := compile(text)
		return !slices.ContainsFunc(found, func(f expression.Finding) bool { return !f.Warning })
	}
	if c.findings(f, path, source, findings, whole) {
		return nil
	}
	return compiled
}

// bareText is what reads as text: words, or a URL or a time of day.
var bareText = regexp.MustCompile(`^(?:[\pL_][\pL\pN_ -]*[!.?]?|[\w.+-]+:[^"?${}\\]*)$`)

// leaf compiles an expression of a transform, where text is easily written
// without the quotes that it needs within YAML's.
func (c *compiler) leaf(f *config.File, scope *expression.Scope, path diag.Path, source string) *expression.Expression {
	count := len(c.problems)
	compiled := c.expression(f, scope, path, source)
	if len(c.problems) != count+1 || compiled != nil {
		return compiled
	}
	if p := &c.problems[count]; (p.Code == expression.CodeUnknownName || p.Code == expression.CodeSyntax) &&
		p.Fix == "" && bareText.MatchString(source) {
		p.Place = f.Source.Inside(path, 0)
		p.Hint = "text needs quotes within the quotes: " + `'"` + source + `"'`
		if p.Code == expression.CodeSyntax {
			p.Message = "this is no expression"
		}
		p.Fix, p.FixAt = f.Source.Spell(path, `"`+source+`"`)
	}
	return compiled
}

// template compiles a template, nil where it is not written or wrong.
func (c *compiler) template(f *config.File, scope *expression.Scope, path diag.Path, source string,
	place expression.Place) *expression.Template {
	if source == "" || !c.sound(f, path) {
		return nil
	}
	compiled, findings := scope.Template(source, place)
	if c.findings(f, path, source, findings, nil) {
		return nil
	}
	return compiled
}

// findings reports the first error that was found in a text, and the warnings,
// and tells whether there was an error. Whole tells whether another text would
// have compiled: so an expression of which YAML cut off a comment is found.
func (c *compiler) findings(f *config.File, path diag.Path, source string, findings []expression.Finding,
	whole func(string) bool) bool {
	failed := false
	for _, finding := range findings {
		if !finding.Warning {
			if failed {
				continue
			}
			failed = true
			if c.eatenByComment(f, path, source, finding, whole) {
				continue
			}
		}
		c.add(yamlconf.FindingProblem(f.Source, path, finding))
	}
	return failed
}

// eatenByComment reports an expression whose rest YAML took for a comment.
func (c *compiler) eatenByComment(f *config.File, path diag.Path, source string, finding expression.Finding,
	whole func(string) bool) bool {
	place, between, comment, ok := f.Source.Comment(path)
	if !ok || whole == nil {
		return false
	}
	all := source + between + comment
	if finding.Offset < len(strings.TrimRight(source, " \t,"))-1 && !whole(all) {
		return false
	}
	c.add(diag.Problem{Path: path, Place: place, Code: diag.CodeEaten,
		Message: "YAML takes what follows # as a comment, and without it the expression is not complete",
		Hint:    "put the whole text in single quotes: '…'", Fix: diag.Quote(all),
		FixAt: f.Source.FromValue(path)})
	return true
}

// fillTemplate gives a sink's template what was compiled of it.
func fillTemplate(t *handlers.Template, compiled *expression.Template) {
	_, constant := compiled.Constant()
	t.Program, t.Secret, t.Constant, t.Prefix, t.Sample = compiled, compiled.Secret(), constant, compiled.Prefix(),
		compiled.Sample()
}
