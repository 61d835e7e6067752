package config

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// HandlerReference is what there is to know of one kind of sink.
type HandlerReference struct {
	Kind string `json:"kind"`
	// Summary is one sentence; Doc and Delivery are a few in Markdown.
	Summary  string `json:"summary"`
	Doc      string `json:"doc"`
	Delivery string `json:"delivery"`
	// Blocks are its keys, those of the kind itself first.
	Blocks []yamlconf.Block `json:"blocks"`
	// Example is a whole configuration file.
	Example string `json:"example"`
}

// DescribeHandler describes a kind of sink from the tags that its decoder uses.
func DescribeHandler(spec handlers.Spec) HandlerReference {
	return HandlerReference{
		Kind: spec.Kind, Summary: spec.Summary(), Doc: spec.Doc, Delivery: spec.Delivery,
		Blocks: yamlconf.Reference(spec.New()), Example: handlerExample(spec),
	}
}

// handlerExample is a whole file around a sink's own example.
func handlerExample(spec handlers.Spec) string {
	head := fmt.Sprintf(`version: 1
pipelines:
  orders-to-%s:
    source:
      topic: orders
    filter: payload.status == "paid"
    idempotency:
      key: order:${payload.order_id}
    sinks:
`, spec.Kind)
	lines := strings.Split(strings.TrimRight(spec.Example, "\n"), "\n")
	return head + "      - " + strings.Join(lines, "\n        ") + "\n"
}

// Markdown is the page of the sink.
func (h HandlerReference) Markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s# The `%s` sink\n\n%s\n", generated, h.Kind, h.Doc)
	for _, b := range h.Blocks {
		title := "Keys"
		if b.Path != "" {
			title = "`" + b.Path + "`"
		}
		fmt.Fprintf(&out, "\n## %s\n\n", title)
		if b.Doc != "" {
			out.WriteString(yamlconf.Markdown(b.Doc) + "\n\n")
		}
		if len(b.Keys) == 0 {
			out.WriteString("It has none.\n")
			continue
		}
		out.WriteString(b.Table(func(path string) string { return "#" + anchor(path) }))
	}
	out.WriteString("\n`name`, `when` and `retry` stand beside `" + h.Kind +
		":`, as beside every sink; [the configuration](../config.md) has them, and says what kinds and types are.\n")
	if h.Delivery != "" {
		fmt.Fprintf(&out, "\n## Delivery\n\n%s\n", h.Delivery)
	}
	fmt.Fprintf(&out, "\n## Example\n\nA whole file, which can be run as it is:\n\n```yaml\n%s```\n", h.Example)
	return out.String()
}
