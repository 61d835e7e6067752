package expression

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// check finds what is wrong with a template as a whole; written counts its ${ }.
func (t *Template) check(written int) []Finding {
	whole := Finding{End: len(t.source)}
	text, constant := t.Constant()
	switch {
	case t.place == PlaceKey && written == 0:
		whole.Code, whole.Message = CodeConstantKey, "the key is the same for every record"
		whole.Hint = "name what makes an effect one: orders:${payload.order_id}"
		if f, ok := t.escapedKey(); ok {
			return []Finding{f}
		}
		if f, ok := t.plainly(); ok {
			f.Code, f.Message, f.Warning = CodeConstantKey, whole.Message+": "+f.Message, false
			f.Message = strings.TrimSuffix(f.Message, ", the same for every record")
			return []Finding{f}
		}
		return []Finding{whole}
	case t.place == PlaceTopic && !strings.Contains(t.sample, Unknown) &&
		(constant && !legalTopic([]byte(text)) || t.neverTopic()):
		whole.Code, whole.Message = CodeTopicName, "this is no legal topic name"
		whole.Hint = "a name has 1 to 249 letters, digits, '.', '_' and '-'"
		return []Finding{whole}
	}
	for _, p := range t.pieces {
		if p.part != nil && t.place == PlaceURL && (p.position == inScheme || p.position == inHost ||
			p.position == inUser) {
			whole.Code, whole.Message = CodeURLHost, "the scheme and the host of a URL must not depend on the record"
			whole.Hint = "write them out, or take them from env"
			return []Finding{whole}
		}
	}
	return nil
}

// neverTopic tells that what is constant in a topic's name makes it illegal.
func (t *template) neverTopic() bool {
	size := 0
	for _, p := range t.pieces {
		if size += len(p.text); p.part == nil && strings.ContainsFunc(p.text,
			func(r rune) bool { return !inTopic(r) }) {
			return true
		}
	}
	return size > 249
}

// doubt finds a part that the place can never take, or not from every record,
// by what is known of its value.
func (p Place) doubt(e *Expression) *Finding {
	text := shorten(strings.TrimSpace(e.source))
	switch {
	case e.term.constant:
	case !p.takesJSON() && e.is.solid() != 0 && e.is.solid()&^(isObject|isList) == 0:
		f := &Finding{Code: CodePlace, Message: text + " is " + e.is.String() + ": " + p.noun() + " takes none"}
		if names := e.is.fieldNames(); len(names) > 0 {
			f.Hint = "name a field of it: " + text + "." + strings.Join(names[:min(len(names), 3)], ", "+text+".")
		} else if e.is.solid() == isList {
			f.Hint = "name an item of it, such as " + text + "[0], or join(" + text + `, ",")`
		}
		return f
	case p.neverIn(e.layout) != "":
		hint := "write it without, such as 2006-01-02"
		if p == PlaceName {
			hint = `give each folder a part of its own: ${timestamp.Format("2006")}/${timestamp.Format("01")}`
		}
		return &Finding{Code: CodeNeverTaken, Message: text + " always holds a " + strconv.Quote(p.neverIn(e.layout)) +
			": " + p.noun() + " takes none", Hint: hint}
	case p == PlaceKey && e.is.nullable:
		return &Finding{Code: CodeMayBeMissing, Warning: true,
			Message: text + " may be missing by the topic's schema: such a record has no key and goes the way of " +
				"on_error",
			Hint: "let the filter ask for it: " + text + " != nil; or have the schema require it"}
	}
	return nil
}

// neverIn is the first character that every time written by the layout holds and
// the place does not take, empty for none.
func (p Place) neverIn(layout string) string {
	refused := func(r rune) bool { return false }
	switch p {
	case PlaceTopic:
		refused = func(r rune) bool { return !inTopic(r) }
	case PlaceName:
		refused = func(r rune) bool { return strings.ContainsRune("/\\\x00", r) }
	}
	// What a layout pads with a space in one it does not in the other.
	early := time.Date(2006, 1, 2, 3, 4, 5, 0, time.UTC).Format(layout)
	late := time.Date(2012, 11, 22, 13, 14, 15, 0, time.UTC).Format(layout)
	for _, r := range early {
		if refused(r) && strings.ContainsRune(late, r) {
			return string(r)
		}
	}
	return ""
}

