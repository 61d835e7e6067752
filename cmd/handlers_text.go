package cmd

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// textWidth is how wide prose is set in a terminal.
const textWidth = 80

// handlerText is the page of a sink for terminals.
func handlerText(h config.HandlerReference) string {
	var out strings.Builder
	out.WriteString(h.Kind + "\n\n" + prose(h.Doc, ""))
	for _, b := range h.Blocks {
		switch {
		case len(b.Keys) == 0:
			continue
		case b.Path == "":
			out.WriteString("\nKEYS\n")
		default:
			fmt.Fprintf(&out, "\nKEYS OF %s\n", b.Path)
		}
		for _, k := range b.Keys {
			fmt.Fprintf(&out, "  %s\n", keyLine(k))
			out.WriteString(prose(k.Doc, "      "))
		}
	}
	out.WriteString("\nBeside " + h.Kind + ": may stand name, when and retry, as beside every sink.\n")
	if h.Delivery != "" {
		out.WriteString("\nDELIVERY\n" + prose(h.Delivery, "  "))
	}
	out.WriteString("\nEXAMPLE (a whole file)\n" + h.Example)
	return out.String()
}

// keyLine is a key with all that its tags say but the text.
func keyLine(k yamlconf.Key) string {
	facts := []string{k.Type}
	if len(k.Choices) > 0 {
		facts[0] = strings.Join(k.Choices, " | ")
	}
	if k.Kind != "" {
		facts = append(facts, k.Kind)
	}
	if bounds := k.Bounds(); bounds != "" {
		facts = append(facts, bounds)
	}
	if k.Required {
		facts = append(facts, "required")
	}
	if k.Default != "" {
		facts = append(facts, "default "+k.Default)
	}
	if k.Secret {
		facts = append(facts, "never shown")
	}
	return k.Name + ": " + strings.Join(facts, ", ")
}

// prose sets Markdown paragraphs and lists for a terminal, indented.
func prose(text, indent string) string {
	var out strings.Builder
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		for line := range strings.Lines(paragraph) {
			line = strings.NewReplacer("`", "", "*", "").Replace(strings.TrimRight(line, "\n"))
			hang := indent
			if strings.HasPrefix(line, "- ") {
				hang += "  "
			}
			out.WriteString(wrap(line, indent, hang))
		}
	}
	return out.String()
}

// wrap breaks a line between words; lines after the first are indented by hang.
func wrap(line, indent, hang string) string {
	var out strings.Builder
	column := 0
	for _, word := range strings.Fields(line) {
		width := utf8.RuneCountInString(word)
		switch {
		case out.Len() == 0:
			out.WriteString(indent + word)
			column = len(indent) + width
		case column+1+width > textWidth:
			out.WriteString("\n" + hang + word)
			column = len(hang) + width
		default:
			out.WriteString(" " + word)
			column += 1 + width
		}
	}
	return out.String() + "\n"
}
