package expression

import (
	"errors"
	"fmt"
)

// Template is compiled text. It is immutable.
type Template struct{ template }

type template struct {
	source string
	place  Place
	pieces []piece
	// sample is the text with an x in the place of each part.
	sample string
	secret bool
}

// piece is text as it stands, or an expression.
type piece struct {
	text string
	// part is nil for text.
	part *Expression
	// position is where in a URL or in JSON the part stands.
	position position
}

// Source is the text that was compiled.
func (t *Template) Source() string { return t.source }

// Place is where the template's text goes.
func (t *Template) Place() Place { return t.place }

// Secret tells that text of a file is part of the template, so that what it
// renders to must not be shown.
func (t *Template) Secret() bool { return t.secret }

// Constant is the text of a template without record-dependent parts. What
// Constants.Skip left open stands in it as Unknown.
func (t *Template) Constant() (string, bool) {
	switch len(t.pieces) {
	case 0:
		return "", true
	case 1:
		return t.pieces[0].text, t.pieces[0].part == nil
	default:
		return "", false
	}
}

// Prefix is the constant text before the first record-dependent part.
func (t *Template) Prefix() string {
	if len(t.pieces) == 0 {
		return ""
	}
	return t.pieces[0].text
}

// Sample is the text with an x in the place of each record-dependent part: what
// is wrong with it for certain is wrong with whatever the template renders to.
func (t *Template) Sample() string { return t.sample }

// Unknown stands in constant text for what Constants.Skip left open. Text that
// holds it must not be converted or looked into.
const Unknown = "\uFFFDunknown\uFFFD"

// Text renders the template. A null part is an error.
func (t *Template) Text(in *Input) (string, error) {
	if text, ok := t.Constant(); ok {
		return text, nil
	}
	out, err := t.AppendText(in.buffer[:0], in)
	// One huge text must not be held on to for ever.
	if in.buffer = out[:0]; cap(out) > 64<<10 {
		in.buffer = nil
	}
	if err != nil {
		return "", err
	}
	return string(out), nil
}

// Parts are the texts between the template's parts, one more than there are of
// these, and what they evaluate to, as Expression.Value does: null among it.
func (t *Template) Parts(in *Input) (literals []string, values []any, err error) {
	literals = make([]string, 1, len(t.pieces)+1)
	for _, p := range t.pieces {
		if p.part == nil {
			literals[len(literals)-1] = p.text
			continue
		}
		v, err := p.part.Value(in)
		if err != nil {
			return nil, nil, fmt.Errorf("${%s}: %w", shorten(p.part.source), err)
		}
		literals, values = append(literals, ""), append(values, v)
	}
	return literals, values, nil
}

// AppendText renders the template and appends the text to dst. Where it fails,
// what it returns holds no more than dst.
func (t *Template) AppendText(dst []byte, in *Input) ([]byte, error) {
	if t.place == PlaceBound {
		return dst, errors.New("a statement is bound part by part, and is no text")
	}
	start := len(dst)
	var few [8]int
	ends := few[:0]
	for _, p := range t.pieces {
		if p.part == nil {
			dst = append(dst, p.text...)
			if t.place == PlaceURL {
				ends = append(ends, len(dst)-start)
			}
			continue
		}
		from := len(dst)
		var err error
		if dst, err = p.part.appendPart(dst, &in.input, t.place, p.position); err == nil {
			dst, err = t.place.fit(dst, from, p)
		}
		if err == nil {
			made := len(dst) - from
			err = in.spend(weight{steps: made, bytes: made})
		}
		if err != nil {
			return dst[:start], fmt.Errorf("${%s}: %w", shorten(p.part.source), err)
		}
		if t.place == PlaceURL {
			ends = append(ends, len(dst)-start)
		}
	}
	if t.place == PlaceURL {
		if err := t.checkSegments(dst[start:], ends); err != nil {
			return dst[:start], err
		}
	}
	if err := t.place.whole(dst[start:]); err != nil {
		return dst[:start], err
	}
	return dst, nil
}

