package diag

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

type object = map[string]any

// writeSARIF writes a log of one run. Its columns count code points, as everywhere
// here.
func writeSARIF(w io.Writer, problems Problems) error {
	codes := make([]Code, 0, len(problems))
	for _, p := range problems {
		codes = append(codes, p.Code)
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	rules := make([]object, len(codes))
	for i, code := range codes {
		rules[i] = sarifRule(code)
	}
	results := make([]object, len(problems))
	for i, p := range problems {
		results[i] = sarifResult(p, slices.Index(codes, p.Code))
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []object{{
			"tool":       object{"driver": object{"name": "millrace", "informationUri": homepage, "rules": rules}},
			"columnKind": "unicodeCodePoints",
			"results":    results,
		}},
	})
}

func sarifRule(code Code) object {
	rule := object{"id": code}
	if e, ok := Explain(code); ok {
		rule["shortDescription"] = object{"text": e.Title}
		rule["fullDescription"] = object{"text": e.Why}
		rule["help"] = object{"text": e.Text(), "markdown": e.Markdown()}
		rule["helpUri"] = e.URL()
	}
	return rule
}

func sarifResult(p Problem, rule int) object {
	message := p.Message
	if p.Hint != "" {
		message += "\nhint: " + p.Hint
	}
	location := object{"artifactLocation": artifact(p.Place.File)}
	if from, to := p.extent(); from.Line > 0 {
		location["region"] = sarifRegion(from, to)
	}
	result := object{
		"ruleId": p.Code, "ruleIndex": rule, "level": p.Severity,
		"message":   object{"text": message},
		"locations": []object{{"physicalLocation": location}},
	}
	if r := p.Related; r != nil {
		at := object{"artifactLocation": artifact(r.Place.File)}
		if r.Place.Line > 0 {
			at["region"] = object{"startLine": r.Place.Line, "startColumn": r.Place.Column}
		}
		result["relatedLocations"] = []object{{"id": 1, "physicalLocation": at, "message": object{"text": r.Message}}}
	}
	if e, ok := p.Edit(); ok {
		result["fixes"] = []object{{
			"description": object{"text": "replace it by " + e.Text},
			"artifactChanges": []object{{
				"artifactLocation": artifact(e.Region.Start.File),
				"replacements": []object{{
					"deletedRegion":   sarifRegion(e.Region.Start, e.Region.End),
					"insertedContent": object{"text": e.Text},
				}},
			}},
		}}
	}
	return result
}

func sarifRegion(from, to Place) object {
	return object{"startLine": from.Line, "startColumn": from.Column, "endLine": to.Line, "endColumn": to.Column}
}

// artifact names a file by a URI: a relative one for a relative path.
func artifact(file string) object {
	path := filepath.ToSlash(filepath.Clean(file))
	u := url.URL{Path: path}
	if filepath.IsAbs(file) {
		u.Scheme = "file"
		if !strings.HasPrefix(path, "/") {
			u.Path = "/" + path
		}
	}
	return object{"uri": u.String()}
}

// extent is what a problem points at: the word at its place, or what its fix
// replaces where that begins there.
func (p Problem) extent() (from, to Place) {
	from, to = p.Place, p.Place
	to.Column++
	if p.Place.source == nil || p.Place.Line == 0 {
		return from, to
	}
	if e, ok := p.Edit(); ok && e.Region.Start.offset == from.offset && e.Region.End.Line == from.Line &&
		e.Region.End.Column > from.Column {
		return from, e.Region.End
	}
	text := from.source.text
	end := from.offset
	for end < len(text) && wordByte(text[end]) {
		end++
	}
	if end > from.offset {
		to = from.source.At(end)
	}
	return from, to
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-' || c >= 0x80
}