// meantPart is text that looks like a part of the record without ${ }: as an
// expression, in the brackets of another language, or after a lonely $.
var meantPart = regexp.MustCompile(`\{\{\s*\.?((?:payload|headers|key|topic|source)(?:\.\w+|\[\w+\])*)\s*\}\}|#?\{\s*((?:payload|headers|key|topic|source)(?:\.\w+|\[\w+\])*)\s*\}|\$((?:payload|headers|source)(?:\.\w+)+)|%\{((?:payload|headers)(?:\.\w+)+)\}`)

// bare is a whole text that is a path into the record.
var bare = regexp.MustCompile(`^(?:payload|headers|source)(?:\.[A-Za-z_]\w*|\[\d+\])+$|^key$`)

// plainly finds text that was meant as a part of the record.
func (t *Template) plainly() (Finding, bool) {
	f := Finding{Code: CodeTemplateText, Warning: true, End: len(t.source)}
	if _, constant := t.Constant(); constant && bare.MatchString(t.source) {
		if t.source == "key" && t.place != PlaceKey {
			return f, false
		}
		f.Message = t.source + " is text here, the same for every record"
		f.Hint, f.Fix = "a part of the record is ${"+t.source+"}", "${"+t.source+"}"
		return f, true
	}
	masked := withoutParts(t.source)
	if f, ok := plainVariable(t.source, masked); ok {
		return f, true
	}
	m := meantPart.FindStringSubmatchIndex(masked)
	if m == nil || m[0] > 0 && masked[m[0]-1] == '$' {
		return f, false
	}
	for group := 2; group < len(m); group += 2 {
		if m[group] >= 0 {
			path := t.source[m[group]:m[group+1]]
			f.Offset, f.End = m[0], m[1]
			f.Message = t.source[m[0]:m[1]] + " is text here: nothing is put into it"
			f.Hint = "a part of the record is ${" + path + "}"
			f.Fix = t.source[:m[0]] + "${" + path + "}" + t.source[m[1]:]
		}
	}
	return f, true
}

// meantVariable is a variable as a shell, or a mistaken reader of these
// templates, writes it. Prices such as $5 are none.
var meantVariable = regexp.MustCompile(`\$(?:env\.([A-Za-z_]\w*)|([A-Z][A-Z0-9_]+)\b)`)

// plainVariable finds a variable that nothing is put in the place of.
func plainVariable(source, masked string) (Finding, bool) {
	m := meantVariable.FindStringSubmatchIndex(masked)
	if m == nil || m[0] > 0 && masked[m[0]-1] == '$' {
		return Finding{}, false
	}
	from, to := max(m[2], m[4]), max(m[3], m[5])
	variable := "${env." + source[from:to] + "}"
	return Finding{Code: CodeTemplateText, Warning: true, Offset: m[0], End: m[1],
		Message: source[m[0]:m[1]] + " is text here: nothing is put into it",
		Hint:    "a variable is " + variable, Fix: source[:m[0]] + variable + source[m[1]:]}, true
}

// withoutParts is a template with its ${ } and $${ blanked out.
func withoutParts(source string) string {
	text := []byte(source)
	for i := 0; i+1 < len(source); i++ {
		if strings.HasPrefix(source[i:], "$${") {
			copy(text[i:], "   ")
			i += 2
			continue
		}
		if strings.HasPrefix(source[i:], "${") {
			end := closing(source, i+2)
			if end < 0 {
				break
			}
			for ; i <= end; i++ {
				text[i] = ' '
			}
			i--
		}
	}
	return string(text)
}

// warn finds what is legal and hardly meant.
func (t *Template) warn() []Finding {
	if _, constant := t.Constant(); constant && t.place == PlaceKey {
		return []Finding{{
			End: len(t.source), Warning: true, Code: CodeConstantKey, Message: "the key is the same for every record",
			Hint: "name what makes an effect one: orders:${payload.order_id}",
		}}
	}
	if f, ok := t.plainly(); ok {
		return []Finding{f}
	}
	return nil
}
