package expression

import (
	"fmt"
	"regexp"
	"strings"
)

// Template is compiled text. It is immutable.
type Template struct{ template }

type template struct {
	source string
	place  Place
	pieces []piece
	secret bool
}

// piece is text as it stands, or an expression.
type piece struct {
	text string
	// part is nil for text.
	part *Expression
	// position is where in a URL the part stands.
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

// AppendText renders the template and appends the text to dst. Where it fails,
// what it returns holds no more than dst.
func (t *Template) AppendText(dst []byte, in *Input) ([]byte, error) {
	start := len(dst)
	for _, p := range t.pieces {
		if p.part == nil {
			dst = append(dst, p.text...)
			continue
		}
		from := len(dst)
		var err error
		if dst, err = p.part.appendPart(dst, &in.input, t.place); err != nil {
			return dst[:start], fmt.Errorf("${%s}: %w", shorten(p.part.source), err)
		}
		if dst, err = t.place.fit(dst, from, p.position); err != nil {
			return dst[:start], fmt.Errorf("${%s}: %w", shorten(p.part.source), err)
		}
	}
	if err := t.place.whole(dst[start:]); err != nil {
		return dst[:start], err
	}
	return dst, nil
}

// appendPart appends the text of one part.
func (e *expression) appendPart(dst []byte, in *input, place Place) ([]byte, error) {
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
		return textOf(dst, v)
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
	for _, p := range parts {
		if !p.expr {
			t.literal(p.text)
			continue
		}
		written++
		e, found := s.Expression(p.text)
		for _, f := range found {
			f = p.lift(f, source)
			if f.Warning {
				warnings = append(warnings, f)
			} else {
				errs = append(errs, f)
			}
		}
		if e != nil {
			t.secret = t.secret || e.secret
			f := t.add(e)
			if f == nil {
				f = t.place.doubt(e)
			}
			switch {
			case f == nil:
			case f.Warning:
				f.Offset, f.End = p.inside()
				warnings = append(warnings, *f)
			default:
				f.Offset, f.End = p.inside()
				errs = append(errs, *f)
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
	if _, constant := t.Constant(); warnings == nil && place == PlaceKey && !constant {
		warnings = s.coarseKey(t)
	}
	return t, append(errs, warnings...)
}

// literal adds text, joined to text before it.
func (t *template) literal(text string) {
	if n := len(t.pieces); n > 0 && t.pieces[n-1].part == nil {
		t.pieces[n-1].text += text
		return
	}
	if text != "" {
		t.pieces = append(t.pieces, piece{text: text})
	}
}

// add adds a part: as text where it is constant.
func (t *template) add(e *Expression) *Finding {
	if !e.term.constant {
		p := piece{part: e}
		if t.place == PlaceURL {
			p.position = t.urlPosition()
		}
		t.pieces = append(t.pieces, p)
		return nil
	}
	if e.term.isUnknown() {
		t.literal(Unknown)
		return nil
	}
	text, err := e.appendPart(nil, nil, t.place)
	switch {
	case e.term.value == nil:
		return &Finding{Code: CodeNullPart, Message: "this is always null", Hint: "give a default: ${… ?? \"…\"}"}
	case err != nil:
		return &Finding{Code: CodePlace, Message: err.Error()}
	case len(text) == 0 && t.place == PlaceKey:
		return &Finding{Code: CodeNullPart, Message: "a part of a key must not be empty"}
	}
	t.literal(string(text))
	return nil
}

// templatePart is a part of a template's source: text, or the inside of ${ }.
type templatePart struct {
	text     string
	expr     bool
	from, to int // of the inside
}

// inside is where the expression stands without the space around it.
func (p templatePart) inside() (from, to int) {
	left := len(p.text) - len(strings.TrimLeft(p.text, " \t\r\n"))
	return p.from + left, p.from + max(left, len(strings.TrimRight(p.text, " \t\r\n")))
}

// split takes a template's source apart.
func split(source string) (parts []templatePart, findings []Finding) {
	var text strings.Builder
	for i := 0; i < len(source); {
		rest := source[i:]
		switch {
		case strings.HasPrefix(rest, "$${"):
			text.WriteString("${")
			i += 3
		case strings.HasPrefix(rest, "${"):
			end := closing(source, i+2)
			if end < 0 {
				return nil, []Finding{unclosed(source, i)}
			}
			if text.Len() > 0 {
				parts = append(parts, templatePart{text: text.String()})
				text.Reset()
			}
			parts = append(parts, templatePart{text: source[i+2 : end], expr: true, from: i + 2, to: end})
			i = end + 1
		default:
			text.WriteByte(source[i])
			i++
		}
	}
	if text.Len() > 0 {
		parts = append(parts, templatePart{text: text.String()})
	}
	return parts, nil
}

// simplePath is what stands in most ${ }.
var simplePath = regexp.MustCompile(`^\s*[A-Za-z_][\w.\[\]]*`)

// unclosed is the finding for a ${ without its }: mostly that is missing.
func unclosed(source string, i int) Finding {
	f := Finding{Offset: i, End: len(source), Code: CodeTemplate, Message: "this ${ is never closed by }"}
	inner := source[i+2:]
	path := simplePath.FindString(inner)
	quotes := strings.Count(inner, `"`)%2 == 1 || strings.Count(inner, "'")%2 == 1
	switch {
	case quotes:
		f.Hint = "a quote in it is open, so that the } behind it counts as text"
	case path == "":
		f.Hint = "write $${ for the text ${"
	default:
		f.Hint = "add the }: ${" + path + "}"
		if path == inner {
			f.Fix = source + "}"
		}
	}
	return f
}

// closing is the } that ends the expression at i, -1 where there is none. Text
// in quotes, comments and the braces of objects belong to the expression.
func closing(source string, i int) int {
	for depth := 0; i < len(source); i++ {
		switch c := source[i]; c {
		case '"', '\'', '`':
			for i++; i < len(source) && source[i] != c; i++ {
				if source[i] == '\\' && c != '`' {
					i++
				}
			}
		case '/':
			if strings.HasPrefix(source[i:], "/*") {
				end := strings.Index(source[i+2:], "*/")
				if end < 0 {
					return -1
				}
				i += end + 3
			}
		case '{':
			depth++
		case '}':
			if depth--; depth < 0 {
				return i
			}
		}
	}
	return -1
}

// lift moves a finding in a part to its place in the template, with hints for
// what a shell would understand.
func (p templatePart) lift(f Finding, source string) Finding {
	f.Offset += p.from
	f.End += p.from
	if f.Fix != "" {
		f.Fix = source[:p.from] + f.Fix + source[p.to:]
	}
	name, fallback, has := shellVariable(p.text)
	if name == "" || f.Code != CodeUnknownName && f.Code != CodeSyntax {
		return f
	}
	f.Code, f.Offset, f.End = CodeShellVariable, p.from, p.to
	f.Message = "${" + p.text + "} is how a shell reads a variable"
	inside := "env." + name
	if has {
		inside += fmt.Sprintf(" ?? %q", fallback)
	}
	f.Hint = "write ${" + inside + "}"
	f.Fix = source[:p.from] + inside + source[p.to:]
	return f
}

// shellVariable reads NAME, NAME:-default, NAME-default and env.NAME:-default.
func shellVariable(text string) (name, fallback string, has bool) {
	name, fallback, has = strings.Cut(text, ":-")
	if has {
		name = strings.TrimPrefix(name, "env.")
	}
	if !has {
		name, fallback, has = strings.Cut(text, "-")
	}
	if name != strings.ToUpper(name) || !isName(name) || strings.Contains(name, "$") {
		return "", "", false
	}
	return name, fallback, has
}
