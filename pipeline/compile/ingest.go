package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/ingest"
	"github.com/millrace/millrace/pipeline/plan"
)

// ingest compiles the `ingest:` blocks.
func (c *compiler) ingest() {
	plan := &ingest.Plan{}
	seen := map[string]diag.Place{}
	var holder *config.File
	for _, f := range c.config.Files {
		block := f.Blocks.Ingest
		if block == nil {
			continue
		}
		if holder == nil {
			holder = f
		}
		if f.Source.Has("ingest.listen") {
			plan.Listen = block.Listen
			c.address(f, "ingest.listen", block.Listen)
		}
		for i := range block.Routes {
			plan.Routes = append(plan.Routes, c.ingestRoute(f, diag.Path("ingest.routes").Item(i), &block.Routes[i],
				seen))
		}
	}
	if holder == nil {
		return
	}
	c.plan.Ingest = plan
	c.ingestDoor(plan)
	written := c.with("ingest.listen")
	if len(plan.Routes) == 0 && !c.config.Problems.Broken(holder.Name, "ingest") {
		c.atKey(holder, "ingest", diag.CodeRequired, "ingest has no routes",
			"add routes: [{path: /orders, topic: orders}]")
	}
	switch {
	case c.config.Problems.Broken(holder.Name, "ingest"):
	case written == nil:
		c.atKey(holder, "ingest", diag.CodeRequired, "ingest.listen is missing: it must be written",
			"add listen: 127.0.0.1:8080")
	case plan.Listen == "" && c.sound(written, "ingest.listen"):
		c.atValue(written, "ingest.listen", diag.CodeEmpty, "ingest.listen is empty", "")
	}
}

func (c *compiler) ingestRoute(f *config.File, path diag.Path, r *config.IngestRoute,
	seen map[string]diag.Place) ingest.Route {
	route := ingest.Route{Path: r.Path, Topic: r.Topic, MaxBytes: c.largestBody()}
	at := path.Field("path")
	if r.Path != "" && c.sound(f, at) {
		first, ok := seen[r.Path]
		switch {
		case !strings.HasPrefix(r.Path, "/"):
			c.add(diag.Problem{Path: at, Place: f.Source.Value(at), Code: diag.CodeIngest,
				Message: fmt.Sprintf("the path %q must start with /", r.Path),
				Hint:    "write /" + r.Path, Fix: "/" + r.Path})
		case strings.ContainsAny(r.Path, "?# {}"):
			c.atValue(f, at, diag.CodeIngest, fmt.Sprintf("the path %q has a character that a path can't have", r.Path),
				"")
		case ok:
			c.add(diag.Problem{Path: at, Place: f.Source.Value(at), Code: diag.CodeRepeated,
				Message: fmt.Sprintf("the path %s is used twice", r.Path),
				Related: &diag.Related{Place: first, Message: "the first route is here"}})
		default:
			seen[r.Path] = f.Source.Value(at)
		}
	}
	c.topicName(f, path.Field("topic"), r.Topic, false)
	if strings.HasPrefix(r.Topic, plan.InternalTopic) && c.sound(f, path.Field("topic")) {
		c.atValue(f, path.Field("topic"), diag.CodeIngest,
			fmt.Sprintf("the topic %s is internal: names that begin with %s are the cluster's own", r.Topic,
				plan.InternalTopic), "")
	}
	c.topicRead(f, path.Field("topic"), r.Topic)
	route.Scope = expression.NewScope(expression.Options{Format: expression.FormatJSON,
		Constants: c.config.Constants[f], Limits: c.plan.Limits, Request: true})
	if t := c.topicType(r.Topic); t != nil {
		route.Scope.Payload(*t)
	}
	route.Key = c.expression(f, route.Scope, path.Field("key"), r.Key.Source)
	route.Many = r.Many
	c.ingestSchema(f, path.Field("topic"), &route)
	c.ingestAuth(f, path, r, &route)
	c.ingestHeaders(f, path, r, &route)
	return route
}

// largestBody is how large a body the routes of all files take, 0 for the
// default.
func (c *compiler) largestBody() int64 {
	for _, path := range []diag.Path{"ingest.max_record_bytes", "ingest"} {
		if f := c.with(path); f != nil && f.Blocks.Ingest != nil {
			return int64(f.Blocks.Ingest.MaxRecordBytes)
		}
	}
	return 0
}

// topicRead warns of a topic that only an ingest route names.
func (c *compiler) topicRead(f *config.File, path diag.Path, topic string) {
	if topic == "" || !c.sound(f, path) {
		return
	}
	var known []string
	for _, t := range c.plan.Topics {
		known = append(known, t.Name)
	}
	for _, p := range c.plan.Pipelines {
		if p.Source.Pattern != nil && p.Source.Pattern.MatchString(topic) {
			return
		}
		known = append(known, p.Source.Topics...)
	}
	if slices.Contains(known, topic) || c.config.Problems.HasErrors() {
		return
	}
	p := diag.Problem{Path: path, Place: f.Source.Value(path), Severity: diag.Warning, Code: diag.CodeUnreadTopic,
		Message: fmt.Sprintf("no pipeline reads the topic %q, and topics: does not name it", topic)}
	c.add(p.Meant(diag.Nearest(topic, known)))
}
