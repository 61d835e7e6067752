package yamlconf

import (
	"regexp"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// lineScan goes through one line of a file that is no YAML, and hides of each value
// what must not be shown.
type lineScan struct {
	*lineMasker
	line      string
	at, start int
	// now is what the text from start on is the value of, base that of the line.
	now, base lineSpot
	brackets  []lineBracket
	keyed     bool
}

// lineBracket is a bracket that is open, and what it stands behind.
type lineBracket struct {
	kind byte
	in   lineSpot
}

var (
	oneKey      = regexp.MustCompile(`^[ \t]*["']?([^\s"'/{}\[\],:]+)["']?[ \t]*$`)
	lastKey     = regexp.MustCompile(`["']?([^\s"']+)["']?[ \t]*$`)
	blockHeader = regexp.MustCompile(`^[|>][-+0-9]{0,2}$`)
)

// run returns where the lines below stand.
func (s *lineScan) run() lineSpot {
	for i := s.start; i < len(s.line); {
		i = s.step(i)
	}
	rest := strings.TrimSpace(s.line[min(s.start, len(s.line)):])
	s.value(s.line, s.at, min(s.start, len(s.line)), len(s.line), s.now)
	below := s.now
	switch inner := s.innermost(); {
	case inner.kind == '{':
		below = lineSpot{holds: block, flow: true, query: inner.in.query, names: inner.in.names}
	case inner.kind == '[':
		below = inner.in
	case s.keyed && blockHeader.MatchString(rest):
		below.literal = true
	case !s.keyed || rest != "":
		below = lineSpot{holds: block, flow: s.base.flow, query: s.base.query, names: s.base.names}
	}
	return below
}

func (s *lineScan) innermost() lineBracket {
	if len(s.brackets) == 0 {
		return lineBracket{in: s.base}
	}
	return s.brackets[len(s.brackets)-1]
}

// step looks at one byte of the line, and returns the next to look at.
func (s *lineScan) step(i int) int {
	line := s.line
	switch c := line[i]; c {
	case '"', '\'':
		if end := closingQuote(line, i); end >= 0 && (i == 0 || !wordByte(line[i-1])) {
			return end + 1
		}
	case '$':
		if end := strings.IndexByte(line[i:], '}'); end >= 0 && strings.HasPrefix(line[i:], "${") {
			return i + end + 1
		}
	case '{', '[', '(':
		s.opens(c, i)
	case '}', ']', ')':
		s.closes(c, i)
	case ',':
		s.comma(i)
	case ':', '=':
		s.key(c, i)
	case '#':
		if i == 0 || line[i-1] == ' ' || line[i-1] == '\t' {
			s.ends(i, s.now)
			s.line = line[:i]
			return i
		}
	}
	return i + 1
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// ends ends the value that goes up to a byte; what comes behind it is the value of
// next.
func (s *lineScan) ends(i int, next lineSpot) {
	s.value(s.line, s.at, s.start, i, s.now)
	s.start, s.now = i+1, next
}

func (s *lineScan) opens(c byte, i int) {
	if len(s.brackets) >= MaxDepth {
		return
	}
	s.brackets = append(s.brackets, lineBracket{c, s.now})
	switch c {
	case '{':
		s.ends(i, lineSpot{holds: block, query: s.now.query, names: s.now.names})
	case '[':
		s.ends(i, s.now)
	}
}

func (s *lineScan) closes(c byte, i int) {
	if s.innermost().kind != map[byte]byte{'}': '{', ']': '[', ')': '('}[c] {
		return
	}
	in := s.innermost().in
	s.brackets = s.brackets[:len(s.brackets)-1]
	if c != ')' {
		s.ends(i, in)
	}
}

func (s *lineScan) comma(i int) {
	switch inner := s.innermost(); {
	case inner.kind == '[':
		s.ends(i, inner.in)
	case inner.kind == '{', inner.kind == 0 && s.base.flow:
		s.ends(i, lineSpot{holds: block, query: inner.in.query, names: inner.in.names})
	case inner.kind == 0: // a part of the text, but maybe what was meant as a key
		s.ends(i, s.now)
	}
}

// key is a colon or equals sign that may end a key.
func (s *lineScan) key(c byte, i int) {
	before, behind := s.line[s.start:i], s.line[i+1:]
	m := oneKey.FindStringSubmatchIndex(before)
	spaced := c == ':' && (behind == "" || strings.IndexByte(" \t\"'{[", behind[0]) >= 0)
	switch {
	case m != nil && !strings.HasPrefix(behind, "/") && !strings.HasPrefix(behind, "=") &&
		!strings.HasPrefix(behind, ":"):
	case spaced && s.innermost().kind != '(':
		if m = lastKey.FindStringSubmatchIndex(before); m == nil {
			return
		}
		s.value(s.line, s.at, s.start, s.start+m[2], s.now)
	default:
		return
	}
	name := before[m[2]:m[3]]
	next := lineSpot{query: s.now.query, names: s.now.names}
	key := s.slip(name)
	if !s.now.names && !(s.now.query && handlers.SecretParameter(name)) {
		next.holds = s.vocabulary.keys[key]
	}
	next.query = next.query || key == "" || near(name, "query") // what nobody knows may be a query
	next.names = next.names || near(name, "query") || near(name, "headers")
	s.start, s.now, s.keyed = i+1, next, true
}
