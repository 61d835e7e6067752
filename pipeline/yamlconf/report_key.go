package yamlconf

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/pipeline/diag"
)

// UnknownKey reports a key that is none of those known at n, and returns the
// one that was probably meant.
func (d *Decoder) UnknownKey(n Node, entry Field, known []string) string {
	d.Unplaced(entry.Node)
	if word, ok := d.badColon(n, entry, known); ok {
		return word
	}
	p := diag.Problem{Path: entry.Node.Path, Place: d.place(entry.Node.key), Code: diag.CodeUnknownKey,
		Message: fmt.Sprintf("unknown key %q in %s", clip(entry.Name), name(n.Path))}
	if n.Path == "" {
		p.Message = fmt.Sprintf("unknown key %q", clip(entry.Name))
	}
	if len(d.problems) >= maxProblems {
		return ""
	}
	p.Fix = nearestKey(entry.Name, known)
	meant := entry.Name
	if other := d.options.Spellings[strings.ToLower(entry.Name)]; other != "" &&
		len(d.options.Levels[entry.Name]) == 0 {
		meant = other
		if slices.Contains(known, other) {
			p.Fix = other
		} else {
			p.Fix = ""
		}
	}
	p.FixAt, _ = d.source.ScalarNode(entry.Node.key)
	var hints []string
	where := d.whereLegal(n.Path, meant)
	switch {
	case slices.ContainsFunc(known, func(k string) bool { return k == p.Fix && k != "" }):
		hints = append(hints, fmt.Sprintf("did you mean %q?", p.Fix))
		if len(d.options.Levels[entry.Name]) > 0 {
			hints = append(hints, d.whereLegal(n.Path, entry.Name))
		}
	case where != "" && meant != entry.Name:
		hints = append(hints, fmt.Sprintf("it is called %q here: %s", meant, where))
	case where != "":
		hints = append(hints, where)
	}
	if len(hints) == 0 {
		if near := nearestKey(entry.Name, slices.Sorted(maps.Keys(d.options.Levels))); near != "" {
			hints = append(hints, fmt.Sprintf("did you mean %q? %s", near, d.whereLegal(n.Path, near)))
		}
	}
	if len(hints) == 0 && len(known) > 0 && len(known) <= 16 {
		hints = append(hints, "the keys here are "+strings.Join(known, ", "))
	}
	p.Hint = strings.Join(hints, " ")
	d.Add(p)
	return p.Fix
}

// nearestKey is the nearest of the keys, whatever separates their words.
func nearestKey(name string, keys []string) string {
	for _, k := range keys {
		if k != name && sameWords(k, name) {
			return k
		}
	}
	return diag.Nearest(name, keys)
}

// sameWords compares names but for case and what separates their words.
func sameWords(a, b string) bool {
	const separators = "-_. "
	for {
		a, b = strings.TrimLeft(a, separators), strings.TrimLeft(b, separators)
		if a == "" || b == "" {
			return a == b
		}
		first, size := utf8.DecodeRuneInString(a)
		other, otherSize := utf8.DecodeRuneInString(b)
		if unicode.ToLower(first) != unicode.ToLower(other) {
			return false
		}
		a, b = a[size:], b[otherSize:]
	}
}

// badColon reports a known key whose colon is missing, or has no space after it,
// so that YAML took what follows for a part of the key.
func (d *Decoder) badColon(n Node, entry Field, known []string) (word string, ok bool) {
	i := strings.IndexAny(entry.Name, " :")
	if i < 0 || i+1 == len(entry.Name) || !slices.Contains(known, entry.Name[:i]) {
		return "", false
	}
	word = entry.Name[:i]
	p := diag.Problem{Path: n.Path.Field(word), Place: d.source.InsideNode(entry.Node.key, i), Code: diag.CodeSyntax,
		Message: fmt.Sprintf("the colon after %q is missing", word), Hint: fmt.Sprintf("write %s: …", word), Fix: ":"}
	if entry.Name[i] == ':' {
		p.Place = d.source.InsideNode(entry.Node.key, i+1)
		p.Message, p.Fix = "a space is missing after the colon", " "
	}
	p.FixAt = diag.Region{Start: p.Place, End: p.Place}
	d.Add(p)
	return word, true
}

// nameWithValue reports a name whose colon is missing, so that YAML took the
// beginning of its value for a part of it.
func (d *Decoder) nameWithValue(f Field) bool {
	m := nameThenBracket.FindStringSubmatch(f.Name)
	if m == nil {
		return false
	}
	d.Unplaced(f.Node)
	p := diag.Problem{Path: f.Node.Path, Place: d.source.InsideNode(f.Node.key, len(m[1])), Code: diag.CodeSyntax,
		Message: fmt.Sprintf("the colon after %q is missing", clip(m[1])), Hint: fmt.Sprintf("write %s: …", clip(m[1])),
		Fix: ":"}
	if m[2] == ":" {
		p.Place = d.source.InsideNode(f.Node.key, len(m[1])+1)
		p.Message, p.Fix = "a space is missing after the colon", " "
	}
	p.FixAt = diag.Region{Start: p.Place, End: p.Place}
	d.Add(p)
	return true
}

var nameThenBracket = regexp.MustCompile(`^([^\s:{\[]+)( |:)[{\[]`)

// KeyRegion is where the key of an entry is written.
func (d *Decoder) KeyRegion(entry Field) diag.Region {
	at, _ := d.source.ScalarNode(entry.Node.key)
	return at
}

// unknownKey tells a key that has no meaning from the rest of a text that YAML
// ended at a comma. It returns the key that was probably meant.
func (d *Decoder) unknownKey(n Node, entry Field, previous *Field, fields []field) string {
	d.Unplaced(entry.Node)
	if len(d.problems) >= maxProblems {
		return ""
	}
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.name
	}
	if word, ok := d.badColon(n, entry, known); ok {
		return word
	}
	if n.flow() && entry.Node.IsEmpty() && previous != nil && previous.Node.IsScalar() && !previous.Node.IsQuoted() {
		key := d.source.NodeOffset(entry.Node.key)
		if comma := bytes.LastIndexByte(d.source.Text()[:key], ','); comma > 0 {
			// What is left of the text was not what was meant.
			d.problems = slices.DeleteFunc(d.problems,
				func(p diag.Problem) bool { return p.Path == previous.Node.Path })
			d.Add(diag.Problem{Path: previous.Node.Path, Place: d.source.At(comma), Code: diag.CodeEaten,
				Message: fmt.Sprintf("inside of brackets YAML ends the text %q at this comma",
					clip(previous.Node.Text())),
				Hint: quoteHint})
			return ""
		}
	}
	return d.UnknownKey(n, entry, known)
}
