package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// called are operators that other languages call like functions.
var called = []string{"contains", "startsWith", "endsWith", "matches"}

// operatorCall is an operator that is called: startsWith(payload.x, "a").
func (b broken) operatorCall() (slip, bool) {
	operator := b.token()
	rest := strings.TrimLeft(b.after()[len(operator):], " ")
	if !slices.Contains(called, operator) || !strings.HasPrefix(rest, "(") {
		return slip{}, false
	}
	s := slip{from: b.from, to: b.to, message: fmt.Sprintf("unexpected %q", operator),
		hint: operator + " stands between the two: payload.text " + operator + ` "…"`}
	open := len(b.source) - len(rest)
	args, end := arguments(b.source, open)
	if len(args) != 2 {
		return s, true
	}
	written := infix(args[0], operator, args[1])
	s.hint = "write " + shorten(written)
	s.mends, s.with, s.end = true, written, end
	if !standsAlone(b.before(), b.source[end:]) {
		s.with = "(" + written + ")"
	}
	return s, true
}

// standsAlone tells whether a comparison can stand between two pieces of source
// without brackets of its own.
func standsAlone(before, after string) bool {
	after = strings.TrimLeft(after, " ")
	return (before == "" || strings.HasSuffix(before, "&&") || strings.HasSuffix(before, "||") ||
		strings.HasSuffix(before, "(")) &&
		(after == "" || strings.HasPrefix(after, "&&") || strings.HasPrefix(after, "||") ||
			strings.HasPrefix(after, ")"))
}

// operand is what may stand beside an operator as it is.
var operand = regexp.MustCompile(`^(?:[\w.#\[\]"]+|"[^"]*"|'[^']*'|\w+\([^()]*\))$`)

func infix(left, operator, right string) string {
	for _, side := range []*string{&left, &right} {
		if !operand.MatchString(*side) {
			*side = "(" + *side + ")"
		}
	}
	return left + " " + operator + " " + right
}

// arguments are what stands between the bracket at open and its other half, and
// where that ends; none where it is never closed.
func arguments(source string, open int) (args []string, end int) {
	from, depth := open+1, 0
	for i := open; i < len(source); i++ {
		switch c := source[i]; c {
		case '"', '\'', '`':
			i = stringEndQuoted(source, i)
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return append(args, strings.TrimSpace(source[from:i])), i + 1
			}
		case ',':
			if depth == 1 {
				args, from = append(args, strings.TrimSpace(source[from:i])), i+1
			}
		}
	}
	return nil, 0
}

// quotedField is a field in quotes behind a dot, at the end of what was read.
var quotedField = regexp.MustCompile(`\.\s*('[^'\\]*'|"[^"\\]*")$`)

func (b broken) quotedField() (slip, bool) {
	before := b.before()
	if b.atEnd() || strings.TrimSpace(b.source[min(b.to, len(b.source)):]) == "" &&
		quotedField.MatchString(strings.TrimSpace(b.source)) {
		before = strings.TrimSpace(b.source)
	}
	m := quotedField.FindStringSubmatchIndex(before)
	if m == nil || !strings.HasPrefix(b.message, "expected name") {
		return slip{}, false
	}
	name := before[m[2]+1 : m[3]-1]
	with := fmt.Sprintf("[%q]", name)
	path := lastPath.FindString(before[:m[0]])
	return slip{from: m[2], to: m[3], message: "a name behind a dot has no quotes", hint: "write " + path + with,
		mends: true, with: with, start: m[0]}, true
}

// lastPath is the path that a text ends with.
var lastPath = regexp.MustCompile(`[A-Za-z_#][\w.\[\]]*$`)

// colonText is text that begins like a URL, a time or a name: a word and a colon.
var colonText = regexp.MustCompile(`^[\w.+-]+$`)

func (b broken) text() (slip, bool) {
	if b.token() != ":" || !colonText.MatchString(strings.TrimSpace(b.before())) {
		return slip{}, false
	}
	if strings.Contains(b.source, "${") {
		return b.unexpected("this field is an expression: text is joined by +, " + joinedParts(b.source))
	}
	if strings.Contains(b.source, `"`) {
		return slip{}, false
	}
	return b.unexpected(`text needs quotes: "` + strings.TrimSpace(b.source) + `"`)
}

// partCalled finds a part of the record, or a variable, that is called: with the
// name of what is looked for in it.
func (c *compilation) partCalled(name string, args []ast.Node) (hint, put string) {
	if len(args) != 1 || c.scope.static && name != "env" {
		return "", ""
	}
	if name == "timestamp" {
		put = "date(" + c.text(args[0]) + ")"
		return "text is read as a time by " + put, put
	}
	text, ok := args[0].(*ast.StringNode)
	switch {
	case !ok || !slices.Contains([]string{"env", "header", "headers", "payload", "source"}, name):
		return "", ""
	case name == "header":
		name = "headers"
	}
	if put = fmt.Sprintf("%s[%q]", name, text.Value); isName(text.Value) {
		put = name + "." + text.Value
	}
	return "write " + put, put
}

// operatorCalled is how a call of what is an operator here is written.
func (c *compilation) operatorCalled(name string, args []ast.Node) string {
	operator, ok := between[name]
	if !ok || len(args) != 2 {
		return ""
	}
	return infix(c.textIn(args[0]), operator, c.textIn(args[1]))
}

func (c *compilation) textIn(n ast.Node) string {
	s := c.extent(n)
	return c.source[s.from:s.to]
}
