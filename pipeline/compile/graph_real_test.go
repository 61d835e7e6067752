//go:build real

package compile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/testbed/nodejs"
)

// readMermaid prints what Mermaid's own parser understands of the charts that
// come in as a list: the labels of nodes and of edges, decoded as it draws them.
const readMermaid = `
import { JSDOM } from 'jsdom'
const dom = new JSDOM('<!DOCTYPE html>')
globalThis.window = dom.window
globalThis.document = dom.window.document
const mermaid = (await import('mermaid')).default
let input = ''
for await (const part of process.stdin) input += part
const decoded = text => {
  const span = document.createElement('span')
  span.innerHTML = text.replace(/ﬂ°°/g, '&#').replace(/ﬂ°/g, '&').replace(/¶ß/g, ';')
  return span.textContent
}
const all = []
for (const chart of JSON.parse(input)) {
  await mermaid.parse(chart)
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(chart)
  all.push({
    nodes: [...db.getVertices().values()].map(v => decoded(v.text)),
    edges: db.getEdges().map(e => [e.start, e.end, decoded(e.text)].join(' ').trim()),
  })
}
console.log(JSON.stringify(all))
`

func loadGraphs(t *testing.T) []plan.Graph {
	t.Helper()
	var all []plan.Graph
	for name, archive := range graphs(t) {
		options := config.Options{Env: func(string) (string, bool) { return "", false }, Stdin: bytes.NewReader(archive.Files[0].Data)}
		plan, problems := compile.Load([]string{"-"}, options, builtin.Registry())
		if plan == nil {
			t.Fatal(name, problems)
		}
		all = append(all, plan.Graph())
	}
	return all
}

// Mermaid reads every label as it was meant.
func TestRealMermaidReadsGraphs(t *testing.T) {
	type chart struct{ Nodes, Edges []string }
	var texts []string
	var want []chart
	for _, g := range loadGraphs(t) {
		texts = append(texts, g.Mermaid())
		var c chart
		for _, n := range g.Nodes {
			c.Nodes = append(c.Nodes, n.Label)
		}
		for _, e := range g.Edges {
			c.Edges = append(c.Edges, strings.TrimSpace(nodeID(e.From)+" "+nodeID(e.To)+" "+e.Label))
		}
		want = append(want, c)
	}
	input, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := nodejs.Need(t, "--input-type=module", "-e", readMermaid)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var got []chart
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-graph +what Mermaid reads)\n%s", diff)
	}
}

func nodeID(i int) string { return fmt.Sprint("n", i) }

// Graphviz reads every label as it was meant.
func TestRealGraphvizReadsGraphs(t *testing.T) {
	for _, g := range loadGraphs(t) {
		cmd := exec.Command("dot", "-Tjson")
		cmd.Stdin = strings.NewReader(g.DOT())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || stderr.Len() > 0 {
			t.Fatalf("dot: %v\n%s\n%s", err, &stderr, g.DOT())
		}
		var drawn struct {
			Objects []struct{ Label string }
			Edges   []struct{ Label string }
		}
		if err := json.Unmarshal(out, &drawn); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, n := range g.Nodes {
			want = append(want, n.Label)
		}
		for _, e := range g.Edges {
			want = append(want, e.Label)
		}
		for _, o := range drawn.Objects {
			got = append(got, unescapedDOT(o.Label))
		}
		for _, e := range drawn.Edges {
			got = append(got, unescapedDOT(e.Label))
		}
		slices.Sort(want)
		slices.Sort(got) // it has an order of its own
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-graph +what Graphviz reads)\n%s", diff)
		}
	}
}

// unescapedDOT is a label as it is drawn: Graphviz's JSON keeps its backslashes.
func unescapedDOT(label string) string { return strings.ReplaceAll(label, `\\`, `\`) }
