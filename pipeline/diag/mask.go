package diag

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	// MinSecret is how long a secret must be to be looked for inside of text: shorter
	// ones would be found everywhere.
	MinSecret = 4
	// minPart is how long a word of a masked text must be, which holds more than a
	// secret.
	minPart = 7
	// CutSecret is how much of a long one a message may show that is cut.
	CutSecret = 4 * MinSecret
)

// MaskPart is Mask for the bytes from start to end of a scalar's value.
func (s *Source) MaskPart(n *yaml.Node, start, end int) {
	if n.Kind != yaml.ScalarNode || start < 0 || start >= end || end > len(n.Value) {
		return
	}
	s.MaskText(s.scalarOffset(n, start), s.scalarOffset(n, end-1)+1)
}

// Masked is the text with what is masked replaced by asterisks.
func (s *Source) Masked() []byte {
	var out []byte
	from := 0
	for _, m := range s.masked(0, len(s.text)) {
		out = append(append(out, s.text[from:m.start]...), hiddenText...)
		from = m.end
	}
	return append(out, s.text[from:]...)
}

// WithoutSecrets are the problems as they can be shown: no text of theirs holds
// what is masked on the lines that they are about. A mend that does is left out.
func (ps Problems) WithoutSecrets() Problems {
	all := slices.Clone(ps)
	lines := map[*Source]map[int]secrets{}
	for i := range all {
		p := &all[i]
		s := p.Place.source
		if s == nil || len(s.masks) == 0 {
			continue
		}
		if lines[s] == nil {
			lines[s] = s.secretsOfLines(all)
		}
		here := lines[s][p.Place.Line]
		p.Message, p.Hint = here.hidden(p.Message), here.hidden(p.Hint)
		if here.hidden(p.Fix) != p.Fix {
			p.Fix, p.FixAt = "", Region{}
		}
	}
	return all
}

// Redact replaces what is masked in the files that the problems are in.
func (ps Problems) Redact(text string) string {
	done := map[*Source]bool{nil: true}
	for _, p := range ps {
		if s := p.Place.source; !done[s] {
			done[s] = true
			text = s.Redact(text)
		}
	}
	return text
}

// secrets are texts by how they begin, the longest first.
type secrets map[string][]string

// secretsOfLines are the masked texts of the lines that have problems.
func (s *Source) secretsOfLines(problems Problems) map[int]secrets {
	lines := map[int]secrets{}
	for _, p := range problems {
		if p.Place.source == s {
			lines[p.Place.Line] = secrets{}
		}
	}
	for _, m := range s.masks {
		text := string(s.text[m.start:m.end])
		quoted := strconv.Quote(text)
		parts := slices.DeleteFunc(strings.FieldsFunc(text, separates),
			func(part string) bool { return len(part) < minPart || strings.HasPrefix(part, "payload.") })
		for line, last := s.At(m.start).Line, s.At(m.end).Line; line <= last; line++ {
			if here := lines[line]; here != nil {
				here.add(text)
				here.add(quoted[1 : len(quoted)-1])
				for _, part := range parts {
					here.add(part)
				}
			}
		}
	}
	for _, here := range lines {
		for begin, texts := range here {
			slices.SortFunc(texts, func(a, b string) int {
				return cmp.Or(cmp.Compare(len(b), len(a)),
					cmp.Compare(a, b))
			})
			here[begin] = slices.Compact(texts)
		}
	}
	return lines
}

func separates(r rune) bool { return strings.ContainsRune(" \t\r\n\"',:{}[]=", r) }

func (s secrets) add(text string) {
	if len(text) >= MinSecret {
		s[text[:MinSecret]] = append(s[text[:MinSecret]], text)
	}
}

// hidden is text without secrets, and without what follows just the beginning of a
// long one.
func (s secrets) hidden(text string) string {
	var out strings.Builder
next:
	for len(text) >= MinSecret {
		for _, secret := range s[text[:MinSecret]] {
			if rest, ok := strings.CutPrefix(text, secret); ok {
				out.WriteString(hiddenText)
				text = rest
				continue next
			}
		}
		for _, secret := range s[text[:MinSecret]] {
			if len(secret) > CutSecret && strings.HasPrefix(text, secret[:CutSecret]) {
				return out.String() + hiddenText
			}
			n := MinSecret
			for n < len(secret) && n < len(text) && secret[n] == text[n] {
				n++
			}
			if strings.HasPrefix(text[n:], "…") {
				return out.String() + hiddenText + text[n:]
			}
		}
		out.WriteByte(text[0])
		text = text[1:]
	}
	return out.String() + text
}
