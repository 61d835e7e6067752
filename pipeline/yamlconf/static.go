package yamlconf

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
)

// static decodes a scalar that is fixed when the configuration is loaded.
func (d *Decoder) static(n Node, v reflect.Value, f field) {
	if !n.IsScalar() {
		if f.secret {
			d.maskAll(n.target())
			d.AtValue(n, diag.CodeType, fmt.Sprintf("%s must be text, not %s", name(n.Path), n.What()), "")
			return
		}
		if n.flow() && strings.HasPrefix(d.rest(n), "{{") {
			d.eatenBraces(n)
			return
		}
		d.WrongType(n, describe(v.Type(), f))
		return
	}
	text, known, ok := d.Static(n)
	if f.secret || f.url && strings.Contains(text, "@") {
		d.hide(n, text)
	} else if f.url {
		d.unknownParameters(n)
	}
	if !ok {
		return
	}
	if !known {
		if f.def != "" {
			d.setDefault(v, f)
		}
		return
	}
	if text == "" && (f.required || v.Kind() != reflect.String) {
		d.emptyProblem(n, v.Type(), f)
		return
	}
	if problem := convert(v, text, f); problem != nil {
		if _, secret := d.secrets[n.Path]; secret || strings.Contains(n.Text(), "${") {
			problem = problem.unsaid(v.Type(), f, n.Text())
		}
		fix, at := d.source.Spell(n.Path, problem.fix)
		d.Add(diag.Problem{Path: n.Path, Place: d.source.Value(n.Path), Code: problem.code,
			Message: name(n.Path) + problem.message, Hint: problem.hint, Fix: fix, FixAt: at})
		return
	}
	if f.path && v.String() != "" && !filepath.IsAbs(v.String()) {
		v.SetString(filepath.Join(d.options.Dir, v.String()))
	}
}

// Static renders a scalar that may use `env` and `file(...)`. Known is false
// where it depends on what is missing and may be, and text then of no use; ok is
// false where it was reported as wrong.
func (d *Decoder) Static(n Node) (text string, known, ok bool) {
	source := n.Text()
	if !strings.Contains(source, "${") {
		return source, true, true
	}
	text, secret, findings := expression.Static(source, d.options.Constants)
	if secret {
		d.secrets[n.Path] = text
	}
	known = !strings.Contains(text, expression.Unknown)
	if !known {
		d.unknown[n.Path] = true
	}
	ok = true
	for _, f := range findings {
		ok = ok && f.Warning
		d.AddFinding(n.Path, f)
	}
	return text, known, ok
}

// AddFinding reports what was found inside the scalar at path.
func (d *Decoder) AddFinding(path diag.Path, f expression.Finding) {
	d.Add(FindingProblem(d.source, path, f))
}

// FindingProblem gives a finding inside the scalar at path its place.
func FindingProblem(source *diag.Source, path diag.Path, f expression.Finding) diag.Problem {
	p := diag.Problem{Path: path, Place: source.Inside(path, f.Offset), Severity: diag.Error,
		Code: diag.Code(f.Code), Message: f.Message, Hint: f.Hint}
	p.Fix, p.FixAt = source.Spell(path, f.Fix)
	if f.Warning {
		p.Severity = diag.Warning
	}
	return p
}

// malformed is why a text can't be converted. Message goes on after the name of
// the field.
type malformed struct {
	code               diag.Code
	message, hint, fix string
}

// unsaid is what is wrong without the text that is: what a variable or a file holds
// is nobody's to read who sees only what is wrong.
func (m *malformed) unsaid(t reflect.Type, f field, source string) *malformed {
	message := " must be " + describe(t, f)
	if m.code == diag.CodeRange {
		message, _, _ = strings.Cut(m.message, ", not ")
	}
	hint := ""
	if names := variables.FindAllString(source, -1); len(names) > 0 {
		hint = "look at what " + strings.Join(names, " and ") + " holds"
	}
	return &malformed{m.code, message, hint, ""}
}

var variables = regexp.MustCompile(`\benv\.[A-Za-z_][A-Za-z0-9_]*`)

// convert sets v to what text says, within the bounds of f.
func convert(v reflect.Value, text string, f field) *malformed {
	if len(f.enum) > 0 {
		if problem := choose(&text, f); problem != nil {
			return problem
		}
	}
	switch t := v.Type(); {
	case t == durationType:
		return convertDuration(v, text, f)
	case t == sizeType:
		size, err := ParseSize(text)
		if err != nil {
			fix, hint := mendSize(text)
			return &malformed{diag.CodeMalformed, ": " + err.Error(), hint, fix}
		}
		v.SetInt(int64(size))
		return bounds(f, text, float64(size), func(s string) float64 { n, _ := ParseSize(s); return float64(n) })
	case t == rateType:
		rate, err := ParseRate(text)
		if err != nil {
			return unreadableRate(text, err)
		}
		v.SetFloat(float64(rate))
		return bounds(f, text, float64(rate), func(s string) float64 { n, _ := ParseRate(s); return float64(n) })
	case t.Kind() == reflect.String:
		v.SetString(text)
	case t.Kind() == reflect.Bool:
		switch strings.ToLower(text) {
		case "true", "false":
			v.SetBool(strings.ToLower(text) == "true")
		default:
			problem := &malformed{diag.CodeType, fmt.Sprintf(" must be true or false, not %q", clip(text)), "",
				mendBool(text)}
			if problem.fix != "" {
				problem.hint = "write " + problem.fix
			}
			return problem
		}
	case v.CanInt():
		return convertInt(v, text, f)
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return &malformed{diag.CodeType, fmt.Sprintf(" must be a number, not %q", clip(text)), "", ""}
		}
		v.SetFloat(n)
		return bounds(f, text, n, parseFloat)
	default:
		panic("config field " + f.name + ": type without a notation")
	}
	return nil
}

