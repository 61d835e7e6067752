package plan

import (
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Graph is what a plan connects: where records come from, the pipelines, and
// where they go.
type Graph struct {
	Nodes []GraphNode
	Edges []GraphEdge
}

// GraphNode is a topic, a pipeline, or something outside of Kafka.
type GraphNode struct {
	Kind GraphKind
	// Label is the node's name for people.
	Label string
}

// GraphKind says what a node is.
type GraphKind string

// The kinds of nodes.
const (
	GraphIngest     GraphKind = "ingest"
	GraphTopic      GraphKind = "topic"
	GraphPattern    GraphKind = "pattern"
	GraphPipeline   GraphKind = "pipeline"
	GraphDeadLetter GraphKind = "dead_letter"
	GraphSink       GraphKind = "sink"
)

// GraphEdge leads from one node to another, by their index.
type GraphEdge struct {
	From, To int
	// Label is the condition that holds on the way, empty for none.
	Label string
	// Aside tells that it is not the way of a record that is delivered.
	Aside bool
}

// maxGraphLabel is how long a condition may be on an edge.
const maxGraphLabel = 48

// Graph is the plan as a graph. It shows no secrets.
func (p *Plan) Graph() Graph {
	g := &grapher{plan: p}
	if p.Ingest != nil {
		from := g.node(GraphIngest, "ingest "+p.Ingest.Listen)
		for _, r := range p.Ingest.Routes {
			g.edge(from, g.node(GraphTopic, r.Topic), r.Path, false)
		}
	}
	for _, t := range p.Topics {
		g.node(GraphTopic, t.Name)
	}
	for _, each := range p.Pipelines {
		for _, topic := range each.Source.Topics {
			g.node(GraphTopic, topic)
		}
	}
	for _, each := range p.Pipelines {
		g.pipeline(each)
	}
	g.patterns()
	return g.graph
}

type grapher struct {
	plan  *Plan
	graph Graph
}

// node is the index of a node, which is made where it is missing.
func (g *grapher) node(kind GraphKind, label string) int {
	n := GraphNode{kind, label}
	if i := slices.Index(g.graph.Nodes, n); i >= 0 {
		return i
	}
	if kind == GraphDeadLetter || kind == GraphTopic {
		// A topic that a pipeline reads stays one, also where it is another's
		// dead letters.
		for i, other := range g.graph.Nodes {
			if other.Label == label && (other.Kind == GraphTopic || other.Kind == GraphDeadLetter) {
				return i
			}
		}
	}
	g.graph.Nodes = append(g.graph.Nodes, n)
	return len(g.graph.Nodes) - 1
}

// edge adds an edge once.
func (g *grapher) edge(from, to int, label string, aside bool) {
	e := GraphEdge{from, to, shortened(g.shown(label)), aside}
	if !slices.Contains(g.graph.Edges, e) {
		g.graph.Edges = append(g.graph.Edges, e)
	}
}

// shown is text without what is secret.
func (g *grapher) shown(text string) string { return g.plan.Redactor.Text(text) }

func (g *grapher) pipeline(p *Pipeline) {
	at := g.node(GraphPipeline, p.Name)
	filter := ""
	if p.Filter != nil {
		filter = p.Filter.Source()
	}
	for _, topic := range p.Source.Topics {
		g.edge(g.node(GraphTopic, topic), at, filter, false)
	}
	if p.Source.Pattern != nil {
		g.edge(g.node(GraphPattern, p.Source.Pattern.String()), at, filter, false)
	}
	for i, r := range p.Routes {
		for j := range r.Sinks {
			g.sink(at, p, i, &r.Sinks[j])
		}
	}
	if p.DeadLetter != "" {
		g.edge(at, g.node(GraphDeadLetter, p.DeadLetter), "", true)
	}
}

func (g *grapher) sink(from int, p *Pipeline, route int, s *Sink) {
	var conditions []string
	for _, when := range []*expression.Expression{p.Routes[route].When, s.When} {
		if when != nil {
			conditions = append(conditions, when.Source())
		}
	}
	label := strings.Join(conditions, " and ")
	if label == "" && route > 0 {
		label = "otherwise"
	}
	kind, destination := g.destination(s)
	g.edge(from, g.node(kind, g.shown(destination)), label, false)
}

// destination is where a sink writes to: a topic, the host of a URL, or what its
// first required key says; where none does, the first topic that it names itself.
func (g *grapher) destination(s *Sink) (GraphKind, string) {
	values := map[string]reflect.Value{}
	yamlconf.Each(s.Config, func(name string, value reflect.Value, secret bool) {
		if !secret {
			values[name] = value
		}
	})
	for _, k := range yamlconf.Reference(s.Config)[0].Keys {
		value, ok := values[k.Name]
		if !ok || !k.Required {
			continue
		}
		t, isTemplate := value.Interface().(handlers.Template)
		switch {
		case k.Place == string(expression.PlaceTopic) && t.Constant && !t.Secret:
			return GraphTopic, t.Prefix
		case k.Place == string(expression.PlaceTopic):
			return GraphTopic, oneLineOf(t.Source)
		case k.Place == string(expression.PlaceURL):
			return GraphSink, strings.TrimSpace(s.Kind + " " + host(t.Prefix, t.Secret))
		case !isTemplate && value.Kind() == reflect.String:
			return GraphSink, s.Kind + " " + g.relative(value.String())
		}
	}
	if len(s.Topics) > 0 {
		return GraphTopic, s.Topics[0]
	}
	return GraphSink, s.Kind
}

// host is the host of a URL that begins with prefix.
func host(prefix string, secret bool) string {
	u, err := url.Parse(prefix)
	switch {
	case secret || strings.Contains(prefix, expression.Unknown):
		return ""
	case err != nil || u.Host == "":
		return "to a host of the record"
	default:
		return u.Host
	}
}

// patterns connects topics with the patterns that match them.
func (g *grapher) patterns() {
	for _, p := range g.plan.Pipelines {
		if p.Source.Pattern == nil {
			continue
		}
		to := g.node(GraphPattern, p.Source.Pattern.String())
		for i, n := range g.graph.Nodes {
			if n.Kind == GraphTopic && p.Source.Pattern.MatchString(n.Label) {
				g.edge(i, to, "", false)
			}
		}
	}
}

// shortened is a condition in one line that an edge has room for.
func shortened(text string) string {
	runes := []rune(oneLineOf(text))
	if len(runes) <= maxGraphLabel {
		return string(runes)
	}
	return strings.TrimSpace(string(runes[:maxGraphLabel-1])) + "…"
}

// relative is a path as seen from the configuration's folder.
func (g *grapher) relative(name string) string {
	if rel, err := filepath.Rel(g.plan.Dir, name); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return name
}

func oneLineOf(text string) string { return strings.Join(strings.Fields(text), " ") }
