package yamlconf

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

// flow reads the list or map in brackets that starts at a byte of the text, and
// finds where it stops being one.
func (f *finder) flow(at int) (finding, bool) {
	r := flowReader{text: string(f.text), at: at, start: at, base: f.indent(f.lineAt(at)), longQuote: -1}
	return r.read()
}

type flowReader struct {
	text        string
	at, start   int
	base        int
	open        []int
	afterValue  bool
	afterQuoted bool
	// longQuote is where a text in quotes started that ended on a later line,
	// -1 where the last one did not.
	longQuote int
}

func (r *flowReader) read() (finding, bool) {
	for r.at < len(r.text) {
		if found, ok := r.step(); ok {
			return found, true
		}
		if len(r.open) == 0 {
			return r.behind()
		}
	}
	return r.unclosed()
}

// step takes one token.
func (r *flowReader) step() (finding, bool) {
	switch c := r.text[r.at]; {
	case c == '\n':
		r.at++
		if r.leavesBlock() {
			return r.unclosed()
		}
	case c == ' ' || c == '\t' || c == '\r':
		r.at++
	case c == '#':
		r.skipLine()
	case c == '[' || c == '{':
		if r.afterValue {
			return r.expected()
		}
		r.open = append(r.open, r.at)
		r.at++
	case c == ']' || c == '}':
		opening := r.text[r.open[len(r.open)-1]]
		if opening == '[' != (c == ']') {
			return finding{at: r.at, code: diag.CodeSyntax, message: fmt.Sprintf("%c is closed by %c", opening, c)},
				true
		}
		r.open = r.open[:len(r.open)-1]
		r.afterValue, r.afterQuoted = true, true
		r.at++
	case c == ',':
		if !r.afterValue && !r.afterColon() {
			return finding{at: r.at, code: diag.CodeSyntax, message: "a value is missing before this comma",
				hint: "remove the comma, or write the value"}, true
		}
		r.afterValue, r.afterQuoted = false, false
		r.at++
	case c == ':' && r.colonEnds():
		r.afterValue, r.afterQuoted = false, false
		r.at++
	case c == '"' || c == '\'':
		return r.quoted()
	default:
		return r.plain()
	}
	return finding{}, false
}

func (r *flowReader) quoted() (finding, bool) {
	if r.afterValue {
		return r.expected()
	}
	end := closingQuote(r.text, r.at)
	if end < 0 {
		return finding{at: r.at, code: diag.CodeSyntax, message: fmt.Sprintf("the quote %c that starts here is never "+
			"closed", r.text[r.at])}, true
	}
	if i := badEscape(r.text[:end], r.at); r.text[r.at] == '"' && i >= 0 {
		return finding{at: i, code: diag.CodeSyntax, message: "YAML does not know this escape in double quotes",
			hint: "double the backslash, or " + quoteHint}, true
	}
	if r.longQuote = -1; strings.Contains(r.text[r.at:end], "\n") {
		r.longQuote = r.at
	}
	r.at, r.afterValue, r.afterQuoted = end+1, true, true
	return finding{}, false
}

// plain takes text without quotes.
func (r *flowReader) plain() (finding, bool) {
	if r.afterQuoted {
		return r.expected()
	}
	switch c := r.text[r.at]; c {
	case '@', '`', '%', '|', '>', '!', '*', '&':
		return finding{at: r.at, code: diag.CodeEaten,
			message: fmt.Sprintf("YAML does not take %c as the start of text", c), hint: quoteHint}, true
	}
	start := r.at
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '[' || c == '{':
			return r.bracketInText(start)
		case c == '?' && r.at > start && (r.at+1 == len(r.text) || space(r.text[r.at+1])):
			message := fmt.Sprintf("inside of brackets YAML ends the text %q at this ?",
				clip(strings.TrimSpace(r.text[start:r.at])))
			return finding{at: r.at, code: diag.CodeEaten, message: message, hint: quoteHint}, true
		case c == '\n', c == '\r', c == ']', c == '}', c == ',', c == ':' && r.colonEnds(),
			c == '#' && r.at > start && space(r.text[r.at-1]):
			r.afterValue = true
			return finding{}, false
		}
		r.at++
	}
	return finding{}, false
}

