package yamlconf

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
)

// shownAround is how many lines around a problem an excerpt or a diff may show.
const shownAround = 6

// MaskLines keeps out of what is shown around the problems of a file that can't be
// decoded all that may be secret, line by line: what stands there can be in any
// state. A value is shown behind a key that is known and secret nowhere, or where it
// is harmless by what it is; else it is hidden. It rather hides too much.
func MaskLines(source *diag.Source, problems diag.Problems, v *Vocabulary) {
	near := map[int]bool{}
	for _, p := range problems {
		for n := -shownAround; n <= shownAround; n++ {
			near[p.Place.Line+n] = true
		}
	}
	// What a line hides depends on those that it is indented below.
	var above []blockLine
	m, number, at := &lineMasker{source: source, vocabulary: v}, 0, 0
	for line := range bytes.Lines(source.Text()) {
		l := blockLine{text: strings.TrimRight(string(line), "\r\n"), at: at}
		at += len(line)
		number++
		text := content(l.text)
		if l.indent = len(l.text) - len(text); text == "" {
			continue
		}
		for len(above) > 0 && above[len(above)-1].indent >= l.indent {
			above = above[:len(above)-1]
		}
		if near[number] {
			in := lineSpot{holds: block}
			for i := range above {
				if parent := &above[i]; !parent.seen {
					parent.seen, parent.below = true, m.line(parent.text, parent.at, in)
				}
				in = above[i].below
			}
			l.seen, l.below = true, m.line(l.text, l.at, in)
		}
		above = append(above, l)
	}
}

// blockLine is a line of the text, where it begins, and how far it is indented.
type blockLine struct {
	text       string
	at, indent int
	// below is where the lines stand that are indented below it, once it was seen.
	below lineSpot
	seen  bool
}

// content is a line without its indentation, of which the dash of an item is a part.
func content(line string) string { return strings.TrimLeft(line, " \t-?") }

// lineSpot is what a text is the value of, as far as lines tell.
type lineSpot struct {
	holds holds
	// secret tells that all is hidden, query and names that keys are names of
	// parameters, and of headers as well.
	secret, query, names bool
	// literal tells that lines are those of one text, flow that they stand in braces.
	literal, flow bool
}

type lineMasker struct {
	source     *diag.Source
	vocabulary *Vocabulary
	guesses    int
}

// maxGuesses is of how many keys it is asked what they are a slip of: that takes long.
const maxGuesses = 1000

// slip is Vocabulary.slip, as long as not too much is asked.
func (m *lineMasker) slip(word string) string {
	if _, ok := m.vocabulary.keys[word]; ok {
		return word
	}
	if m.guesses++; m.guesses > maxGuesses {
		return ""
	}
	return m.vocabulary.slip(word)
}

// aKey is a key wherever it stands on a line, with the colon behind it.
var aKey = regexp.MustCompile(`["']?([A-Za-z_][A-Za-z0-9_.-]*)["']?[ \t]*[:=]`)

// line hides what it must of a line, and returns where those below it stand.
func (m *lineMasker) line(line string, at int, in lineSpot) lineSpot {
	m.forms(line, at)
	from := len(line) - len(content(line))
	key := aKey.FindStringSubmatchIndex(line)
	startsKnown := key != nil && key[0] == from && m.vocabulary.keys[line[key[2]:key[3]]] != unknown
	if in.literal && in.holds != open || in.secret && !startsKnown {
		m.hide(line, at, from)
		return in
	}
	in.secret = false
	for _, key := range aKey.FindAllStringSubmatchIndex(line, -1) {
		if name := line[key[2]:key[3]]; secretKey(name) || in.query && handlers.SecretParameter(name) {
			m.hide(line, at, key[1])
			if !in.literal {
				(&lineScan{lineMasker: m, line: line[:key[0]], at: at, start: from, now: in, base: in}).run()
			}
			return lineSpot{holds: unknown, secret: true, literal: in.literal}
		}
	}
	if in.literal {
		m.value(line, at, from, len(line), in)
		return in
	}
	return (&lineScan{lineMasker: m, line: line, at: at, start: from, now: in, base: in}).run()
}

// value hides what stands between two bytes of a line, as the value of what it is.
func (m *lineMasker) value(line string, at, from, to int, in lineSpot) {
	text := strings.Trim(line[from:to], " \t")
	word, rest, _ := strings.Cut(strings.TrimLeft(text, "\"'"), " ")
	word = strings.TrimRight(word, "\"'")
	if m.vocabulary.harmless(text) || in.holds == named && rest == "" ||
		in.holds == open && (rest == "" || !secretKey(word)) {
		return
	}
	if m.slip(word) != "" || rest != "" && secretKey(word) {
		from = strings.Index(line[from:to], word) + from + len(word)
	}
	m.hide(line[:to], at, from)
}

// secretKey tells whether a key is, or is almost, one of a secret.
func secretKey(name string) bool {
	if handlers.SecretName(name) {
		return true
	}
	for _, what := range [...]string{"password", "authorization", "api_key", "secret", "token", "bearer"} {
		if near(name, what) {
			return true
		}
	}
	return false
}

// near tells whether a name is another, or that with a slip behind its first letter.
func near(name, what string) bool {
	return strings.EqualFold(name, what) || name != "" && name[0]|0x20 == what[0] &&
		diag.Nearest(name, []string{what}) != ""
}

// hide hides a line from a byte on, but for what only says where a secret comes
// from, and the name of a scheme.
func (m *lineMasker) hide(line string, at, from int) {
	rest := line[from:]
	from += len(rest) - len(strings.TrimLeft(rest, " \t\"'"))
	from += len(authScheme.FindString(line[from:]))
	for _, known := range anyReference.FindAllStringIndex(line, -1) {
		if known[0] >= from {
			m.source.MaskText(at+from, at+known[0])
			from = known[1]
		}
	}
	m.source.MaskText(at+from, at+len(strings.TrimRight(line, " \t\"'")))
}

// forms hides what is secret by its form, and what a comment may hold.
func (m *lineMasker) forms(line string, at int) {
	key := aKey.FindStringSubmatch(line)
	for _, part := range secretForms(line, key != nil && urlKey.MatchString(key[1])) {
		m.source.MaskText(at+part[0], at+part[1])
	}
	maskComment(m.source, m.vocabulary, line, at)
}

// maskComment hides what stands behind the name of a secret in a comment, or behind a
// colon there, and what is no prose: it may have been a value.
func maskComment(source *diag.Source, v *Vocabulary, line string, at int) {
	comment := commentOf.FindStringIndex(line)
	if comment == nil {
		return
	}
	from := comment[1]
	text := strings.TrimSpace(strings.TrimLeft(line[from:], "#"))
	if !strings.Contains(text, " ") && !v.harmless(text) && !aWord.MatchString(text) {
		source.MaskText(at+from, at+len(line))
		return
	}
	for _, word := range wordThen.FindAllStringSubmatchIndex(line[from:], -1) {
		name := line[from+word[2] : from+word[3]]
		ends := strings.ContainsAny(line[from+word[3]:from+word[1]], ":=")
		if secretKey(name) || ends && v.keys[name] != open {
			source.MaskText(at+from+word[1], at+len(line))
			return
		}
	}
}

var (
	schemeToken = regexp.MustCompile(`(?i)\b(?:bearer|basic)[ \t]+([A-Za-z0-9+/_=.~-]{6,})`)
	commentOf   = regexp.MustCompile(`(?:^|[ \t])#`)
	aWord       = regexp.MustCompile(`^[A-Z]?[a-z]*$`)
	wordThen    = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)["']?[ \t:=]+`)
)
