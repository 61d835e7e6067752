package pipeline

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/expression"
)

// unset stands for what LoadOptions.SkipEnv left open.
const unset = "[unset]"

// Redact replaces, in what a person is to see of a record's way, the values of
// secret fields and the texts of file(...), also where they are escaped for JSON
// or for a URL. Secrets of fewer than four characters are left: they would be
// found everywhere.
func (p *Plan) Redact(text string) string {
	if p.redactor == nil {
		return text
	}
	return p.redactor.Replace(text)
}

// newRedactor makes what Redact uses, nil where nothing is secret.
// What is not known is called so.
func newRedactor(secrets []string, config *Config) *strings.Replacer {
	all := slices.Clone(secrets)
	for _, f := range config.Files {
		if f.included != nil {
			all = append(all, *f.included...)
		}
	}
	var pairs []string
	for _, secret := range longestFirst(all) {
		if len(secret) < minSecret {
			continue
		}
		for _, form := range escapedForms(secret) {
			pairs = append(pairs, form, redacted)
		}
	}
	if config.skipEnv {
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
// JSON, within JSON within JSON, and in a URL.
func escapedForms(text string) []string {
	forms := []string{text}
	for _, form := range []string{jsonInside(text), jsonInside(jsonInside(text)), url.QueryEscape(text), url.PathEscape(text)} {
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return forms
}

// jsonInside is what stands between the quotes of a JSON text.
func jsonInside(text string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
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

// noting reads files and notes what they hold.
func noting(read func(string) (string, error), into *[]string) func(string) (string, error) {
	return func(name string) (string, error) {
		text, err := read(name)
		if err == nil && !slices.Contains(*into, text) {
			*into = append(*into, text)
		}
		return text, err
	}
}
