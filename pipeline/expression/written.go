package expression

import (
	"regexp"
	"strings"
)

// known is what of an expression says where something comes from, and what is part of the
// language: all else that is written out may be a secret, where the expression makes one.
var (
	known = regexp.MustCompile(`^(?:` +
		`file\(\s*(?:"[^"]*"|'[^']*')\s*\)` +
		`|(?:env|payload|headers|source|key|topic|partition|offset|timestamp)\b(?:\??\.[A-Za-z_]\w*|\??\.?\[\s*(?:"[^"]*"|'[^']*'|-?\d{1,3})\s*\])*` +
		`|(?i:bearer|basic)\b` +
		`|(?:null|nil|true|false|not|and|or|in|let|if|else|contains|startsWith|endsWith|matches)\b` +
		`|[A-Za-z]\w*\(|\d{1,3}\b)`)
	quotedText = regexp.MustCompile("^(?s:\"(?:[^\"\\\\]|\\\\.)*[\"\\\\]?|'(?:[^'\\\\]|\\\\.)*['\\\\]?|`[^`]*`?)")
	bareWord   = regexp.MustCompile(`^[\pL\pN_]+`)
	scheme     = regexp.MustCompile(`^(?i:bearer|basic|digest|token|api-?key|negotiate|hawk|signature|key) *$|^(?i:bearer|basic|digest|token|api-?key|negotiate|hawk|signature|key) +`)
)

// Written are the parts of the source of a secret, by their first byte and that behind their
// last, that may be the secret itself: what stands in quotes, but for the name of a scheme, and
// words and long numbers that mean nothing. The source need not be right.
func Written(source string) [][2]int {
	var parts [][2]int
	for at := 0; at < len(source); {
		rest := source[at:]
		if n := len(known.FindString(rest)); n > 0 {
			at += n
			continue
		}
		if text := quotedText.FindString(rest); text != "" {
			inside := text[1:]
			if strings.HasSuffix(inside, text[:1]) {
				inside = inside[:len(inside)-1]
			}
			if from := len(scheme.FindString(inside)); from < len(inside) {
				parts = append(parts, [2]int{at + 1 + from, at + 1 + len(inside)})
			}
			at += len(text)
			continue
		}
		n := len(bareWord.FindString(rest))
		if n > 0 {
			parts = append(parts, [2]int{at, at + n})
		}
		at += max(n, 1)
	}
	return parts
}

// WithoutWritten is the source of a secret with something else for each part that is Written.
func WithoutWritten(source, with string) string {
	var out strings.Builder
	from := 0
	for _, part := range Written(source) {
		out.WriteString(source[from:part[0]] + with)
		from = part[1]
	}
	return out.String() + source[from:]
}

// quotedIn is what an error quotes of an expression: text, which may be cut, and long numbers.
// An apostrophe within a word is none.
var quotedIn = regexp.MustCompile("(?s:\"(?:[^\"\\\\]|\\\\.)*[\"\\\\]?|\\B'(?:[^'\\\\]|\\\\.)*['\\\\]?|`[^`]*`?|\\b\\d{4,}\\b)")

// Withheld is an error of an expression that makes a secret, without what it quotes of it.
func Withheld(err error) error {
	if err == nil {
		return nil
	}
	return withheld{err, quotedIn.ReplaceAllString(err.Error(), `"[redacted]"`)}
}

type withheld struct {
	error
	text string
}

func (w withheld) Error() string { return w.text }
func (w withheld) Unwrap() error { return w.error }
