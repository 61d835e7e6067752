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
	// with is the text to put in the place of from..to, or of all up to end where
	// that is further, and from start on where that is not 0, where mends is set.
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
	if s.mends {
		c.findings[0].Fix = mended(c.source, s)
	}
}

func (c *compilation) broken(e *file.Error) broken {
	from, to := c.byteAt(e.From), c.byteAt(e.To)
	if from >= len(c.source) {
		from = max(0, len(c.source)-1)
	}
	return broken{c.source, from, min(max(to, from+1), len(c.source)), e.Message}
}

// mended is the source without its slips, "" where it cannot be read even then.
func mended(source string, s slip) string {
	for range 20 {
		from := s.from
		if s.start > 0 {
			from = s.start
		}
		source = source[:from] + s.with + source[max(s.to, s.end):]
		_, err := parser.ParseWithConfig(source, conf.CreateNew())
		if err == nil {
			return source
		}
		e, ok := errors.AsType[*file.Error](err)
		if !ok || len(source) > maxSource {
			return ""
		}
		if s, ok = newCompilation(nil, source).broken(e).slip(); !ok || !s.mends {
			return ""
		}
	}
	return ""
}

// token is what the parser stumbled over, "" at the end.
func (b broken) token() string {
	if b.atEnd() {
		return ""
	}
	return b.source[b.from:b.to]
}

func (b broken) atEnd() bool { return strings.Contains(b.message, "EOF") }

// before and after are the text around the token, without space at its side.
func (b broken) before() string { return strings.TrimRight(b.source[:b.from], " \t\r\n") }
func (b broken) after() string  { return b.source[b.from:] }

// say is a slip at the token.
func (b broken) say(message, hint string) (slip, bool) {
	return slip{from: b.from, to: b.to, message: message, hint: hint}, true
}

func (b broken) unexpected(hint string) (slip, bool) {
	token := b.token()
	if !strings.HasPrefix(token, `"`) {
		token = strconv.Quote(token)
	}
	return b.say("unexpected "+token, hint)
}

// replace is a slip of n bytes from the token on, for which with stands.
func (b broken) replace(n int, hint, with string) (slip, bool) {
	to := min(b.from+n, len(b.source))
	return slip{from: b.from, to: to, message: fmt.Sprintf("unexpected %q", b.source[b.from:to]), hint: hint,
		mends: true, with: with}, true
}

// slip finds what was meant.
func (b broken) slip() (slip, bool) {
	for _, look := range []func() (slip, bool){b.curly, b.dollar, b.openQuote, b.badEscape, b.openBracket, b.foreign,
		b.operatorCall, b.quotedField,
		b.word, b.sign, b.bracket, b.neighbour, b.text} {
		if s, ok := look(); ok {
			return s, true
		}
	}
	return slip{}, false
}

var straight = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'")

func (b broken) curly() (slip, bool) {
	i := strings.IndexAny(b.source, "“”„‘’")
	if i < 0 || i > b.from+2 {
		return slip{}, false
	}
	return slip{
		from: i, to: i + len("“"), message: "curly quotes are no quotes", hint: `write text in straight quotes: "…"`,
		mends: true, with: straight.Replace(b.source[i:]), end: len(b.source),
	}, true
}

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
	s.end, s.mends, s.with = end+1, true, strings.TrimSpace(b.source[i+2:end])
	if touches(b.source, i, end) || mended(b.source, s) == "" {
		s.mends, s.hint = false, "this field is an expression: text is joined by +, "+joinedParts(b.source)
	}
	return s, true
}

// touches tells whether text stands at a ${ } as it does in a template, such as
// order-${payload.id}.
func touches(source string, from, end int) bool {
	part := func(i int) bool {
		return i >= 0 && i < len(source) && !strings.ContainsRune(" \t\r\n()[]{},!=<>&|?", rune(source[i]))
	}
	return part(from-1) || part(end+1)
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
	open := -1
	for i := 0; i < len(b.source) && open < 0; i++ {
		if strings.IndexByte("\"'`", b.source[i]) >= 0 {
			end := stringEndQuoted(b.source, i)
			if end >= len(b.source) {
				open = i
			}
			i = end
		}
	}
	if open < 0 {
		return slip{}, false
	}
	quote := b.source[open : open+1]
	return slip{from: open, to: open + 1, message: "the text that begins here is never closed",
		hint: "close it with " + quote}, true
}

