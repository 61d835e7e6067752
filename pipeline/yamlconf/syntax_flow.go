package yamlconf

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

// What stands before a place in a list or map in brackets.
const (
	nothing = iota
	// plain is text without quotes, whole is what ends by itself.
	plain
	whole
)

var closers = map[byte]string{'[': "]", '{': "}"}

// flow finds where the list or map in brackets that starts at a byte of the text
// stops being one, nil where it does not.
func (f *finder) flow(start int) *finding {
	text, base := string(f.text), f.indent(f.lineAt(start))
	open, before, longQuote := []int(nil), nothing, -1
	for at := start; at < len(text); {
		c := text[at]
		switch {
		case c == '\n' && leavesBlock(text[at+1:], base):
			return f.unclosed(start, open)
		case space(c):
			at++
			continue
		case c == '#':
			at += len(firstLine(text[at:]))
			continue
		case longQuote >= 0 && before == whole && strings.IndexByte("]},:", c) < 0:
			return syntaxAt(longQuote,
				fmt.Sprintf("the quote %c that starts here is never closed", text[longQuote]), "")
		case before == whole && strings.IndexByte("]},:", c) < 0,
			before == plain && strings.IndexByte("[{\"'", c) >= 0:
			return syntaxAt(at, "a comma or "+closers[text[open[len(open)-1]]]+" is expected before this",
				"separate the values with commas; put text that starts with a quote or bracket in single quotes: '…'")
		case c == '[' || c == '{':
			open = append(open, at)
			at++
			continue
		}
		switch {
		case c == ']' || c == '}':
			opening := text[open[len(open)-1]]
			if closers[opening] != string(c) {
				return syntaxAt(at, fmt.Sprintf("%c is closed by %c", opening, c), "")
			}
			open, before = open[:len(open)-1], whole
			at++
			if len(open) == 0 {
				return behindFlow(text, start, at)
			}
		case c == ',':
			if before == nothing && !strings.HasSuffix(strings.TrimRight(text[:at], " \t\r\n"), ":") {
				return syntaxAt(at, "a value is missing before this comma", "remove the comma, or write the value")
			}
			before = nothing
			at++
		case c == ':' && (before == whole || endsKey(text, at)):
			before = nothing
			at++
		case c == '"' || c == '\'':
			end := closingQuote(text, at)
			if end < 0 {
				return syntaxAt(at, fmt.Sprintf("the quote %c that starts here is never closed", c), "")
			}
			if found := badEscape(text[:end], at); found != nil {
				return found
			}
			if longQuote = -1; strings.Contains(text[at:end], "\n") {
				longQuote = at
			}
			at, before = end+1, whole
		case strings.IndexByte("@`%|>!*&", c) >= 0:
			return eatenAt(at, fmt.Sprintf("YAML does not take %c as the start of text", c))
		default:
			end := flowTextEnd(text, at)
			if end < len(text) && strings.IndexByte("[{?", text[end]) >= 0 {
				return cutText(text, at, end)
			}
			at, before = end, plain
		}
	}
	return f.unclosed(start, open)
}

// flowTextEnd is where YAML ends a text without quotes in brackets.
func flowTextEnd(text string, start int) int {
	for at := start; at < len(text); at++ {
		switch c := text[at]; {
		case strings.IndexByte("\n\r]},[{", c) >= 0, c == ':' && endsKey(text, at),
			c == '?' && at > start && (at+1 == len(text) || space(text[at+1])),
			c == '#' && at > start && space(text[at-1]):
			return at
		}
	}
	return len(text)
}

// endsKey tells whether a colon ends a key in brackets.
func endsKey(text string, at int) bool {
	return at+1 == len(text) || strings.IndexByte(" \t\r\n,[]{}", text[at+1]) >= 0
}

// cutText is text from start on that YAML ends at a bracket or question mark.
func cutText(text string, start, at int) *finding {
	message := fmt.Sprintf("inside of brackets YAML ends the text %q at this %c",
		clip(strings.TrimSpace(text[start:at])), text[at])
	if text[at] != '?' && text[at-1] == '$' {
		at--
		message = "inside of brackets YAML does not take ${…} as part of the text"
	}
	found := eatenAt(at, message)
	depth := 0
	for i := start; i < len(text) && text[at] != '?'; i++ {
		switch c := text[i]; {
		case strings.IndexByte("[{(", c) >= 0:
			depth++
		case depth > 0 && strings.IndexByte("]})", c) >= 0:
			depth--
		case c == '\n', c == '#', depth == 0 && (c == '"' || c == '\''):
			return found
		case depth == 0 && strings.IndexByte(",]}", c) >= 0:
			found.from, found.to = start, start+len(strings.TrimRight(text[start:i], " \t"))
			found.fix = diag.Quote(text[found.from:found.to])
			return found
		}
	}
	return found
}

func (f *finder) unclosed(start int, open []int) *finding {
	text, at := string(f.text), start
	if len(open) > 0 {
		at = open[len(open)-1]
	}
	found := syntaxAt(at, fmt.Sprintf("the %c that starts here is never closed", text[at]),
		"close it with "+closers[text[at]])
	line := strings.TrimRight(firstLine(text[start:]), " \t\r")
	if found.from = start + len(line); len(open) <= 8 && at < found.from && !strings.ContainsAny(line, "#\"'") {
		for i := range open {
			found.fix = closers[text[open[i]]] + found.fix
		}
		found.to = found.from
	}
	return found
}

// behindFlow looks at what follows the closing bracket on its line.
func behindFlow(text string, start, at int) *finding {
	rest := firstLine(text[at:])
	trimmed := strings.TrimSpace(rest)
	if trimmed == "" || strings.HasPrefix(trimmed, "#") && rest[0] == ' ' {
		return nil
	}
	what := map[byte]string{'[': "list", '{': "map"}[text[start]]
	return eatenAt(start, fmt.Sprintf("YAML reads text that starts with %c as a %s, and can't read %q behind it",
		text[start], what, clip(trimmed)))
}

// leavesBlock tells whether a line is no longer indented below the value.
func leavesBlock(rest string, base int) bool {
	line := strings.TrimRight(firstLine(rest), "\r ")
	text := strings.TrimLeft(line, " ")
	if text == "" || strings.IndexByte("#]}", text[0]) >= 0 {
		return false
	}
	return len(line)-len(text) <= base && (lineKey.MatchString(text) || strings.HasPrefix(text, "- "))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
