package diag

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Mask keeps the bytes of a node's text out of every excerpt that is shown: it
// is a secret that stands in the file.
func (s *Source) Mask(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return
	}
	s.MaskText(s.scalarOffset(n, 0), s.scalarOffset(n, len(n.Value)-1)+1)
}

// hiddenText stands for a secret, and does not tell how long it is.
const hiddenText = "***"

// MaskText is Mask for bytes of the text, for a file of which there are no nodes.
func (s *Source) MaskText(start, end int) {
	if start < end {
		s.masks, s.joined = append(s.masks, span{start, end}), nil
	}
}

// MaskRegion is Mask for a part of the text.
func (s *Source) MaskRegion(r Region) { s.MaskText(r.Start.offset, r.End.offset) }

// Redact replaces what is masked wherever it stands in text.
func (s *Source) Redact(text string) string {
	var secrets []string
	for _, m := range s.masks {
		if m.end-m.start > 1 {
			secrets = append(secrets, string(s.text[m.start:m.end]))
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, secret := range slices.Compact(secrets) {
		pairs = append(pairs, secret, hiddenText)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// Line returns the text of a line, from 1, without its break, with what is
// masked replaced by asterisks.
func (s *Source) Line(number int) (string, bool) {
	start, end, ok := s.bounds(number)
	if !ok {
		return "", false
	}
	text, _ := s.without(start, end, start)
	return text, true
}

// bounds are where a line starts and ends, without its break.
func (s *Source) bounds(number int) (start, end int, ok bool) {
	if number < 1 || number > len(s.lines) {
		return 0, 0, false
	}
	start, end = s.lines[number-1], len(s.text)
	if number < len(s.lines) {
		end = s.lines[number]
	}
	return start, start + len(bytes.TrimRight(s.shown[start:end], "\r\n")), true
}

// maxAround is how many bytes of a long line are looked at on either side of a place.
const maxAround = 4 << 10

// around is what a line has around a column of the file, with … in front of it where
// it does not begin there, and the column at which that is shown.
func (s *Source) around(number, column int) (text string, shown int, ok bool) {
	start, end, ok := s.bounds(number)
	if !ok {
		return "", 0, false
	}
	at := s.forward(start, column-1)
	from, to := max(start, at-maxAround), min(end, at+maxAround)
	for from > start && from < to && !utf8.RuneStart(s.text[from]) {
		from--
	}
	for to < end && to > from && !utf8.RuneStart(s.text[to]) {
		to--
	}
	if from >= to && from > start {
		return "", 0, true
	}
	text, shown = s.without(from, to, at)
	if from > start {
		text, shown = "…"+text, shown+1
	}
	return text, shown, true
}

// without is the text between two bytes without what is masked, and the column in it
// at which a byte is shown.
func (s *Source) without(from, to, at int) (text string, shown int) {
	var out strings.Builder
	// place is where a byte is shown of which all before from is out.
	place := func(at int) int {
		return utf8.RuneCountInString(out.String()) + utf8.RuneCount(s.shown[from:max(from, min(at, to))]) + 1
	}
	for _, hide := range s.masked(from, to) {
		if shown == 0 && at <= hide.start {
			shown = place(at)
		}
		out.Write(s.shown[from:hide.start])
		from = hide.start
		if shown == 0 && at < hide.end {
			shown = place(from)
		}
		out.WriteString(hiddenText)
		from = hide.end
	}
	if shown == 0 {
		shown = place(at) + max(0, at-to)
	}
	out.Write(s.shown[from:to])
	return out.String(), shown
}

// masked are the masks between two bytes of the text, in order, with those that
// touch joined.
func (s *Source) masked(start, end int) []span {
	if s.joined == nil {
		s.joined = joined(s.masks)
	}
	from, _ := slices.BinarySearchFunc(s.joined, start+1, func(m span, at int) int { return cmp.Compare(m.end, at) })
	var here []span
	for _, m := range s.joined[from:] {
		if m.start >= end {
			break
		}
		here = append(here, span{max(m.start, start), min(m.end, end)})
	}
	return here
}

func joined(masks []span) []span {
	all := slices.Clone(masks)
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	out := all[:0]
	for _, m := range all {
		if n := len(out); n > 0 && m.start <= out[n-1].end {
			out[n-1].end = max(out[n-1].end, m.end)
			continue
		}
		out = append(out, m)
	}
	return out
}