// bracketInText is text that YAML ends at a bracket.
func (r *flowReader) bracketInText(start int) (finding, bool) {
	at := r.at
	message := fmt.Sprintf("inside of brackets YAML ends the text %q at this %c",
		clip(strings.TrimSpace(r.text[start:at])), r.text[at])
	if r.text[at-1] == '$' {
		at--
		message = "inside of brackets YAML does not take ${…} as part of the text"
	}
	found := finding{at: at, code: diag.CodeEaten, message: message, hint: quoteHint}
	if end := flowTextEnd(r.text, start); end > at {
		found.fix, found.from, found.to = "'"+strings.ReplaceAll(r.text[start:end], "'", "''")+"'", start, end
	}
	return found, true
}

// flowTextEnd is where a text with brackets of its own ends that was meant as one
// value, -1 where that is not certain.
func flowTextEnd(text string, start int) int {
	depth := 0
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case c == '[' || c == '{' || c == '(':
			depth++
		case depth > 0 && (c == ']' || c == '}' || c == ')'):
			depth--
		case c == '\n', c == '#', depth == 0 && strings.IndexByte(`"'`, c) >= 0:
			return -1
		case depth == 0 && strings.IndexByte(",]}", c) >= 0:
			return start + len(strings.TrimRight(text[start:i], " \t"))
		}
	}
	return -1
}

func (r *flowReader) expected() (finding, bool) {
	if r.longQuote >= 0 {
		return finding{at: r.longQuote, code: diag.CodeSyntax,
			message: fmt.Sprintf("the quote %c that starts here is never closed", r.text[r.longQuote])}, true
	}
	closing := "]"
	if r.text[r.open[len(r.open)-1]] == '{' {
		closing = "}"
	}
	return finding{at: r.at, code: diag.CodeSyntax, message: "a comma or " + closing + " is expected before this",
			hint: "separate the values with commas; put text that starts with a quote or bracket in " +
				"single quotes: '…'"},
		true
}

func (r *flowReader) unclosed() (finding, bool) {
	at := r.start
	if len(r.open) > 0 {
		at = r.open[len(r.open)-1]
	}
	closing := map[byte]string{'[': "]", '{': "}"}[r.text[at]]
	found := finding{at: at, code: diag.CodeSyntax,
		message: fmt.Sprintf("the %c that starts here is never closed", r.text[at]), hint: "close it with " + closing}
	line, _, _ := strings.Cut(r.text[r.start:], "\n")
	line = strings.TrimRight(line, " \t\r")
	if inLine := r.start + len(line); len(r.open) > 0 && len(r.open) <= 8 && r.open[len(r.open)-1] < inLine &&
		!strings.ContainsAny(line, "#\"'") {
		for i := len(r.open) - 1; i >= 0; i-- {
			found.fix += map[byte]string{'[': "]", '{': "}"}[r.text[r.open[i]]]
		}
		found.from, found.to = inLine, inLine
	}
	return found, true
}

// behind looks at what follows the closing bracket on its line.
func (r *flowReader) behind() (finding, bool) {
	rest, _, _ := strings.Cut(r.text[r.at:], "\n")
	trimmed := strings.TrimSpace(rest)
	if trimmed == "" || strings.HasPrefix(trimmed, "#") && rest[0] == ' ' {
		return finding{}, false
	}
	what := "a list"
	if r.text[r.start] == '{' {
		what = "a map"
	}
	return finding{at: r.start, code: diag.CodeEaten,
		message: fmt.Sprintf("YAML reads text that starts with %c as %s, and can't read %q behind it", r.text[r.start],
			what, clip(trimmed)), hint: quoteHint}, true
}

// leavesBlock tells whether the line that starts here is no longer indented
// below the value.
func (r *flowReader) leavesBlock() bool {
	line, _, _ := strings.Cut(r.text[r.at:], "\n")
	line = strings.TrimRight(line, "\r ")
	text := strings.TrimLeft(line, " ")
	if text == "" || text[0] == '#' || strings.ContainsRune("]}", rune(text[0])) {
		return false
	}
	return len(line)-len(text) <= r.base && (lineKey.MatchString(text) || strings.HasPrefix(text, "- "))
}

func (r *flowReader) colonEnds() bool {
	if r.at+1 >= len(r.text) || r.afterQuoted {
		return true
	}
	return strings.ContainsRune(" \t\r\n,[]{}", rune(r.text[r.at+1]))
}

func (r *flowReader) afterColon() bool {
	before := strings.TrimRight(r.text[:r.at], " \t\r\n")
	return strings.HasSuffix(before, ":")
}

func (r *flowReader) skipLine() {
	for r.at < len(r.text) && r.text[r.at] != '\n' {
		r.at++
	}
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
