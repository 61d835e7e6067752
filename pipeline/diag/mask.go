package diag

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// minSecret is how long a secret must be to be looked for inside of text.
const minSecret = 4

// MaskPart is Mask for the bytes from start to end of a scalar's value.
func (s *Source) MaskPart(n *yaml.Node, start, end int) {
	if n.Kind != yaml.ScalarNode || start < 0 || start >= end || end > len(n.Value) {
		return
	}
	s.masks = append(s.masks, span{s.scalarOffset(n, start), s.scalarOffset(n, end-1) + 1})
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
	for i := range all {
		all[i].hide()
	}
	return all
}

func (p *Problem) hide() {
	s := p.Place.source
	if s == nil {
		return
	}
	for _, m := range s.masks {
		secret := string(s.text[m.start:m.end])
		if len(secret) < minSecret || p.Place.Line < s.At(m.start).Line || p.Place.Line > s.At(m.end).Line {
			continue
		}
		// Messages and hints may show just the beginning of a long text.
		part := secret[:min(len(secret), 4*minSecret)]
		if strings.Contains(p.Fix, part) {
			p.Fix, p.FixAt = "", Region{}
		}
		p.Message, p.Hint = hidden(p.Message, secret, part), hidden(p.Hint, secret, part)
	}
}

// hidden is text without a secret, and without what follows just a part of it.
func hidden(text, secret, part string) string {
	text = strings.ReplaceAll(text, secret, "***")
	if at := strings.Index(text, part); at >= 0 {
		text = text[:at] + "***"
	}
	return text
}
