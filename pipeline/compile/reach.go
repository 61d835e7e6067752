package compile

import (
	"strings"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
)

// reach finds routes that no record can come to.
type reach struct {
	c     *compiler
	file  *config.File
	path  diag.Path
	open  int
	why   string
	whens map[string]int
}

func newReach(c *compiler, f *config.File, path diag.Path) *reach {
	return &reach{c: c, file: f, path: path, open: -1, whens: map[string]int{}}
}

// route looks at the next route. At most one thing is said of each.
func (r *reach) route(i int, when *expression.Expression) {
	at := r.path.Field("routes").Item(i)
	condition := at.Field("when")
	written := r.file.Source.Has(condition)
	warn := func(path diag.Path, place diag.Place, message, hint string, first int, why string) {
		p := diag.Problem{Path: path, Place: place, Severity: diag.Warning, Code: diag.CodeUnreachable,
			Message: message, Hint: hint}
		if first >= 0 {
			p.Related = &diag.Related{Place: r.file.Source.Key(r.path.Field("routes").Item(first)), Message: why}
		}
		r.c.add(p)
	}
	var answer, always bool
	same := ""
	if when != nil {
		answer, always = when.Always()
		same = withoutSpace(when.Source())
	}
	first, repeated := r.whens[same]
	switch {
	case r.open >= 0:
		warn(at, r.file.Source.Key(at), "no record reaches this route: one above takes them all",
			"move it up, or remove it", r.open, r.why)
	case written && when == nil:
	case always && !answer:
		warn(condition, r.file.Source.Value(condition), "no record takes this route: its condition is always false", "",
			-1, "")
	case when != nil && repeated:
		warn(condition, r.file.Source.Value(condition),
			"no record reaches this route: one above has the same condition", "", first,
			"the first with this condition")
	case !written:
		r.open, r.why = i, "this route has no when"
	case always:
		r.open, r.why = i, "the condition of this route is always true"
	}
	if when != nil && !repeated {
		r.whens[same] = i
	}
}

// constantCondition warns of a sink's when that is the same for every record.
func (c *compiler) constantCondition(f *config.File, path diag.Path, condition *expression.Expression, ifFalse string) {
	if condition == nil {
		return
	}
	answer, always := condition.Always()
	if !always {
		return
	}
	message, hint := "the condition is always true", "leave it out"
	if !answer {
		message, hint = ifFalse, ""
	}
	c.warn(f, path, diag.CodeUnreachable, message, hint)
}

// withoutSpace is an expression without the white space outside of its texts.
func withoutSpace(source string) string {
	var b strings.Builder
	quote := rune(0)
	for _, r := range source {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'' || r == '`':
			quote = r
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// misplaced tells whether one of the keys was written somewhere below path, where
// nobody knows it.
func (c *compiler) misplaced(f *config.File, path diag.Path, keys ...string) bool {
	for _, p := range c.config.Problems {
		if p.Code != diag.CodeUnknownKey || p.Place.File != f.Name || !p.Path.Within(path) {
			continue
		}
		for _, key := range keys {
			if p.Path == p.Path.Parent().Field(key) {
				return true
			}
		}
	}
	return false
}
