package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
)

// tests takes the `tests:` blocks.
func (c *compiler) tests() {
	type named struct{ pipeline, name string }
	first := map[named]diag.Place{}
	for _, f := range c.config.Files {
		for i := range f.Blocks.Tests {
			t := c.test(f, diag.Path("tests").Item(i), &f.Blocks.Tests[i])
			if t == nil {
				continue
			}
			c.plan.Tests = append(c.plan.Tests, t)
			at := t.Path.Field("name")
			n := named{t.Pipeline.Name, t.Name}
			if other, ok := first[n]; ok && t.Name != "" {
				c.add(diag.Problem{Path: at, Place: f.Source.Value(at), Severity: diag.Warning, Code: diag.CodeRepeated,
					Message: fmt.Sprintf("two tests of the pipeline %q are named %q", n.pipeline, n.name),
					Hint:    "give each a name of its own",
					Related: &diag.Related{Place: other, Message: "the other test is here"}})
				continue
			}
			first[n] = f.Source.Value(at)
		}
	}
	count := map[string]int{}
	for _, t := range c.plan.Tests {
		if t.Name == "" {
			count[t.Pipeline.Name]++
			t.Name = fmt.Sprintf("%s, unnamed %d", t.Pipeline.Name, count[t.Pipeline.Name])
		}
	}
}

// test compiles one test; nil where its pipeline is not known.
func (c *compiler) test(f *config.File, path diag.Path, t *config.Test) *plan.Test {
	o, ok := c.testPipeline(f, path.Field("pipeline"), t.Pipeline)
	if !ok {
		return nil
	}
	planned := &plan.Test{
		Name: t.Name, Path: path, Pipeline: o.Plan, Env: t.Env, Crash: t.Crash.Crash, Together: t.Together,
		Scripts: map[string][]plan.ScriptStep{}, Source: f.Source,
	}
	fits := c.inEnvironment(f, t.Env)
	c.testRecords(f, path.Field("records"), o, planned, t, fits)
	if n, m := len(t.Expect), len(t.Records); n != m && n > 0 && m > 0 {
		at := path.Field("expect")
		c.add(diag.Problem{Path: at, Place: f.Source.Key(at), Code: diag.CodeTest,
			Message: fmt.Sprintf("%s for %s: each record has one", diag.Count(n, "expectation"),
				diag.Count(m, "record")),
			Hint:    "write an empty one, {}, for a record of which nothing is expected",
			Related: &diag.Related{Place: f.Source.Key(path.Field("records")), Message: "the records are here"}})
	}
	whole := fits && c.sound(o.File, o.Path) // else it may lack sinks
	for _, e := range t.Expect {
		planned.Expect = append(planned.Expect, e.Expectation)
		if whole {
			c.testSinkNames(f, o.Plan, e.Expectation)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Sinks)) {
		planned.Scripts[name] = t.Sinks[name].Steps
		if at := path.Field("sinks").Field(name); whole && c.testSink(f, at, f.Source.Key(at), o.Plan, name) {
			c.testScript(f, o, name, t.Sinks[name].Steps)
		}
	}
	if p := t.Crash.Point; p != "" && p != plan.CrashAfterWrite && o.Plan.Idempotency == nil &&
		c.sound(o.File, o.Path.Field("idempotency")) {
		c.atValue(f, path.Field("crash"), diag.CodeTest, fmt.Sprintf("the pipeline %q has no idempotency: nothing is "+
			"claimed or confirmed, so it can't die %s", o.Plan.Name, p),
			"use after_write, or give the pipeline a key")
	}
	return planned
}

// inEnvironment tells whether the configuration is compiled with a test's own
// variables: else names that are made of them may be others.
func (c *compiler) inEnvironment(f *config.File, env config.Env) bool {
	for name, want := range env {
		value, ok := c.config.Constants[f].Env(name)
		if ok != (want != nil) || ok && value != *want {
			return false
		}
	}
	return true
}

// testPipeline finds the pipeline of a test.
func (c *compiler) testPipeline(f *config.File, path diag.Path, name string) (Definition, bool) {
	var names []string
	for _, o := range c.definitions {
		if o.Plan.Name == name {
			return o, true
		}
		names = append(names, o.Plan.Name)
	}
	if name != "" && c.sound(f, path) && !c.config.Problems.Broken(f.Name, "pipelines") &&
		!slices.ContainsFunc(c.config.Files, func(f *config.File) bool { return c.unclear(f, "") }) {
		c.add(nearestProblem(diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeTest,
			Message: fmt.Sprintf("there is no pipeline %q", name)}, name, names, "the pipelines are "))
	}
	return Definition{}, false
}