func convertDuration(v reflect.Value, text string, f field) *malformed {
	duration, err := handlers.ParseDuration(text)
	if err != nil {
		problem := &malformed{diag.CodeMalformed, ": " + err.Error(), durationHint(text), mendDuration(text)}
		if problem.fix != "" {
			problem.hint = "write " + problem.fix
		}
		if _, isNumber := strconv.ParseFloat(text, 64); isNumber == nil && !strings.HasPrefix(text, "-") {
			problem.message = fmt.Sprintf(" is a duration and needs a unit, not just %s", clip(text))
			problem.hint, problem.fix = fmt.Sprintf("write %ss for seconds", clip(text)), text+"s"
			if ms, err := handlers.ParseDuration(text + "ms"); err == nil && ms > 2*365*24*time.Hour/1000 {
				// As seconds it would be more than two years.
				problem.fix = FormatDuration(ms)
				problem.hint = "write " + problem.fix + ", which is that many milliseconds"
			}
		}
		return problem
	}
	v.SetInt(int64(duration))
	return bounds(f, text, float64(duration), func(s string) float64 {
		n,
			_ := handlers.ParseDuration(s)
		return float64(n)
	})
}

func unreadableRate(text string, err error) *malformed {
	problem := &malformed{diag.CodeMalformed, ": " + err.Error(),
		"write a number a second, minute or hour: 500/s, 30/m, 10/h", mendRate(text)}
	switch zero := strings.Contains(err.Error(), "nothing through"); {
	case zero:
		problem.hint, problem.fix = "", ""
	case problem.fix != "" && problem.fix == strings.TrimSpace(text)+"/s":
		problem.message = fmt.Sprintf(" is a rate and needs a unit, not just %s", clip(text))
		problem.hint = fmt.Sprintf("write %s for %s a second", problem.fix, text)
	case problem.fix != "":
		problem.hint = "write " + problem.fix
	}
	return problem
}

// convertInt takes whole numbers as YAML writes them: also 0x10, 0o17, 1_000.
func convertInt(v reflect.Value, text string, f field) *malformed {
	digits, base := strings.ReplaceAll(text, "_", ""), 10
	for prefix, b := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if rest, ok := strings.CutPrefix(digits, prefix); ok {
			digits, base = rest, b
		}
	}
	n, err := strconv.ParseInt(digits, base, v.Type().Bits())
	if err == nil {
		v.SetInt(n)
		return bounds(f, text, float64(n), parseFloat)
	}
	if errors.Is(err, strconv.ErrRange) {
		if problem := bounds(f, text, parseFloat(digits), parseFloat); problem != nil {
			return problem
		}
	}
	problem := &malformed{diag.CodeType, fmt.Sprintf(" must be a whole number, not %q", clip(text)), "", ""}
	if whole, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil && whole == math.Trunc(whole) &&
		math.Abs(whole) < 1<<53 {
		problem.fix = strconv.FormatInt(int64(whole), 10)
	}
	if f.min != "" && f.min == f.max {
		problem.message, problem.fix = fmt.Sprintf(" must be %s, not %q", f.min, clip(text)), f.min
	}
	if problem.fix != "" {
		problem.hint = "write " + problem.fix
	}
	return problem
}

func bounds(f field, text string, n float64, parse func(string) float64) *malformed {
	switch {
	case f.min != "" && f.min == f.max && n != parse(f.min):
		return &malformed{diag.CodeRange, fmt.Sprintf(" must be %s, not %s", f.min, clip(text)), "", ""}
	case f.min != "" && n < parse(f.min):
		return &malformed{diag.CodeRange, fmt.Sprintf(" must be at least %s, not %s", f.min, clip(text)), "", ""}
	case f.max != "" && n > parse(f.max):
		return &malformed{diag.CodeRange, fmt.Sprintf(" must be at most %s, not %s", f.max, clip(text)), "", ""}
	}
	return nil
}

func parseFloat(s string) float64 { n, _ := strconv.ParseFloat(s, 64); return n }

// choose checks text against an enum, and writes it as the enum does.
func choose(text *string, f field) *malformed {
	if slices.Contains(f.enum, *text) {
		return nil
	}
	for _, option := range f.enum {
		if f.fold && strings.EqualFold(option, *text) {
			*text = option
			return nil
		}
	}
	hint, fix := "", diag.Nearest(*text, f.enum)
	if fix != "" {
		hint = fmt.Sprintf("did you mean %q?", fix)
	}
	return &malformed{diag.CodeChoice, fmt.Sprintf(" must be %s, not %q", diag.Or(f.enum), clip(*text)), hint, fix}
}

// describe names what a field takes, for messages.
func describe(t reflect.Type, f field) string {
	switch {
	case len(f.enum) > 0:
		return diag.Or(f.enum)
	case t == durationType:
		return "a duration such as 10s"
	case t == sizeType:
		return "a size such as 16MiB"
	case t == rateType:
		return "a rate such as 500/s"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "a number"
	case t == templateType:
		return "text"
	case t == expressionType:
		return "an expression"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map || t.Kind() == reflect.Struct:
		return "a map"
	default:
		return "text"
	}
}
