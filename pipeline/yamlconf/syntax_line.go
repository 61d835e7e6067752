package yamlconf

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

var (
	// lineKey is a key with its colon at the start of what is left of a line.
	lineKey = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s\[\]{}"'#&*!|>%@,` + "`" +
		`-][^#\[\]{},]*?|-[^\s#\[\]{},][^#\[\]{},]*?)\s*:(?:\s+|$)`)
	// secondColon is one that would end a key, before any comment.
	secondColon = regexp.MustCompile(`^(?:[^:#]|:[^\s:]|[^ ]#)*?:(?:[ \t]|$)`)
	// noDash is a list item without a space behind its dash, noSpace a key without one
	// behind its colon, and equals a key with another sign in its place.
	noDash  = regexp.MustCompile(`^-[^ -]`)
	noSpace = regexp.MustCompile(`^[^\s:]+:(?:[^/]|/[^/])`)
	equals  = regexp.MustCompile(`^([^\s=]+)[ \t]*=(?:[^=]|$)[ \t]*`)
)

// starts are what YAML makes of text that starts with a sign.
var starts = map[byte]string{
	'!': "YAML takes text that starts with ! as a tag",
	'*': "YAML takes text that starts with * as a reference to an anchor",
	'&': "YAML takes text that starts with & as an anchor",
	'|': "YAML takes text that starts with | as the header of a block of lines",
	'>': "YAML takes text that starts with > as the header of a block of lines",
	'@': "YAML does not allow text to start with @",
	'`': "YAML does not allow text to start with `",
	'%': "YAML does not allow text to start with %",
	']': "a value can't start with ]",
	'}': "a value can't start with }",
	',': "a value can't start with ,",
}

const (
	tabIndents  = "a tab can't indent in YAML"
	keyForItem  = "a key stands where a list item is expected"
	dashOrBelow = "start the item with a dash, or indent the key below one"
)

// onLine looks for what YAML can't take on one line of a block.
func (f *finder) onLine(line int, colonMissing bool) *finding {
	text, start := f.line(line), f.starts[line]
	columns := f.blockColumns(line)
	at := columns[len(columns)-1]
	if indent := f.indent(line); indent < len(text) && text[indent] == '\t' {
		return syntaxAt(start+indent, tabIndents, "use spaces")
	}
	key := ""
	if at < len(text) {
		key = lineKey.FindString(text[at:])
	}
	if at += len(key); at >= len(text) || text[at] == '#' {
		return nil
	}
	if found := f.value(text, at, start); found != nil || strings.IndexByte("\"'[{", text[at]) >= 0 {
		return found
	}
	isItem := len(columns) > 1
	switch {
	case key != "":
		if n := len(secondColon.FindString(text[at:])); n > 0 {
			return eatenAt(start+at+len(strings.TrimRight(text[at:at+n], " \t"))-1,
				"YAML takes this colon for the end of a key, and the text has one already")
		}
		return nil
	case isItem && !colonMissing:
		return nil
	case f.amongItems(line) && !isItem:
		return syntaxAt(start+at, keyForItem, dashOrBelow).with("- ", start+at, start+at)
	default:
		return missingColon(text[at:], start+at)
	}
}

// amongItems tells whether the line above, as far as it is indented alike, is a
// list item.
func (f *finder) amongItems(line int) bool {
	for above := f.above(line); above >= 0; above = f.above(above) {
		if f.indent(above) <= f.indent(line) {
			return f.indent(above) == f.indent(line) && len(f.blockColumns(above)) > 1
		}
	}
	return false
}

// value looks at a value by what it starts with.
func (f *finder) value(text string, at, start int) *finding {
	switch c := text[at]; {
	case c == '"' || c == '\'':
		return f.quoted(text, at, start)
	case strings.HasPrefix(text[at:], "{{"):
		found := eatenAt(start+at, "YAML reads text that starts with { as a map")
		found.hint = "put it in single quotes: '…'; where another tool fills {{ … }} in, check what it makes"
		return found
	case c == '[' || c == '{':
		return f.flow(start + at)
	case starts[c] != "":
		found := eatenAt(start+at, starts[c])
		if strings.IndexByte("]},", c) >= 0 {
			found.hint = "remove it, or " + quoteHint
		}
		return found
	case c == '\t':
		return syntaxAt(start+at, "a tab stands where a value is expected", "use spaces")
	case c == '-' && (at+1 == len(text) || text[at+1] == ' '):
		return syntaxAt(start+at, "a list can't start on the line of its key",
			"start it on the next line, or write it as [a, b]")
	}
	return nil
}