// badEscape is a backslash that text cannot hold, most of them from a regular
// expression.
func (b broken) badEscape() (slip, bool) {
	if b.message != "invalid char escape" {
		return slip{}, false
	}
	i := strings.LastIndexByte(b.source[:min(b.from+1, len(b.source))], '\\')
	if i < 0 || i+1 >= len(b.source) {
		return slip{}, false
	}
	return slip{from: i, to: i + 2, message: "text has no escape " + b.source[i:i+2],
		hint:  `a backslash is written twice: \` + b.source[i:i+2],
		mends: true, with: `\` + b.source[i:i+2]}, true
}

// lambda is what stands before the => of a function in other languages: one name
// or several in brackets, as an argument.
var lambda = regexp.MustCompile(`[(,]\s*(?:[A-Za-z_]\w*|\([\w\s,]*\))$`)

// sign of another language, and what stands for it; "" where nothing does.
type foreign struct{ written, hint, with string }

const noName = "a predicate has no name for the element: it is #, and its fields .name, as in any(payload.items, " +
	".price > 3)"

// signs are looked for around the token, the first that is found counts.
var signs = []foreign{
	{"=<", "at most is written <=", "<="},
	{"=~", "text is matched by: matches", "matches"},
	{"~=", "text is matched by: matches", "matches"},
	{"~", "text is matched by: matches", "matches"},
	{"<>", "unequal is written !=", "!="},
	{"::", "a field is read with a dot", "."},
	{" ->", noName, ""},
	{"->", "a field is read with a dot", "."},
	{"===", "== and != have two characters here", "=="},
	{"!==", "== and != have two characters here", "!="},
	{"+=", "an expression changes nothing: it only computes a value", ""},
	{"-=", "an expression changes nothing: it only computes a value", ""},
	{":=", "an expression changes nothing: it only computes a value", ""},
}

func (b broken) foreign() (slip, bool) {
	if b.token() == "=" && strings.HasPrefix(b.after(), "=>") {
		if lambda.MatchString(b.before()) {
			return slip{from: b.from, to: b.from + 2, message: `unexpected "=>"`, hint: noName}, true
		}
		return b.replace(2, "at least is written >=", ">=")
	}
	for _, sign := range signs {
		for from := max(0, b.from-len(sign.written)+1); from <= b.from; from++ {
			if !strings.HasPrefix(b.source[from:], sign.written) {
				continue
			}
			if sign.with == "" {
				return b.unexpected(sign.hint)
			}
			b.from = from
			return b.replace(len(sign.written), sign.hint, sign.with)
		}
	}
	if b.token() == "=" {
		return b.replace(1, "compare with ==", "==")
	}
	return slip{}, false
}

var (
	nullWord   = regexp.MustCompile(`^(?i:is(\s+not)?\s+(?:null|none|nil|undefined|empty)\b)`)
	listOf     = regexp.MustCompile(`(?i:\bin)\s*[({]\s*[^(){}\[\]]*$`)
	listEnd    = regexp.MustCompile(`^[^(){}\[\]]*[)}]`)
	pipeBefore = regexp.MustCompile(`(?:^|[^|])\|(\s*[A-Za-z_]\w*)$`)
	methodLast = regexp.MustCompile(`\.(any|all|none|one|map|filter|find|count|sum|some|every|reduce)\($`)
	lastWord   = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*)\s*$`)
)

const (
	searched  = `text is searched by contains, startsWith, endsWith, or by matches "regular expression"`
	compareBy = "compare with =="
)

// words are those of other languages.
var words = map[string]foreign{
	"is": {hint: compareBy, with: "=="}, "eq": {hint: compareBy, with: "=="}, "equals": {hint: compareBy, with: "=="},
	"ne":   {hint: "unequal is written !=", with: "!="},
	"like": {hint: searched}, "ilike": {hint: searched}, "regexp": {hint: searched}, "rlike": {hint: searched},
	"between":    {hint: "write both ends: 1 <= payload.n <= 5"},
	"then":       {hint: `one of two is: condition ? "this" : "that"`},
	"startswith": {hint: "it is written startsWith", with: "startsWith"},
	"endswith":   {hint: "it is written endsWith", with: "endsWith"},
	"includes":   {hint: partOf, with: "contains"}, "has": {hint: partOf, with: "contains"},
}

const partOf = "text has a part: contains; a list has an element: element in list"

// word is a word from another language.
func (b broken) word() (slip, bool) {
	word := strings.ToLower(b.token())
	if m := nullWord.FindStringSubmatch(b.after()); m != nil {
		operator := "== nil"
		if m[1] != "" {
			operator = "!= nil"
		}
		return b.replace(len(m[0]), "null is nil here: "+operator, operator)
	}
	if slices.Contains([]string{"and", "or", "not", "in"}, word) && b.token() != word {
		return b.replace(len(word), "operators are written in small letters: "+word, word)
	}
	w, ok := words[word]
	switch {
	case !ok:
		return slip{}, false
	case w.with == "":
		return b.unexpected(w.hint)
	default:
		return b.replace(len(word), w.hint, w.with)
	}
}