// appendPart appends the text of one part.
func (e *expression) appendPart(dst []byte, in *input, place Place, at position) ([]byte, error) {
	if place == PlaceJSON || place == PlaceJSONLines {
		return e.appendToJSON(dst, in, at, place == PlaceJSONLines)
	}
	v, raw, err := e.copied(in)
	if err != nil {
		return dst, err
	}
	k := kindOf(v)
	if raw != nil {
		k = kindAt(raw[0])
	}
	switch {
	case k == kindNull:
		return dst, fmt.Errorf("it is null")
	case (k == kindObject || k == kindList) && !place.takesJSON():
		return dst, fmt.Errorf("it is %s: %s takes none", k, place.noun())
	case raw == nil:
		return in.appendAsText(dst, v)
	case k == kindText:
		out, whole := unescape(dst, raw)
		if !whole {
			return dst, fmt.Errorf("it is %s", halfText)
		}
		return out, nil
	default:
		return append(dst, raw...), nil
	}
}

// Template compiles text with `${ expr }` inside. It is nil where a finding is an
// error, but for CodeURLHost alone: such a template can be used where the hosts
// that a URL may have are listed.
func (s *Scope) Template(source string, place Place) (*Template, []Finding) {
	t := &Template{template{source: source, place: place}}
	parts, findings := split(source)
	if findings != nil {
		return nil, findings
	}
	var errs, warnings []Finding
	written := 0
	for i := range parts {
		p := &parts[i]
		if !p.expr {
			continue
		}
		written++
		e, found := s.Expression(p.text)
		for _, f := range found {
			if f = p.lift(f, source); f.Warning {
				warnings = append(warnings, f)
			} else {
				errs = append(errs, f)
			}
		}
		if p.made = e; e != nil {
			t.secret = t.secret || e.secret
		}
	}
	if errs == nil {
		for _, f := range t.assemble(parts) {
			if f.Warning {
				warnings = append(warnings, f)
			} else {
				errs = append(errs, f)
			}
		}
	}
	if errs == nil {
		errs = t.check(written)
	}
	if errs != nil && errs[0].Code != CodeURLHost {
		return nil, append(errs, warnings...)
	}
	if warnings == nil && !s.static {
		warnings = t.warn()
	}
	if _, constant := t.Constant(); warnings == nil && t.place == PlaceKey && !constant {
		warnings = s.coarseKey(t)
	}
	return t, append(errs, warnings...)
}

// assemble puts a template together: each part is told where it stands, text is
// checked and written by the rules of its place, and what is constant is
// rendered, once.
func (t *template) assemble(parts []templatePart) []Finding {
	at, findings := t.locate(parts)
	if findings != nil && !findings[0].Warning {
		return findings
	}
	for i := range parts {
		p := &parts[i]
		var f *Finding
		var text string
		switch {
		case !p.expr:
			text, f = t.place.literal(p, at[i])
		case p.made.term.constant && t.place != PlaceBound:
			text, f = t.constant(p.made, at[i])
		default:
			t.pieces = append(t.pieces, piece{part: p.made, position: at[i].position})
			t.sample += "x"
			f = t.place.doubt(p.made)
		}
		t.literal(text)
		if f == nil {
			continue
		}
		if p.expr {
			f.Offset, f.End = p.inside()
		}
		findings = append(findings, *f)
	}
	return findings
}

// literal adds text, joined to text before it.
func (t *template) literal(text string) {
	t.sample += text
	if n := len(t.pieces); n > 0 && t.pieces[n-1].part == nil {
		t.pieces[n-1].text += text
		return
	}
	if text != "" {
		t.pieces = append(t.pieces, piece{text: text})
	}
}

// constant is the text of a part that is the same for every record. What is
// found of it does not hold it, since it may be secret.
func (t *template) constant(e *Expression, at location) (string, *Finding) {
	switch {
	case e.term.isUnknown() && at.position == asValue:
		return `"` + Unknown + `"`, nil
	case e.term.isUnknown():
		return Unknown, nil
	case e.term.value == nil:
		return "", &Finding{Code: CodeNullPart, Message: "this is always null", Hint: "give a default: ${… ?? \"…\"}"}
	}
	text, err := e.appendPart(nil, aside(), t.place, at.position)
	if err != nil {
		return "", &Finding{Code: CodePlace, Message: err.Error()}
	}
	if len(text) == 0 && t.place == PlaceKey {
		return "", &Finding{Code: CodeNullPart, Message: "a part of a key must not be empty"}
	}
	if at.position == inScheme {
		// What begins a URL is a part of one, in the form of one.
		return t.place.literal(&templatePart{text: string(text)}, at)
	}
	text, err = t.place.fit(text, 0, piece{part: e, position: at.position})
	if err != nil {
		return "", &Finding{Code: CodeNeverTaken, Message: err.Error(),
			Hint: "it is the same for every record: correct the value"}
	}
	return string(text), nil
}
