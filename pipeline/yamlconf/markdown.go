package yamlconf

import (
	"regexp"
	"strings"
)

var quoted = regexp.MustCompile(`(^|[\s(])'([^'\n]+)'`)

// Markdown is a doc tag's text with what is to be typed, which stands in single
// quotes there, as code.
func Markdown(doc string) string { return quoted.ReplaceAllString(doc, "$1`$2`") }

// Table shows the block's keys as a Markdown table. Link tells where a block is
// described.
func (b Block) Table(link func(path string) string) string {
	var out strings.Builder
	out.WriteString("| key | type | kind | default | what it does |\n|---|---|---|---|---|\n")
	for _, k := range b.Keys {
		what := k.what()
		if k.Block != "" {
			what = "[" + what + "](" + link(k.Block) + ")"
		}
		row := []string{"`" + k.Name + "`", what, k.Kind, k.defaults(), Markdown(k.Doc)}
		if k.Secret {
			row[4] += " No output shows it."
		}
		for i, cell := range row {
			row[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		out.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return out.String()
}

// what is the type with its choices, place and bounds.
func (k Key) what() string {
	text := k.Type
	switch {
	case len(k.Choices) > 0:
		text = strings.Replace(text, "choice", "`"+strings.Join(k.Choices, "`, `")+"`", 1)
	case k.Place == "url":
		text = "URL"
	case k.Place == "topic":
		text = "topic name"
	}
	if bounds := k.Bounds(); bounds != "" {
		text += ", " + bounds
	}
	return text
}

func (k Key) defaults() string {
	switch {
	case k.Required:
		return "**required**"
	case k.Default != "":
		return "`" + k.Default + "`"
	default:
		return ""
	}
}
