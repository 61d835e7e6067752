package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

// parse reads the source within its limits. Where it cannot, there is a finding.
func (c *compilation) parse() ast.Node {
	if strings.TrimSpace(c.source) == "" {
		c.findAt(0, len(c.source), CodeEmpty, "the expression is empty", "")
		return nil
	}
	if len(c.source) > maxSource {
		c.findAt(0, len(c.source), CodeTooLarge, fmt.Sprintf("the expression has %d bytes: at most %d are taken",
			len(c.source), maxSource), "")
		return nil
	}
	tree, err := parser.ParseWithConfig(c.shrink(), c.scope.language())
	if err == nil {
		return tree.Node
	}
	if e, ok := errors.AsType[*file.Error](err); ok {
		c.syntax(e)
	} else {
		c.findAt(0, len(c.source), CodeSyntax, "the expression cannot be read", "")
	}
	return nil
}

// language is how expr reads and compiles. Making one costs more than a small
// expression does, so that the scope keeps it.
func (s *scope) language() *conf.Config {
	if s.config == nil {
		s.config = conf.CreateNew()
		s.config.MaxNodes = maxNodes
		s.config.Optimize = false
	}
	return s.config
}

// shrink replaces integer literals beyond 64 bits, which expr's parser refuses,
// by zeros of the same width, and remembers them by where they stand.
func (c *compilation) shrink() string {
	tokens, err := lexer.Lex(file.NewSource(c.source))
	if err != nil {
		return c.source
	}
	source := c.source
	for _, t := range tokens {
		digits := strings.ReplaceAll(t.Value, "_", "")
		if t.Kind != lexer.Number || len(digits) < 19 || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		if _, err := strconv.ParseInt(digits, 10, 64); err == nil {
			continue
		}
		if c.big == nil {
			c.big = map[int]string{}
		}
		c.big[t.From] = strings.TrimLeft(digits, "0")
		from, to := c.byteAt(t.From), c.byteAt(t.To)
		source = source[:from] + strings.Repeat("0", to-from) + source[to:]
	}
	return source
}

func (c *compilation) integer(n *ast.IntegerNode) term {
	if digits, ok := c.big[n.Location().From]; ok {
		return c.constantTerm(n, json.Number(digits))
	}
	return c.constantTerm(n, int64(n.Value))
}

// negative is minus a literal beyond 64 bits, which may just fit.
func negative(digits json.Number) any {
	if i, err := strconv.ParseInt("-"+string(digits), 10, 64); err == nil {
		return i
	}
	return json.Number("-" + string(digits))
}

// plain takes the parser's own words out of its messages.
func plain(message string) string {
	if rest, ok := strings.CutPrefix(message, "unexpected token "); ok {
		if strings.HasPrefix(rest, "EOF") {
			return "the expression ends too early"
		}
		if i := strings.IndexByte(rest, '('); i >= 0 && strings.HasSuffix(rest, ")") {
			return "unexpected " + rest[i+1:len(rest)-1]
		}
	}
	switch {
	case message == "literal not terminated":
		return "the text is never closed by a quote"
	case strings.HasPrefix(message, "bad number syntax"):
		return "a number cannot go on like this"
	case strings.Contains(message, "and coalesce expressions"):
		return "?? cannot stand beside another operator: put one of the two in brackets"
	case strings.Contains(message, "value out of range"):
		return "the number is too large"
	case strings.Contains(message, "literal: strconv"):
		return "this is no number"
	case message == "expected name":
		return "the name of a field is missing"
	}
	return message
}

// isName tells whether s can follow a dot.
func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r == '$' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
