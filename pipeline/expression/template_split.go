package expression

import (
	"fmt"
	"regexp"
	"strings"
)

// templatePart is a part of a template's source: text, or the inside of ${ }.
type templatePart struct {
	text     string
	expr     bool
	from, to int // of the inside, or of the text as written
	// made is the expression, compiled.
	made *Expression
}

// span is where bytes of text stand in the source: all of the part, where it is
// written in another way.
func (p *templatePart) span(from, to int) (int, int) {
	if p.to-p.from != len(p.text) {
		return p.from, p.to
	}
	return p.from + from, p.from + to
}

// inside is where the expression stands without the space around it.
func (p templatePart) inside() (from, to int) {
	left := len(p.text) - len(strings.TrimLeft(p.text, " \t\r\n"))
	return p.from + left, p.from + max(left, len(strings.TrimRight(p.text, " \t\r\n")))
}

// split takes a template's source apart.
func split(source string) (parts []templatePart, findings []Finding) {
	var text strings.Builder
	start, written := 0, 0
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
				parts = append(parts, templatePart{text: text.String(), from: start, to: i})
				text.Reset()
			}
			if written++; written > maxParts {
				return nil, []Finding{{Offset: i, End: end + 1, Code: CodeTooLarge,
					Message: fmt.Sprintf("the text has more than %d ${ }", maxParts)}}
			}
			parts = append(parts, templatePart{text: source[i+2 : end], expr: true, from: i + 2, to: end})
			i = end + 1
			start = i
		default:
			text.WriteByte(source[i])
			i++
		}
	}
	if text.Len() > 0 {
		parts = append(parts, templatePart{text: text.String(), from: start, to: len(source)})
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
