package expression

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// slip is what people write out of habit from elsewhere, in a source that cannot
// be read.
type slip struct {
	from, to      int
	message, hint string
	// with is the text to put in the place of start..end, where mends is set.
	mends      bool
	with       string
	start, end int
}

// broken is a source that cannot be read: the parser's message, and the token
// that it stumbled over.
type broken struct {
	source   string
	from, to int
	message  string
	// atEnd tells that it was the end of the source.
	atEnd bool
}

// syntax turns a parser's error into a finding with a hint for common slips, and
// with the text that mends it, where that can then be read.
func (c *compilation) syntax(e *file.Error) {
	if strings.Contains(e.Message, "maximum allowed nodes") {
		c.findAt(0, len(c.source), CodeTooLarge, fmt.Sprintf("the expression has more than %d parts", maxNodes), "")
		return
	}
	b := c.broken(e)
	s, ok := b.slip()
	if !ok {
		c.findAt(b.from, b.to, CodeSyntax, plain(e.Message), "")
		return
	}
	c.findAt(s.from, s.to, CodeSyntax, s.message, s.hint)
	c.findings[0].Fix = mended(c.source, s)
}

func (c *compilation) broken(e *file.Error) broken {
	from, to := c.byteAt(e.From), c.byteAt(e.To)
	atEnd := from >= len(c.source) || strings.Contains(e.Message, "EOF")
	from = max(0, min(from, len(c.source)-1))
	return broken{c.source, from, min(max(to, from+1), len(c.source)), e.Message, atEnd}
}

// mended is the source without its slips, "" where it cannot be read even then.
func mended(source string, s slip) string {
	for range 20 {
		if !s.mends || len(source) > maxSource {
			return ""
		}
		source = source[:s.start] + s.with + source[s.end:]
		_, err := parser.ParseWithConfig(source, conf.CreateNew())
		if err == nil {
			return source
		}
		e, ok := errors.AsType[*file.Error](err)
		if !ok {
			return ""
		}
		s, _ = newCompilation(nil, source).broken(e).slip()
	}
	return ""
}

// slip finds what was meant: by the few functions for what is not at the token, and
// then by the habits.
func (b broken) slip() (slip, bool) {
	for _, look := range []func() (slip, bool){b.curly, b.dollar, b.openQuote, b.badEscape, b.openBracket,
		b.operatorCall} {
		if s, ok := look(); ok {
			return s, true
		}
	}
	if strings.Contains(b.source, token) {
		return slip{}, false
	}
	marked, at := b.source[:b.from]+token+b.source[b.from:], b.from
	if b.atEnd {
		marked, at = b.source+token, len(b.source)
	}
	for _, h := range habits {
		if m := h.at.FindStringSubmatchIndex(marked); m != nil {
			return b.of(h, marked, at, m), true
		}
	}
	return slip{}, false
}

// of is the slip that a habit makes. m is where it matches the source with the token
// marked, which is at.
func (b broken) of(h habit, marked string, at int, m []int) slip {
	group := func(name string, from, to int) (int, int) {
		i := h.at.SubexpIndex(name)
		if i < 0 || m[2*i] < 0 {
			return from, to
		}
		unmarked := func(n int) int {
			if n > at {
				n -= len(token)
			}
			return n
		}
		return unmarked(m[2*i]), unmarked(m[2*i+1])
	}
	filled := func(template string) string {
		text := string(h.at.ExpandString(nil, template, marked, m))
		return strings.ReplaceAll(text, token, "")
	}
	s := slip{message: h.message, hint: filled(h.hint), mends: h.with != "", with: filled(h.with)}
	s.from, s.to = group("at", b.from, b.to)
	s.start, s.end = group("put", s.from, s.to)
	if s.message == "" {
		s.message = "unexpected " + strconv.Quote(b.source[s.from:s.to])
		if b.source[s.from] == '"' {
			s.message = "unexpected " + b.source[s.from:s.to]
		}
	}
	if h.hint == joinText {
		s.hint += joinedParts(b.source)
	}
	return s
}

var straight = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'")

func (b broken) curly() (slip, bool) {
	i := strings.IndexAny(b.source, "“”„‘’")
	if i < 0 || i > b.from+2 {
		return slip{}, false
	}
	return slip{
		from: i, to: i + len("“"), message: "curly quotes are no quotes", hint: `write text in straight quotes: "…"`,
		mends: true, with: straight.Replace(b.source[i:]), start: i, end: len(b.source),
	}, true
}

// joinText is a hint that goes on with the template as an expression.
const joinText = "this field is an expression: text is joined by +, "

// touches is text at a ${ } as it stands in a template, such as order-${payload.id}.
var touches = regexp.MustCompile(`[^\s()\[\]{},!=<>&|?]\$\{|\}[^\s()\[\]{},!=<>&|?]`)

