package yamlconf

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

// lineKey is a key with its colon at the start of what is left of a line.
var lineKey = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s\[\]{}"'#&*!|>%@,` + "`" +
	`-][^#\[\]{},]*?|-[^\s#\[\]{},][^#\[\]{},]*?)\s*:(?:\s+|$)`)

// onLine looks for what YAML can't take on one line of a block.
func (f *finder) onLine(line int, colonMissing bool) (finding, bool) {
	text, start := f.line(line), f.starts[line]
	at := f.indent(line)
	if at < len(text) && text[at] == '\t' {
		return finding{at: start + at, code: diag.CodeSyntax, message: "a tab can't indent in YAML",
			hint: "use spaces"}, true
	}
	item := false
	for strings.HasPrefix(text[at:], "- ") {
		item = true
		at += 2
		for at < len(text) && text[at] == ' ' {
			at++
		}
	}
	keyed := false
	if m := lineKey.FindString(text[at:]); m != "" {
		keyed = true
		at += len(m)
	}
	if at >= len(text) || text[at] == '#' {
		return finding{}, false
	}
	if found, ok := f.value(text, at, start); ok {
		return found, true
	}
	switch {
	case strings.IndexByte("\"'[{", text[at]) >= 0:
		return finding{}, false
	case keyed:
		return doubleColon(text, at, start)
	case item && !colonMissing:
		return finding{}, false
	case f.amongItems(line) && !item:
		return finding{at: start + at, code: diag.CodeSyntax, message: "a key stands where a list item is expected",
			hint: "start the item with a dash, or indent the key below one", fix: "- ", from: start + at,
			to: start + at}, true
	default:
		return missingColon(text, at, start)
	}
}

// amongItems tells whether the line above, as far as it is indented alike, is a
// list item.
func (f *finder) amongItems(line int) bool {
	for above := line - 1; above >= 0; above-- {
		if !f.blank(above) && f.indent(above) <= f.indent(line) {
			return f.indent(above) == f.indent(line) && strings.HasPrefix(f.line(above)[f.indent(above):], "- ")
		}
	}
	return false
}

// value looks at a value by what it starts with.
func (f *finder) value(text string, at, start int) (finding, bool) {
	eaten := func(at int, message, hint string) (finding, bool) {
		return finding{at: start + at, code: diag.CodeEaten, message: message, hint: hint}, true
	}
	switch c := text[at]; c {
	case '"', '\'':
		return f.quoted(text, at, start)
	case '[', '{':
		if strings.HasPrefix(text[at:], "{{") {
			return eaten(at, "YAML reads text that starts with { as a map",
				"put it in single quotes: '…'; where another tool fills {{ … }} in, check what it makes")
		}
		return f.flow(start + at)
	case '!':
		return eaten(at, "YAML takes text that starts with ! as a tag", quoteHint)
	case '*':
		return eaten(at, "YAML takes text that starts with * as a reference to an anchor", quoteHint)
	case '&':
		return eaten(at, "YAML takes text that starts with & as an anchor", quoteHint)
	case '|', '>':
		return eaten(at, fmt.Sprintf("YAML takes text that starts with %c as the header of a block of lines", c),
			quoteHint)
	case '@', '`', '%':
		return eaten(at, fmt.Sprintf("YAML does not allow text to start with %c", c), quoteHint)
	case ']', '}', ',':
		return eaten(at, fmt.Sprintf("a value can't start with %c", c), "remove it, or "+quoteHint)
	case '\t':
		return finding{at: start + at, code: diag.CodeSyntax, message: "a tab stands where a value is expected",
			hint: "use spaces"}, true
	case '-':
		if at+1 == len(text) || text[at+1] == ' ' {
			return finding{at: start + at, code: diag.CodeSyntax, message: "a list can't start on the line of its key",
				hint: "start it on the next line, or write it as [a, b]"}, true
		}
	}
	return finding{}, false
}

// quoted looks at a value that starts with a quote.
func (f *finder) quoted(text string, at, start int) (finding, bool) {
	quote := text[at]
	end := closingQuote(text, at)
	if end < 0 {
		if quote == '"' {
			if i := badEscape(text, at); i >= 0 && strings.Contains(f.reason, "escape") {
				return finding{at: start + i, code: diag.CodeSyntax,
					message: "YAML does not know this escape in double quotes",
					hint:    "double the backslash, or " + quoteHint}, true
			}
		}
		found := finding{at: start + at, code: diag.CodeSyntax,
			message: fmt.Sprintf("the quote %c that starts here is never closed", quote),
			hint:    fmt.Sprintf("close it with another %c", quote)}
		if rest := strings.TrimRight(text, " \t"); !strings.ContainsAny(rest[at+1:], "#\"'[]{}\\") {
			found.fix, found.from, found.to = string(quote), start+len(rest), start+len(rest)
		}
		return found, true
	}
	if quote == '"' {
		if i := badEscape(text[:end], at); i >= 0 {
			return finding{at: start + i, code: diag.CodeSyntax,
				message: "YAML does not know this escape in double quotes",
				hint:    "double the backslash, or " + quoteHint}, true
		}
	}
	rest := text[end+1:]
	trimmed := strings.TrimLeft(rest, " \t")
	if trimmed == "" || trimmed[0] == '#' && trimmed != rest {
		return finding{}, false
	}
	if quote == '\'' && trimmed == rest && strings.Contains(rest, "'") {
		return finding{at: start + end, code: diag.CodeEaten, message: "YAML ends the text at this quote",
			hint: "double a quote inside of single quotes: ''"}, true
	}
	return finding{at: start + at, code: diag.CodeEaten,
		message: fmt.Sprintf("YAML takes the quotes as those of the whole text, and can't read %q behind them",
			clip(trimmed)), hint: quoteHint}, true
}

// doubleColon finds a second `: ` in a plain value.
func doubleColon(text string, at, start int) (finding, bool) {
	for i := at; i < len(text); i++ {
		switch {
		case text[i] == '#' && text[i-1] == ' ':
			return finding{}, false
		case text[i] == ':' && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t'):
			return finding{at: start + i, code: diag.CodeEaten,
					message: "YAML takes this colon for the end of a key, and the text has one already",
					hint:    quoteHint},
				true
		}
	}
	return finding{}, false
}

// missingColon is a line that should have been a key.
func missingColon(text string, at, start int) (finding, bool) {
	rest := text[at:]
	inserting := func(i int, what string, f finding) (finding, bool) {
		f.code, f.fix, f.from, f.to = diag.CodeSyntax, what, start+at+i, start+at+i
		return f, true
	}
	if strings.HasPrefix(rest, "-") && len(rest) > 1 && rest[1] != '-' {
		return inserting(1, " ", finding{at: start + at + 1,
			message: "a space is missing after the dash of a list item", hint: "write - " + clip(rest[1:])})
	}
	if i := strings.IndexByte(rest, ':'); i > 0 && i+1 < len(rest) && !strings.ContainsAny(rest[:i], " \t") &&
		!strings.HasPrefix(rest[i:], "://") {
		return inserting(i+1, " ", finding{at: start + at + i + 1, message: "a space is missing after the colon",
			hint: fmt.Sprintf("write %s: %s", clip(rest[:i]), clip(rest[i+1:]))})
	}
	word := strings.TrimRight(rest, " ")
	colon := ":"
	if i := strings.IndexAny(rest, " \t="); i > 0 {
		word = rest[:i]
	}
	if gap := strings.TrimLeft(rest[len(word):], " \t"); strings.HasPrefix(gap, "=") && !strings.HasPrefix(gap, "==") {
		equals := at + len(rest) - len(gap)
		found := finding{at: start + equals, code: diag.CodeSyntax,
			message: fmt.Sprintf("a key and its value are separated by a colon, not by %c", '='),
			hint:    fmt.Sprintf("write %s: %s", clip(word), clip(strings.TrimSpace(gap[1:])))}
		found.fix, found.from, found.to = ": ", start+at+len(word),
			start+equals+1+len(gap[1:])-len(strings.TrimLeft(gap[1:], " \t"))
		return found, true
	}
	return inserting(len(word), colon, finding{at: start + at,
		message: fmt.Sprintf("a key and a colon are expected here: the colon after %q is missing", clip(word)),
		hint:    fmt.Sprintf("write %s: …", clip(word))})
}

// closingQuote finds the quote that ends the text which starts at at, -1 where
// there is none on the line.
func closingQuote(text string, at int) int {
	quote := text[at]
	for i := at + 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case text[i] != quote:
		case quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return i
		}
	}
	return -1
}

// badEscape finds a backslash that YAML does not know, -1 for none.
func badEscape(text string, at int) int {
	for i := at + 1; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if !strings.ContainsRune("0abt\tnvfre \"/\\N_LPxuU", rune(text[i+1])) {
			return i
		}
		i++
	}
	return -1
}

// clip shortens text for messages.
func clip(text string) string { return diag.Clip(text, 40) }
