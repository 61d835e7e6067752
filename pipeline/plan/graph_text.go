package plan

import (
	"fmt"
	"strings"
)

// Mermaid is the graph as a Mermaid flowchart, which GitHub and many editors
// draw.
func (g Graph) Mermaid() string {
	shapes := map[GraphKind][2]string{
		GraphIngest: {"([", "])"}, GraphTopic: {"[(", ")]"}, GraphPattern: {"{{", "}}"},
		GraphPipeline: {"[", "]"}, GraphDeadLetter: {"[(", ")]"}, GraphSink: {"([", "])"},
	}
	var out strings.Builder
	out.WriteString("flowchart LR\n")
	dead := []string{}
	for i, n := range g.Nodes {
		shape := shapes[n.Kind]
		fmt.Fprintf(&out, "    n%d%s\"%s\"%s\n", i, shape[0], mermaidText(n.Label), shape[1])
		if n.Kind == GraphDeadLetter {
			dead = append(dead, fmt.Sprint("n", i))
		}
	}
	for _, e := range g.Edges {
		arrow := "-->"
		if e.Aside {
			arrow = "-.->"
		}
		if e.Label != "" {
			arrow += "|\"" + mermaidText(e.Label) + "\"|"
		}
		fmt.Fprintf(&out, "    n%d %s n%d\n", e.From, arrow, e.To)
	}
	if len(dead) > 0 {
		out.WriteString("    classDef dead stroke-dasharray: 4\n")
		fmt.Fprintf(&out, "    class %s dead\n", strings.Join(dead, ","))
	}
	return out.String()
}

// mermaidText writes what means something to Mermaid as codes.
func mermaidText(text string) string {
	return strings.NewReplacer(
		"#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;", "$", "#36;", `\`, "#92;",
	).Replace(text)
}

// DOT is the graph in the language of Graphviz.
func (g Graph) DOT() string {
	shapes := map[GraphKind]string{
		GraphIngest: "house", GraphTopic: "cylinder", GraphPattern: "hexagon",
		GraphPipeline: "box", GraphDeadLetter: "cylinder", GraphSink: "ellipse",
	}
	var out strings.Builder
	out.WriteString("digraph millrace {\n    rankdir=LR\n")
	for i, n := range g.Nodes {
		style := ""
		if n.Kind == GraphDeadLetter {
			style = " style=dashed"
		}
		fmt.Fprintf(&out, "    n%d [label=%s shape=%s%s]\n", i, dotText(n.Label), shapes[n.Kind], style)
	}
	for _, e := range g.Edges {
		var attributes []string
		if e.Label != "" {
			attributes = append(attributes, "label="+dotText(e.Label))
		}
		if e.Aside {
			attributes = append(attributes, "style=dashed")
		}
		fmt.Fprintf(&out, "    n%d -> n%d", e.From, e.To)
		if len(attributes) > 0 {
			fmt.Fprintf(&out, " [%s]", strings.Join(attributes, " "))
		}
		out.WriteString("\n")
	}
	out.WriteString("}\n")
	return out.String()
}

func dotText(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