// dollar is a template where an expression belongs.
func (b broken) dollar() (slip, bool) {
	i := strings.Index(b.source, "${")
	if i < 0 || i > b.from+1 {
		return slip{}, false
	}
	s := slip{from: i, to: i + 2, message: "${ } does not belong into an expression",
		hint: "this field is an expression: write it without ${ }"}
	end := closing(b.source, i+2)
	if end < 0 {
		return s, true
	}
	s.mends, s.start, s.end, s.with = true, i, end+1, strings.TrimSpace(b.source[i+2:end])
	if touches.MatchString(b.source) || mended(b.source, s) == "" {
		s.mends, s.hint = false, joinText+joinedParts(b.source)
	}
	return s, true
}

// joinedParts is a template written as an expression.
func joinedParts(source string) string {
	parts, _ := split(source)
	var words []string
	for _, p := range parts {
		if p.expr {
			words = append(words, strings.TrimSpace(p.text))
		} else {
			words = append(words, strconv.Quote(p.text))
		}
	}
	return shorten(strings.Join(words, " + "))
}

// openQuote is text without its closing quote.
func (b broken) openQuote() (slip, bool) {
	if b.message != "literal not terminated" {
		return slip{}, false
	}
	for i := 0; i < len(b.source); i++ {
		if strings.IndexByte("\"'`", b.source[i]) < 0 {
			continue
		}
		open := i
		if i = stringEndQuoted(b.source, i); i >= len(b.source) {
			return slip{from: open, to: open + 1, message: "the text that begins here is never closed",
				hint: "close it with " + b.source[open:open+1]}, true
		}
	}
	return slip{}, false
}

// stringEndQuoted is the index of the quote that closes the one at i.
func stringEndQuoted(s string, i int) int {
	quote := s[i]
	for i++; i < len(s) && s[i] != quote; i++ {
		if s[i] == '\\' && quote != '`' {
			i++
		}
	}
	return i
}

// badEscape is a backslash that text cannot hold, most of them from a regular
// expression.
func (b broken) badEscape() (slip, bool) {
	i := strings.LastIndexByte(b.source[:min(b.from+1, len(b.source))], '\\')
	if b.message != "invalid char escape" || i < 0 || i+1 >= len(b.source) {
		return slip{}, false
	}
	twice := `\` + b.source[i:i+2]
	return slip{from: i, to: i + 2, message: "text has no escape " + b.source[i:i+2],
		hint: "a backslash is written twice: " + twice, mends: true, with: twice, start: i, end: i + 2}, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// openBracket is an expression that ends within brackets.
func (b broken) openBracket() (slip, bool) {
	var open []int
	for _, at := range bracketsIn(b.source) {
		if opens(b.source[at]) {
			open = append(open, at)
		} else if len(open) > 0 {
			open = open[:len(open)-1]
		}
	}
	if !b.atEnd || len(open) == 0 || strings.ContainsAny(lastByte(b.source), "+-*/%<>=&|?.,(!") {
		return slip{}, false
	}
	i := open[len(open)-1]
	closing := map[byte]string{'(': ")", '[': "]", '{': "}"}[b.source[i]]
	return slip{from: i, to: i + 1, message: "this " + b.source[i:i+1] + " is never closed",
		hint: "add " + closing}, true
}

func lastByte(s string) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-1):]
}

// called are operators that other languages call like functions.
var called = []string{"contains", "startsWith", "endsWith", "matches"}

// operatorCall is an operator that is called: startsWith(payload.x, "a").
func (b broken) operatorCall() (slip, bool) {
	operator, rest := b.source[b.from:b.to], strings.TrimLeft(b.source[b.to:], " ")
	if !slices.Contains(called, operator) || !strings.HasPrefix(rest, "(") {
		return slip{}, false
	}
	s := slip{from: b.from, to: b.to, message: fmt.Sprintf("unexpected %q", operator),
		hint: operator + " stands between the two: payload.text " + operator + ` "…"`}
	args, end := arguments(b.source, len(b.source)-len(rest))
	if len(args) != 2 {
		return s, true
	}
	written := infix(args[0], operator, args[1])
	s.hint = "write " + shorten(written)
	s.mends, s.start, s.end, s.with = true, b.from, end, written
	if !alone.MatchString(b.source[:b.from] + token + b.source[end:]) {
		s.with = "(" + written + ")"
	}
	return s, true
}

// alone is where a comparison can stand without brackets of its own.
var alone = regexp.MustCompile(`(?:^|&&|\|\||\()\s*` + token + `\s*(?:$|&&|\|\||\))`)

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

// arguments are what stands in the first brackets from open on, and where those end;
// none where they are never closed.
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
