package secrets

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
)

// Redacted stands for what nobody may see.
const Redacted = handlers.Redacted

// unset stands for what config.Options.SkipEnv left open.
const unset = "[unset]"

// Redactor takes what is secret out of text that people read: the values of secret
// fields and the texts of file(...), also where they are escaped for JSON or for a
// URL. It is safe for concurrent use, and a nil one changes nothing.
type Redactor struct {
	secrets  []string
	replacer *strings.Replacer
}

// New makes a Redactor of secrets; nil where there are none. What is not
// known, where skipEnv lets things be so, is called so.
func New(secrets []string, skipEnv bool) *Redactor {
	secrets = longestFirst(secrets)
	var pairs []string
	for _, secret := range secrets {
		if len(secret) < diag.MinSecret {
			continue
		}
		for _, form := range escapedForms(secret) {
			pairs = append(pairs, form, Redacted)
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
	return &Redactor{secrets: secrets, replacer: strings.NewReplacer(pairs...)}
}

// Text is text of a configuration without what is secret.
func (r *Redactor) Text(text string) string {
	if r == nil {
		return text
	}
	return r.replacer.Replace(text)
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

// Problems takes what is secret out of what is said of others, and the beginnings of
// long secrets, which a message may have cut. A mend that holds one is left out.
func (r *Redactor) Problems(problems diag.Problems) {
	if r == nil {
		return
	}
	shown := func(text string) string {
		text = r.Text(text)
		for _, secret := range r.secrets {
			if len(secret) > diag.CutSecret {
				if at := strings.Index(text, secret[:diag.CutSecret]); at >= 0 {
					text = text[:at] + Redacted
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
