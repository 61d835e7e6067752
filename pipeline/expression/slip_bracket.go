package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// openBracket is an expression that ends within brackets, or has one too many.
func (b broken) openBracket() (slip, bool) {
	if !b.atEnd() {
		return slip{}, false
	}
	if n := strings.Count(b.source, "?"); n > 0 && !strings.Contains(b.source, ":") &&
		!strings.Contains(b.source, "??") && !strings.Contains(b.source, "?.") {
		i := strings.LastIndexByte(b.source, '?')
		return slip{from: i, to: i + 1, message: "? has no : that says what else",
			hint: `write all three: a ? "b" : "c"`}, true
	}
	var open []int
	for i := 0; i < len(b.source); i++ {
		switch c := b.source[i]; c {
		case '"', '\'', '`':
			i = stringEndQuoted(b.source, i)
		case '(', '[', '{':
			open = append(open, i)
		case ')', ']', '}':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 || strings.ContainsAny(lastRune(b.source), "+-*/%<>=&|?.,(!") {
		return slip{}, false
	}
	i := open[len(open)-1]
	closing := map[byte]string{'(': ")", '[': "]", '{': "}"}[b.source[i]]
	return slip{from: i, to: i + 1, message: "this " + b.source[i:i+1] + " is never closed", hint: "add " + closing},
		true
}

func lastRune(s string) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-1):]
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

// sign is a sign from another language.
func (b broken) sign() (slip, bool) {
	switch token := b.token(); {
	case token == "&" || token == "|":
		return b.replace(1, "write "+token+token, token+token)
	case strings.HasPrefix(b.after(), "&") && b.atEnd():
		return slip{}, false
	case pipeBefore.MatchString(b.before()) && (token == "." || token == "==" || token == "&&" || token == "||" ||
		b.atEnd()):
		m := pipeBefore.FindStringSubmatchIndex(b.before())
		return slip{from: m[2] - 1, to: m[2], message: `unexpected "|"`, hint: "or is written ||", mends: true,
			with: "||"}, true
	case token == ";":
		return b.unexpected("")
	case token == "," && digitsAround(b.source, b.from):
		from, to := numberAround(b.source, b.from)
		with := strings.ReplaceAll(b.source[from:to], ",", "")
		return slip{from: b.from, to: b.from + 1, message: `unexpected ","`,
			hint: "a number is written without separators: " + with}, true
	}
	return slip{}, false
}

func digitsAround(s string, i int) bool {
	return i > 0 && i+3 < len(s) && isDigit(s[i-1]) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func numberAround(s string, i int) (from, to int) {
	number := func(c byte) bool { return isDigit(c) || c == ',' }
	for from = i; from > 0 && number(s[from-1]); from-- {
	}
	for to = i; to < len(s) && number(s[to]); to++ {
	}
	return from, to
}

// objectBefore is the beginning of an object where a predicate belongs.
var objectBefore = regexp.MustCompile(`,\s*\{\s*["']?\w+["']?$`)

const allElements = "all elements are reached by any(list, .price > 3), map(list, .price) and the like"

// bracket is a list or a field written as elsewhere.
func (b broken) bracket() (slip, bool) {
	before, token := b.before(), b.token()
	switch {
	case token == ":" && objectBefore.MatchString(before):
		from := strings.LastIndexByte(before, '{')
		return slip{from: from, to: from + 1, message: "{ } around a predicate are not those of an object",
			hint: "put the object in round brackets: ({name: .name})"}, true
	case token == "," && listOf.MatchString(before):
		from := strings.LastIndexAny(before, "({")
		end := listEnd.FindString(b.after())
		s := slip{from: from, to: from + 1, message: fmt.Sprintf("unexpected %q", before[from:from+1]),
			hint: `a list is written in [ ]: in ["a", "b"]`}
		if end != "" {
			s.mends, s.end = true, b.from+len(end)
			s.with = "[" + b.source[from+1:s.end-1] + "]"
		}
		return s, true
	case strings.HasPrefix(b.message, "expected name") && strings.HasSuffix(before, ".*"):
		b.from, b.to = len(before)-1, len(before)
		return b.unexpected(allElements)
	case (token == "*" || token == "]") && strings.HasSuffix(before, "["):
		return b.unexpected(allElements)
	case methodLast.MatchString(before):
		name := methodLast.FindStringSubmatch(before)[1]
		return b.unexpected(name + " is a function, and the list its first argument: any(payload.items, .price > 3)")
	case token == "." && before == "":
		return b.unexpected("begin with what the field belongs to: payload" + strings.Fields(b.after())[0])
	case token == ")" || token == "]" || token == "}":
		return b.unexpected("there is no bracket that it closes, or something is missing before it")
	}
	return slip{}, false
}

// neighbour is a word that stands behind another without anything between.
func (b broken) neighbour() (slip, bool) {
	before, token := b.before(), b.token()
	if !isName(token) && !strings.HasPrefix(token, `"`) && !strings.HasPrefix(token, "'") || before == "" {
		return slip{}, false
	}
	last := before[len(before)-1]
	if (last == '\'' || last == '"') && b.from == len(before) {
		return b.unexpected("the quote before it ends the text: write text with ' in \"…\", and text with \" in '…'")
	}
	if (last == '\'' || last == '"') && (token[0] == '\'' || token[0] == '"') {
		return b.unexpected("something is missing between the two texts: a comma, or + to join them")
	}
	word := ""
	if m := lastWord.FindStringSubmatch(before); m != nil {
		word = m[1]
	}
	rest := strings.TrimSuffix(before, word)
	_, function := builtins[word]
	_, predicate := predicateNames[word]
	switch {
	case strings.EqualFold(word, "typeof"):
		return b.unexpected("the type of a value is type(…)")
	case (function || predicate) && !strings.HasSuffix(rest, "."):
		return b.unexpected("a function is called with brackets: " + word + "(…)")
	case word != "" && isName(token) && !strings.HasSuffix(rest, ".") && !slices.Contains(recordNames, word) &&
		!slices.Contains([]string{"true", "false", "nil"}, word):
		return b.unexpected(fmt.Sprintf("text needs quotes: %q", word+" "+token))
	case slices.Contains(recordNames, token) || token == "not" || token == "env":
		return b.unexpected("join two conditions by && or ||")
	}
	return slip{}, false
}
