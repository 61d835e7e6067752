package compile

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// together checks what pipelines and listeners must not share.
func (c *compiler) together() {
	c.groups()
	c.loops()
	c.longLoops()
	c.likeNames()
	c.addresses()
	c.retention()
	c.scale()
}

// groups reports consumer groups of two pipelines.
func (c *compiler) groups() {
	first := map[string]Definition{}
	for _, o := range c.definitions {
		group := o.Plan.Source.Group
		other, ok := first[group]
		if !ok {
			first[group] = o
			continue
		}
		path := o.Path.Field("source").Field("group")
		if group == "" || o.File.Source.Has(path) && !c.sound(o.File, path) || other.Plan.Name == o.Plan.Name {
			continue
		}
		p := diag.Problem{Path: path, Code: diag.CodeGroup,
			Message: fmt.Sprintf("the group %q belongs to the pipeline %q already: each would get only a part of the "+
				"records", group, other.Plan.Name),
			Hint:    "leave group out: its default is the pipeline's name",
			Related: &diag.Related{Place: c.groupPlace(other), Message: "it is the group of this pipeline"}}
		if p.Place = c.groupPlace(o); !o.File.Source.Has(path) {
			p.Path, p.Hint = o.Path, "a pipeline's name is its group: give one of the two another"
		}
		c.add(p)
	}
}

// groupPlace is where a pipeline's group is written: as its group, or as its
// name.
func (c *compiler) groupPlace(o Definition) diag.Place {
	if path := o.Path.Field("source").Field("group"); o.File.Source.Has(path) {
		return o.File.Source.Value(path)
	}
	return o.File.Source.Key(o.Path)
}

func (c *compiler) loop(o Definition, path diag.Path, topic, how string) {
	source := o.Path.Field("source")
	for _, key := range []string{"topic", "topics", "pattern"} {
		if o.File.Source.Has(source.Field(key)) {
			source = source.Field(key)
			break
		}
	}
	p := diag.Problem{Path: path, Place: o.File.Source.Value(path), Code: diag.CodeLoop,
		Message: fmt.Sprintf("the pipeline reads the topic %q that %s: its records would go round for ever", topic,
			how),
		Hint:    "use another topic",
		Related: &diag.Related{Place: o.File.Source.Value(source), Message: "it reads the topic here"}}
	if !o.File.Source.Has(path) {
		p.Path, p.Place, p.Related = source, p.Related.Place, nil
		p.Hint = "read other topics, or name another with dead_letter: {topic: …}"
	}
	c.add(p)
}

type sinkOrigin struct {
	Config     *config.Sink
	Topics     []string
	topicPaths []diag.Path
}

// sinkConfigs pairs the sinks of a pipeline's plan with where they stand.
func (c *compiler) sinkConfigs(o Definition) []sinkOrigin {
	i := slices.IndexFunc(o.File.Blocks.Pipelines,
		func(e yamlconf.Entry[config.Pipeline]) bool { return e.Path == o.Path })
	p := &o.File.Blocks.Pipelines[i].Value
	configs := map[any]*config.Sink{}
	collect := func(list []config.Sink) {
		for i := range list {
			if list[i].Handler != nil {
				configs[list[i].Handler] = &list[i]
			}
		}
	}
	collect(p.Sinks)
	for _, r := range p.Routes {
		collect(r.Sinks)
	}
	var out []sinkOrigin
	for _, r := range o.Plan.Routes {
		for _, s := range r.Sinks {
			out = append(out, sinkOrigin{configs[s.Config], s.Topics, s.TopicPaths})
		}
	}
	return out
}

// longLoops warns of pipelines that feed each other in a circle, once for each
// circle's first pipeline.
func (c *compiler) longLoops() {
	next := map[*plan.Pipeline][]edge{}
	for _, o := range c.definitions {
		for _, s := range c.sinkConfigs(o) {
			for i, t := range s.Topics {
				c.feeds(next, o, s.topicPaths[i], func(p *plan.Pipeline) bool { return p.Reads(t) })
			}
			for _, t := range topicTemplates(s) {
				c.feeds(next, o, t.Path, func(p *plan.Pipeline) bool { return mayFeed(t.Template, p) != "" })
			}
		}
		if o.Plan.DeadLetter != "" {
			c.feeds(next, o, o.Path.Field("dead_letter").Field("topic"),
				func(p *plan.Pipeline) bool { return p.Reads(o.Plan.DeadLetter) })
		}
	}
	told := map[*plan.Pipeline]bool{}
	for _, o := range c.definitions {
		circle := findCircle(next, o.Plan)
		if len(circle) == 0 || told[o.Plan] {
			continue
		}
		names := o.Plan.Name
		for _, e := range circle {
			told[e.to] = true
			names += " → " + e.to.Name
		}
		path := circle[0].path
		c.warn(o.File, path, diag.CodeLongLoop, "pipelines feed each other in a circle: "+names,
			"make sure that a filter lets records out of it")
	}
}

// feeds notes which other pipelines read what one writes at path.
func (c *compiler) feeds(next map[*plan.Pipeline][]edge, o Definition, path diag.Path,
	reads func(*plan.Pipeline) bool) {
	for _, other := range c.definitions {
		if other.Plan != o.Plan && reads(other.Plan) {
			next[o.Plan] = append(next[o.Plan], edge{other.Plan, path})
		}
	}
}

// edge leads to a pipeline that reads what another writes.
type edge struct {
	to   *plan.Pipeline
	path diag.Path
}

// findCircle finds a shortest way from a pipeline back to itself.
func findCircle(next map[*plan.Pipeline][]edge, start *plan.Pipeline) []edge {
	type way []edge
	seen := map[*plan.Pipeline]bool{}
	queue := []way{nil}
	for len(queue) > 0 {
		at := start
		if len(queue[0]) > 0 {
			at = queue[0][len(queue[0])-1].to
		}
		for _, e := range next[at] {
			longer := append(slices.Clone(queue[0]), e)
			if e.to == start {
				return longer
			}
			if !seen[e.to] {
				seen[e.to] = true
				queue = append(queue, longer)
			}
		}
		queue = queue[1:]
	}
	return nil
}
