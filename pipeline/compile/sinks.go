package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/secrets"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// routes takes `routes:` or the shorthand `sinks:`.
func (c *compiler) routes(f *config.File, path diag.Path, planned *plan.Pipeline, p *config.Pipeline) []plan.Route {
	hasSinks, hasRoutes := f.Source.Has(path.Field("sinks")), f.Source.Has(path.Field("routes"))
	names := &sinkNames{guarded: p.Idempotency != nil, seen: map[string]diag.Path{}, unnamed: map[string]bool{}}
	switch {
	case hasSinks && hasRoutes:
		first, second := path.Field("sinks"), path.Field("routes")
		c.add(diag.Problem{Path: second, Place: f.Source.Key(second), Code: diag.CodeExclusive,
			Message: "sinks and routes exclude each other: sinks is short for one route without when",
			Hint:    "move the sinks into a route",
			Related: &diag.Related{Place: f.Source.Key(first), Message: "the sinks are here"}})
	case !hasSinks && !hasRoutes:
		if !c.unclear(f, path) && !c.misplaced(f, path, "sinks", "routes") {
			c.atKey(f, path, diag.CodeRequired, fmt.Sprintf("%s has neither sinks nor routes", path),
				"add sinks: [{stdout: {}}] to begin with")
		}
		return nil
	}
	var routes []plan.Route
	if hasSinks {
		if len(p.Sinks) == 0 && c.sound(f, path.Field("sinks")) {
			c.atKey(f, path.Field("sinks"), diag.CodeEmpty, string(path.Field("sinks"))+" is empty", "")
		}
		routes = append(routes, plan.Route{Sinks: c.sinks(f, path, planned, p, p.Sinks, names)})
	}
	if hasRoutes && len(p.Routes) == 0 && c.sound(f, path.Field("routes")) {
		c.atKey(f, path.Field("routes"), diag.CodeEmpty, string(path.Field("routes"))+" is empty", "")
	}
	reach := newReach(c, f, path)
	for i, r := range p.Routes {
		at := path.Field("routes").Item(i)
		when := c.condition(f, planned.Result, at.Field("when"), r.When.Source)
		reach.route(i, when)
		routes = append(routes, plan.Route{When: when, Sinks: c.sinks(f, path, planned, p, r.Sinks, names)})
	}
	return routes
}

// sinkNames finds sinks of a pipeline that could not be told apart.
type sinkNames struct {
	guarded bool
	seen    map[string]diag.Path
	unnamed map[string]bool
}

func (c *compiler) sinks(f *config.File, path diag.Path, planned *plan.Pipeline, p *config.Pipeline,
	configs []config.Sink, names *sinkNames) []plan.Sink {
	var plans []plan.Sink
	for i := range configs {
		config := &configs[i]
		if config.Kind == "" {
			continue
		}
		sink := plan.Sink{Name: config.Name, Kind: config.Kind, Spec: c.registry[config.Kind], Config: config.Handler,
			When: c.condition(f, planned.Result, config.Path.Field("when"), config.When.Source)}
		c.constantCondition(f, config.Path.Field("when"), sink.When,
			"no record reaches this sink: its condition is always false")
		if c.retry(f, path.Field("retry"), &p.Retry); config.Retry == nil {
			sink.Retry = c.retry(f, path.Field("retry"), &p.Retry)
		} else {
			sink.Retry = c.retry(f, config.Path.Field("retry"), &p.Retry, config.Retry)
		}
		if sink.Name == "" {
			sink.Name = config.Kind
		} else {
			c.name(f, config.Path.Field("name"), sink.Name, "sink", false)
		}
		c.sinkName(f, config, sink.Name, names)
		sink.Topics, sink.TopicPaths = c.handler(f, planned, config)
		sink.Fields = fieldsOf(&sink)
		plans = append(plans, sink)
	}
	return plans
}

// sinkName reports two sinks of one name. Without keys, unnamed ones may share
// theirs.
func (c *compiler) sinkName(f *config.File, config *config.Sink, name string, names *sinkNames) {
	first, ok := names.seen[name]
	unnamed := config.Name == ""
	if !ok {
		names.seen[name], names.unnamed[name] = config.Path, unnamed
		return
	}
	if unnamed && names.unnamed[name] && !names.guarded {
		return
	}
	at := config.Path.Field("name")
	message := fmt.Sprintf("two sinks of the pipeline are named %q", name)
	if unnamed {
		at = config.HandlerPath()
		message = fmt.Sprintf("two sinks of the pipeline are both named %q after their handler, and names are part "+
			"of the identity of keys", name)
	}
	c.add(diag.Problem{Path: config.Path, Place: f.Source.Key(at), Code: diag.CodeSinkName, Message: message,
		Hint:    "give each a name of its own: name: …",
		Related: &diag.Related{Place: f.Source.Key(first), Message: "the other sink is here"}})
}

