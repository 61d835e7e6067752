package expression

import (
	"errors"
	"regexp/syntax"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// badPattern reports a regular expression that cannot be read, where it goes
// wrong.
func (c *compilation) badPattern(n ast.Node, pattern string, err error) {
	message := "the regular expression cannot be read"
	e, ok := errors.AsType[*syntax.Error](err)
	if !ok || c.secret {
		c.find(n, CodePattern, message, "")
		return
	}
	at, size, why, hint := patternMistake(pattern, e)
	c.findWithin(n, pattern, patternMiss{at, size, why, hint}, CodePattern, message)
}

// patternMiss is where in a constant text a mistake is, and what it is.
type patternMiss struct {
	at, size  int
	why, hint string
}

// findWithin finds a mistake in a constant text.
func (c *compilation) findWithin(n ast.Node, text string, miss patternMiss, code, message string) {
	if c.secret {
		c.find(n, code, message, "")
		return
	}
	s := c.extent(n)
	// Only what is written without escapes stands at the same place in the source.
	if literal, ok := n.(*ast.StringNode); ok && s.to-s.from == len(literal.Value)+2 &&
		c.source[s.from+1:s.to-1] == literal.Value {
		c.findAt(s.from+1+miss.at, s.from+1+min(miss.at+miss.size, len(text)), code, message+": "+miss.why, miss.hint)
		return
	}
	c.find(n, code, message+": "+miss.why, miss.hint)
}

// patternMistake says where in a pattern which mistake is.
func patternMistake(pattern string, e *syntax.Error) (at, size int, why, hint string) {
	at, size = max(0, strings.Index(pattern, e.Expr)), max(1, len(e.Expr))
	switch e.Code {
	case syntax.ErrMissingParen:
		unclosed, _ := parens(pattern)
		return max(0, unclosed), 1, "this ( is never closed", `add ), or write \\( for the sign itself`
	case syntax.ErrUnexpectedParen:
		_, stray := parens(pattern)
		return max(0, stray), 1, "there is no ( that this ) closes", `write \\) for the sign itself`
	case syntax.ErrMissingBracket:
		return at, 1, "this [ is never closed", `add ], or write \\[ for the sign itself`
	case syntax.ErrMissingRepeatArgument:
		return at, size, "there is nothing that " + e.Expr + " could repeat",
			`any text is .*; the sign itself is \\` + e.Expr[:1]
	case syntax.ErrInvalidRepeatSize, syntax.ErrInvalidRepeatOp:
		return at, size, "it cannot be repeated by " + e.Expr, ""
	case syntax.ErrInvalidCharRange:
		return at, size, "the range " + e.Expr + " goes backwards", ""
	case syntax.ErrInvalidNamedCapture, syntax.ErrInvalidPerlOp:
		for _, look := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
			if i := strings.Index(pattern, look); i >= 0 {
				return i, len(look), "it cannot look ahead or behind", "join two conditions instead, by && and not"
			}
		}
	case syntax.ErrInvalidEscape:
		if len(e.Expr) > 1 && isDigit(e.Expr[1]) {
			return at, size, "it cannot refer back to a group", ""
		}
	}
	return at, size, strings.TrimPrefix(e.Error(), "error parsing regexp: "), ""
}

// parens are where the last ( is that is never closed, and the first ) that
// closes nothing; -1 where there is none.
func parens(pattern string) (unclosed, stray int) {
	var open []int
	stray = -1
	class := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			open = append(open, i)
		case c == ')' && len(open) > 0:
			open = open[:len(open)-1]
		case c == ')' && stray < 0:
			stray = i
		}
	}
	if len(open) == 0 {
		return -1, stray
	}
	return open[len(open)-1], stray
}
