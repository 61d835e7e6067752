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

// maskLines keeps secrets out of what is shown around the problems of a file that is
// no YAML, line by line, by what their keys are called: what stands there can be in
// any state. It rather hides too much.
func maskLines(source *diag.Source, problems diag.Problems) {
	near := map[int]bool{}
	for _, p := range problems {
		for n := -shownAround; n <= shownAround; n++ {
			near[p.Place.Line+n] = true
		}
	}
	// What a line hides depends on those that it is indented below.
	var above []blockLine
	m, number, at, inside := lineMasker{source: source}, 0, 0, false
	for line := range bytes.Lines(source.Text()) {
		l := blockLine{strings.TrimRight(string(line), "\r\n"), at, 0}
		at += len(line)
		number++
		if near[number] {
			if !inside {
				for _, parent := range above {
					m.line(parent.text, parent.at)
				}
			}
			m.line(l.text, l.at)
		}
		inside = near[number]
		text := content(l.text)
		if l.indent = len(l.text) - len(text); text == "" {
			continue
		}
		for len(above) > 0 && above[len(above)-1].indent >= l.indent {
			above = above[:len(above)-1]
		}
		above = append(above, l)
	}
}

// blockLine is a line of the text, where it begins, and how far it is indented.
type blockLine struct {
	text       string
	at, indent int
}

// content is a line without its indentation, of which the dash of an item is a part.
func content(line string) string { return strings.TrimLeft(line, " \t-?") }

type lineMasker struct {
	source *diag.Source
	// indent is that of the line whose secret goes on below, where open is.
	indent int
	open   bool
	// query is the indentation of a block of query parameters, where inQuery is set.
	inQuery bool
	query   int
}

// aKey is a key wherever it stands on a line, with the colon behind it.
var aKey = regexp.MustCompile(`["']?([A-Za-z_][A-Za-z0-9_.-]*)["']?[ \t]*[:=]`)

func (m *lineMasker) line(line string, at int) {
	text := content(line)
	if text == "" {
		return
	}
	indent := len(line) - len(text)
	if m.open && indent > m.indent && !startsKey(text) {
		m.hide(line, at, indent)
		return
	}
	m.open = false
	if m.inQuery && indent <= m.query {
		m.inQuery = false
	}
	m.urls(line, at)
	for _, key := range aKey.FindAllStringSubmatchIndex(line, -1) {
		name := line[key[2]:key[3]]
		if near(name, "query") {
			m.inQuery, m.query = true, indent
		}
		if secretKey(name) || m.inQuery && handlers.SecretParameter(name) {
			m.hide(line, at, key[1])
			m.open, m.indent = true, indent
			return // all that follows is hidden
		}
	}
}

// secretKey tells whether a key is, or is almost, one of a secret.
func secretKey(name string) bool {
	return handlers.SecretName(name) || near(name, "password") || near(name, "authorization") || near(name, "api_key")
}

// near tells whether a name is another, or that with a slip behind its first letter.
func near(name, what string) bool {
	return strings.EqualFold(name, what) || name != "" && name[0]|0x20 == what[0] && diag.Nearest(name, []string{what}) != ""
}

func startsKey(text string) bool {
	key := aKey.FindStringIndex(text)
	return key != nil && key[0] == 0
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
	m.source.MaskText(at+from, at+len(line))
}

// urls hides users and passwords, and secret query parameters, of what looks like a
// URL, whole or not.
func (m *lineMasker) urls(line string, at int) {
	key := aKey.FindStringSubmatch(line)
	form := withSlashes
	if key != nil && urlKey.MatchString(key[1]) {
		form = bareUser
	}
	for _, user := range form.FindAllStringSubmatchIndex(line, -1) {
		if text := line[user[2]:user[3]]; !strings.Contains(text, "${") || !safeUser.MatchString(text) {
			m.source.MaskText(at+user[2], at+user[3])
		}
	}
	for _, part := range queryPart.FindAllStringSubmatchIndex(line, -1) {
		if handlers.SecretParameter(line[part[4]:part[5]]) && !safeHeader.MatchString(line[part[6]:part[7]]) {
			m.source.MaskText(at+part[6], at+part[7])
		}
	}
}