// handler compiles a sink's own settings, lets it check them, and returns the
// topics that it writes whatever the record, with where each is written.
func (c *compiler) handler(f *config.File, plan *plan.Pipeline, conf *config.Sink) (topics []string,
	paths []diag.Path) {
	scope, path := plan.Result, conf.HandlerPath()
	open := false
	add := func(topic string, at diag.Path) { topics, paths = append(topics, topic), append(paths, at) }
	for _, bodies := range []bool{false, true} {
		// What is a body may depend on a type that is written elsewhere.
		yamlconf.Walk(conf.Handler, path, func(t yamlconf.Text) {
			switch body := expression.Place(t.Place) == expression.PlaceBody; {
			case body != bodies:
			case t.Expression != nil:
				if compiled := c.expression(f, scope, t.Path, t.Expression.Source); compiled != nil {
					t.Expression.Program = compiled
				}
			case t.Template != nil:
				place := placeOf(conf.Handler, t)
				compiled := c.sinkTemplate(f, scope, conf, t, place)
				if compiled == nil {
					return
				}
				fillTemplate(t.Template, compiled)
				if strings.Contains(t.Template.Sample, expression.Unknown) {
					open = true
				} else if place == expression.PlaceTopic {
					for _, topic := range c.certainTopics(f, plan, t, compiled) {
						add(topic, t.Path)
					}
				}
			}
		})
	}
	if block, at := config.TlsOf(conf); block != nil {
		c.pair(f, at.Field("cert"), at.Field("key"))
		c.pair(f, at.Field("key"), at.Field("cert"))
	}
	if f.Unknown[path] || c.config.Problems.Broken(f.Name, path) || open || c.unknownBelow(f, path) ||
		c.unclear(f, conf.Path) {
		return topics, paths
	}
	if writer, ok := conf.Handler.(handlers.TopicWriter); ok {
		for _, t := range writer.Topics() {
			at := path.Fields(t.Field)
			if !f.Source.Has(at) {
				at = path
			}
			c.topicName(f, at, t.Topic, false)
			add(t.Topic, at)
		}
	}
	checker, ok := conf.Handler.(handlers.Checker)
	if !ok {
		return topics, paths
	}
	// Of what a text could not be compiled, Check knows nothing.
	issues := slices.DeleteFunc(checker.Check(), func(issue handlers.Issue) bool {
		return c.problems.Broken(f.Name, path.Fields(issue.Field))
	})
	for _, issue := range issues {
		c.issue(f, path, issue)
	}
	return topics, paths
}

// placeOf is where a sink's template goes.
func placeOf(config any, t yamlconf.Text) expression.Place {
	place := expression.Place(t.Place)
	if typer, ok := config.(handlers.BodyTyper); ok && place == expression.PlaceBody {
		if written := typer.BodyType(); written != "" {
			return expression.PlaceOf(written)
		}
	}
	if place == "" {
		return expression.PlaceText
	}
	return place
}

func (c *compiler) issue(f *config.File, path diag.Path, issue handlers.Issue) {
	p := diag.Problem{Path: path.Fields(issue.Field), Code: diag.CodeHandler, Message: issue.Message, Hint: issue.Hint}
	if issue.Cleartext {
		p.Code = diag.CodeCleartext
	}
	if issue.Warning {
		p.Severity = diag.Warning
	}
	p.Place = f.Source.Value(p.Path)
	if issue.Field == "" {
		p.Place = f.Source.Key(path)
	}
	c.add(p)
}

// sinkTemplate compiles a template of a sink. A URL's host may depend on the
// record where the sink lists the hosts that it may be.
func (c *compiler) sinkTemplate(f *config.File, scope *expression.Scope, config *config.Sink, t yamlconf.Text,
	place expression.Place) *expression.Template {
	if !c.sound(f, t.Path) {
		return nil
	}
	if place == expression.PlaceURL && c.schemeMissing(f, t) {
		return nil
	}
	compiled, findings := scope.Template(t.Template.Source, place)
	if slices.ContainsFunc(yamlconf.Hosts(config.Handler),
		func(name string) bool { return f.Source.Has(config.HandlerPath().Field(name)) }) {
		findings = slices.DeleteFunc(findings,
			func(f expression.Finding) bool { return f.Code == expression.CodeURLHost })
	}
	if c.findings(f, t.Path, t.Template.Source, findings, nil) {
		return nil
	}
	return compiled
}

// fieldsOf are the templates and expressions of a sink, by their compiled programs,
// with what people may see of them.
func fieldsOf(s *plan.Sink) map[any]plan.SinkField {
	fields := map[any]plan.SinkField{}
	if s.Config == nil {
		return fields
	}
	yamlconf.Walk(s.Config, diag.Path(s.Kind), func(text yamlconf.Text) {
		if text.Template != nil && text.Template.Program != nil {
			fields[text.Template.Program] = templateField(text)
		} else if text.Expression != nil && text.Expression.Program != nil {
			fields[text.Expression.Program] = plan.SinkField{Path: string(text.Path)}
		}
	})
	return fields
}

// templateField is the field of a template. The name of a header or a query
// parameter may tell that it is secret.
func templateField(text yamlconf.Text) plan.SinkField {
	f := plan.SinkField{Path: string(text.Path), Source: text.Template.Source, URL: text.Place == "url"}
	name := strings.Trim(strings.TrimPrefix(string(text.Path), string(text.Path.Parent())), `."`)
	if f.URL {
		f.Source = yamlconf.ShownURL(f.Source)
	} else {
		f.Secret, f.Source = yamlconf.SecretAt(text.Place, name), yamlconf.ShownAt(text.Place, name, f.Source)
	}
	f.Source = strings.ReplaceAll(f.Source, yamlconf.Redacted, secrets.Redacted)
	return f
}