// quoted looks at a value that starts with a quote.
func (f *finder) quoted(text string, at, start int) *finding {
	end := closingQuote(text, at)
	if end < 0 {
		if found := badEscape(text, at); found != nil && strings.Contains(f.reason, "escape") {
			found.at += start
			return found
		}
		quote := text[at : at+1]
		found := syntaxAt(start+at, "the quote "+quote+" that starts here is never closed",
			"close it with another "+quote)
		if rest := strings.TrimRight(text, " \t"); !strings.ContainsAny(rest[at+1:], "#\"'[]{}\\") {
			found.with(quote, start+len(rest), start+len(rest))
		}
		return found
	}
	if found := badEscape(text[:end], at); found != nil {
		found.at += start
		return found
	}
	rest := text[end+1:]
	trimmed := strings.TrimLeft(rest, " \t")
	switch {
	case trimmed == "" || trimmed[0] == '#' && trimmed != rest:
		return nil
	case text[at] == '\'' && trimmed == rest && strings.Contains(rest, "'"):
		found := eatenAt(start+end, "YAML ends the text at this quote")
		found.hint = "double a quote inside of single quotes: ''"
		return found
	default:
		return eatenAt(start+at, fmt.Sprintf("YAML takes the quotes as those of the whole text, and can't read %q "+
			"behind them", clip(trimmed)))
	}
}

// missingColon is what stands at a byte and should have been a key.
func missingColon(rest string, at int) *finding {
	if noDash.MatchString(rest) {
		return syntaxAt(at+1, "a space is missing after the dash of a list item", "write - "+clip(rest[1:])).
			with(" ", at+1, at+1)
	}
	if noSpace.MatchString(rest) {
		key, value, _ := strings.Cut(rest, ":")
		at += len(key) + 1
		return syntaxAt(at, "a space is missing after the colon", fmt.Sprintf("write %s: %s", clip(key), clip(value))).
			with(" ", at, at)
	}
	if m := equals.FindStringSubmatchIndex(rest); m != nil {
		sign := m[3] + strings.IndexByte(rest[m[3]:], '=')
		value := strings.TrimLeft(rest[sign+1:], " \t")
		return syntaxAt(at+sign, "a key and its value are separated by a colon, not by =",
			fmt.Sprintf("write %s: %s", clip(rest[:m[3]]), clip(strings.TrimSpace(value)))).
			with(": ", at+m[3], at+len(rest)-len(value))
	}
	word := strings.TrimRight(rest, " ")
	if i := strings.IndexAny(rest, " \t="); i > 0 {
		word = rest[:i]
	}
	return syntaxAt(at, fmt.Sprintf("a key and a colon are expected here: the colon after %q is missing", clip(word)),
		fmt.Sprintf("write %s: …", clip(word))).with(":", at+len(word), at+len(word))
}

// closingQuote finds the quote that ends the text which starts at at, -1 where
// there is none on the line.
func closingQuote(text string, at int) int {
	if end := diag.ClosingQuote(text[at:]); end >= 0 {
		return at + end
	}
	return -1
}

// badEscape finds a backslash that YAML does not know in double quotes.
func badEscape(text string, at int) *finding {
	for i := at + 1; i+1 < len(text) && text[at] == '"'; i++ {
		if text[i] != '\\' {
			continue
		}
		if !strings.ContainsRune("0abt\tnvfre \"/\\N_LPxuU", rune(text[i+1])) {
			return syntaxAt(i, "YAML does not know this escape in double quotes", "double the backslash, or "+quoteHint)
		}
		i++
	}
	return nil
}

// clip shortens text for messages.
func clip(text string) string { return diag.Clip(text, 40) }
