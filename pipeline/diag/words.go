package diag

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Count is a number with its noun.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Or is a, b or c.
func Or(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + strings.Repeat(" or ", min(last, 1)) + words[last]
}

// Clip cuts text to at most so many characters, the last of which is then an ellipsis.
func Clip(text string, most int) string {
	if most < 1 || utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// Printable replaces, one for one, what would move a terminal's cursor or hide text.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}