// testRecords gives records their coordinates, and checks where they come from.
func (c *compiler) testRecords(f *config.File, path diag.Path, o Definition, planned *plan.Test, t *config.Test,
	fits bool) {
	type partition struct {
		topic string
		id    int32
	}
	next := map[partition]int64{}
	first := ""
	if topics := o.Plan.Source.Topics; len(topics) > 0 {
		first = topics[0]
	}
	for i := range t.Records {
		config := &t.Records[i]
		if !c.sound(f, path.Item(i)) {
			continue
		}
		record, err := handlers.DecodeJSON(config.Line, handlers.Record{Topic: first, Offset: -1})
		if err != nil {
			c.atValue(f, config.Path, diag.CodeMalformed, fmt.Sprintf("%s: %v", config.Path, err), "")
			continue
		}
		if fits {
			c.testTopic(f, config.Path, o, record.Topic)
		}
		at := partition{record.Topic, record.Partition}
		switch {
		case record.Offset < 0:
			record.Offset = next[at]
		case record.Offset < next[at]:
			c.atValue(f, config.Path.Field("offset"), diag.CodeTest,
				fmt.Sprintf("the offset %d does not come after that of the record before, %d", record.Offset,
					next[at]-1), "leave the offset out, and they count up")
		}
		next[at] = record.Offset + 1
		planned.Records = append(planned.Records, plan.TestRecord{Path: config.Path, Record: record,
			After: config.After})
	}
}

// testTopic checks that the pipeline reads a record's topic.
func (c *compiler) testTopic(f *config.File, path diag.Path, o Definition, topic string) {
	source := o.Path.Field("source")
	if !c.sound(o.File, source) || !o.File.Source.Has(source) || c.unknownBelow(o.File, source) || o.Plan.Reads(topic) {
		return
	}
	if !f.Source.Has(path.Field("topic")) {
		if topic == "" {
			c.atKey(f, path, diag.CodeTest, fmt.Sprintf("the pipeline %q reads the topics of a pattern: which one "+
				"does the record come from?", o.Plan.Name), "add topic: …")
		}
		return
	}
	c.add(nearestProblem(diag.Problem{Path: path.Field("topic"), Place: f.Source.Value(path.Field("topic")),
		Code:    diag.CodeTest,
		Message: fmt.Sprintf("the pipeline %q does not read the topic %q", o.Plan.Name, topic)}, topic,
		o.Plan.Source.Topics, "it reads "))
}

// testSinkNames checks the sinks that an expectation names.
func (c *compiler) testSinkNames(f *config.File, p *plan.Pipeline, e plan.Expectation) {
	for _, named := range e.Named {
		if name, err := strconv.Unquote(string(named.JSON)); named.Name == "sink" && err == nil {
			c.testSink(f, named.Path, f.Source.Value(named.Path), p, name)
		}
	}
	for _, inner := range slices.Concat(e.Writes, e.DeadLetters) {
		c.testSinkNames(f, p, inner)
	}
}

// testSink tells whether a pipeline has a sink of a name, or reports that it has
// not.
func (c *compiler) testSink(f *config.File, path diag.Path, place diag.Place, p *plan.Pipeline, name string) bool {
	var names []string
	problem := diag.Problem{Path: path, Place: place, Code: diag.CodeTest,
		Message: fmt.Sprintf("the pipeline %q has no sink %q", p.Name, name)}
	for _, s := range p.Sinks() {
		if s.Name == name {
			return true
		}
		names = append(names, s.Name)
		if s.Kind == name {
			problem.Hint, problem.Fix = fmt.Sprintf("its %s sink is named %q", name, s.Name), s.Name
		}
	}
	if problem.Hint == "" {
		problem = nearestProblem(problem, name, names, "its sinks are ")
	}
	c.add(problem)
	return false
}

// nearestProblem adds the nearest of several names to a problem, or all of them.
func nearestProblem(p diag.Problem, name string, names []string, all string) diag.Problem {
	if p = p.Meant(diag.Nearest(name, names)); p.Fix == "" && len(names) > 0 && len(names) <= 16 {
		p.Hint = all + diag.Or(names)
	}
	return p
}

// testScript checks that a sink's system answers with the statuses of a script.
func (c *compiler) testScript(f *config.File, o Definition, name string, steps []plan.ScriptStep) {
	statuses := func(s plan.ScriptStep) bool { return s.Status != 0 || s.Answer == plan.AnswerRate }
	if !slices.ContainsFunc(steps, statuses) {
		return
	}
	at := slices.IndexFunc(o.Plan.Sinks(), func(s *plan.Sink) bool { return s.Name == name })
	plan := o.Plan.Sinks()[at]
	for _, s := range steps {
		failure, known := rehearse(plan, handlers.Trouble{Status: cmp.Or(s.Status, tooMany)})
		switch {
		case !statuses(s):
		case !known:
			c.atValue(f, s.Path, diag.CodeTest, fmt.Sprintf("the %s sink is not answered with a status", plan.Kind),
				"write fail for a record that it refuses, or timeout, refused or reset")
		case failure == nil:
			c.atValue(f, s.Path, diag.CodeTest, fmt.Sprintf("the %s sink takes the status %d for an acknowledgement",
				plan.Kind, s.Status), "write ok")
		}
	}
}

// tooMany is what AnswerRate says of the calls that it does not take.
const tooMany = 429

// rehearse is what the sink itself would make of trouble, false where it can't
// tell, or never meets it.
func rehearse(p *plan.Sink, t handlers.Trouble) (*handlers.Failure, bool) {
	if rehearser, ok := p.Config.(handlers.Rehearser); ok {
		return rehearser.Rehearse(t)
	}
	return nil, false
}
