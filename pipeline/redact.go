package pipeline

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
)

// Redact replaces, in what a person is to see of a record's way, the values of
// secret fields and the texts of file(...), also where they are escaped for JSON
// or for a URL. Secrets of fewer than four characters are left: they would be
// found everywhere.
func (p *Plan) Redact(text string) string { return redact(p.redactor, text) }

// Redact is Plan.Redact of the plan that the pipeline is of.
func (p *PipelinePlan) Redact(text string) string { return redact(p.redactor, text) }

func redact(r *strings.Replacer, text string) string {
	if r == nil {
		return text
	}
	return r.Replace(text)
}

// newRedactor makes what Redact uses, nil where nothing is secret. What is not
// known, where skipEnv lets things be so, is called so.
func newRedactor(secrets []string, skipEnv bool) *strings.Replacer {
	var pairs []string
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		for _, form := range escapedForms(secret) {
			pairs = append(pairs, form, redacted)
		}
	}
	if skipEnv {
		for _, form := range escapedForms(expression.Unknown) {
			pairs = append(pairs, form, unset)
		}
	}
	if pairs == nil {
		return nil
	}
	return strings.NewReplacer(pairs...)
}

// escapedForms are how a text may stand in what was rendered: as it is, within
// JSON, within JSON within JSON, in a URL, quoted in a message or a log, and as
// base64 of it alone.
func escapedForms(text string) []string {
	quoted := strconv.Quote(text)
	forms := []string{text}
	for _, form := range []string{
		jsonInside(text, false), jsonInside(text, true), jsonInside(jsonInside(text, false), false),
		url.QueryEscape(text), url.PathEscape(text), quoted[1 : len(quoted)-1],
		base64.StdEncoding.EncodeToString([]byte(text)), base64.URLEncoding.EncodeToString([]byte(text)),
	} {
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return forms
}

// jsonInside is what stands between the quotes of a JSON text, with < > & escaped
// as for HTML or not.
func jsonInside(text string, html bool) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(html)
	if e.Encode(text) != nil {
		return text // a text always encodes
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), `"`), `"`)
}

// longestFirst sorts secrets and drops repeats, so that no part of one is left
// where a shorter one is taken out of it.
func longestFirst(secrets []string) []string {
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(secrets)
}

// noting notes each text once.
func noting(into *[]string) func(string) {
	return func(text string) {
		if !slices.Contains(*into, text) {
			*into = append(*into, text)
		}
	}
}

// redactProblems takes values that no output may show out of what is said of
// others, and the beginnings of long ones, which a message may have cut. A mend
// that holds one is left out.
func redactProblems(problems diag.Problems, secrets []string) {
	redactor := newRedactor(secrets, false)
	if redactor == nil {
		return
	}
	shown := func(text string) string {
		text = redactor.Replace(text)
		for _, secret := range secrets {
			if len(secret) > cutSecret {
				if at := strings.Index(text, secret[:cutSecret]); at >= 0 {
					text = text[:at] + redacted
				}
			}
		}
		return text
	}
	for i := range problems {
		p := &problems[i]
		p.Message, p.Hint = shown(p.Message), shown(p.Hint)
		if shown(p.Fix) != p.Fix {
			p.Fix, p.FixAt = "", diag.Region{}
		}
	}
}

// cutSecret is how much of a secret a message may show that is cut.
const cutSecret = 4 * minSecret
