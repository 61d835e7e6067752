package compile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// loops reports pipelines that read what they write, and topics that a pipeline's
// records must not go to, each topic once.
func (c *compiler) loops() {
	for _, o := range c.definitions {
		if c.brokenSource(o) {
			continue
		}
		told := map[string]bool{}
		for _, s := range c.sinkConfigs(o) {
			for i, t := range s.Topics {
				topic := s.topicPaths[i]
				wrong := o.Plan.MayWrite(t)
				switch {
				case wrong == nil || told[t]:
				case o.Plan.Reads(t):
					c.loop(o, topic, t, "it writes to")
				default:
					c.atValue(o.File, topic, diag.CodeTopicName, wrong.Error(), "write to another topic")
				}
				told[t] = told[t] || wrong != nil
			}
			c.templateLoop(o, s)
		}
		if o.Plan.DeadLetter != "" && o.Plan.Reads(o.Plan.DeadLetter) && !told[o.Plan.DeadLetter] {
			c.loop(o, o.Path.Field("dead_letter").Field("topic"), o.Plan.DeadLetter, "its dead letters go to")
		}
	}
}

// brokenSource tells whether it is not clear which topics a pipeline reads.
func (c *compiler) brokenSource(o Definition) bool {
	source := o.Path.Field("source")
	for _, key := range []string{"topic", "topics", "pattern"} {
		if !c.sound(o.File, source.Field(key)) {
			return true
		}
	}
	return false
}

var templatePart = regexp.MustCompile(`\$\{[^}]*\}`)

// templateLoop warns of a sink whose topics depend on the record and may be those
// that the pipeline reads, which is refused once it happens.
func (c *compiler) templateLoop(o Definition, s sinkOrigin) {
	for _, t := range topicTemplates(s) {
		source := o.Path.Field("source")
		at := source.Field("pattern")
		topic := mayFeed(t.Template, o.Plan)
		switch i := slices.Index(o.Plan.Source.Topics, topic); {
		case topic == "":
			continue
		case o.Plan.Source.Pattern == nil && o.File.Source.Has(source.Field("topic")):
			at = source.Field("topic")
		case o.Plan.Source.Pattern == nil:
			at = source.Field("topics").Item(i)
		}
		p := diag.Problem{Path: t.Path, Place: o.File.Source.Value(t.Path), Severity: diag.Warning, Code: diag.CodeLoop,
			Message: "the pipeline may read what it writes: the topic may be " + topic +
				", and the records for it are refused then",
			Hint:    "write to names that can't be that of the source",
			Related: &diag.Related{Place: o.File.Source.Value(at), Message: "it reads the topic here"}}
		switch {
		case o.Plan.Source.Pattern != nil && keepsName(t.Template, o.Plan):
			p.Severity, p.Message, p.Hint = diag.Error, "the pipeline reads the topics that it writes to: its "+
				"records would go round for ever", "use other topics"
			p.Related.Message = "the pattern is here"
		case o.Plan.Source.Pattern != nil:
			p.Message = "the pipeline may read what it writes: its pattern matches topics such as " + topic +
				", and the records for them are refused"
			p.Hint, p.Related.Message = "write to names that the pattern does not match", "the pattern is here"
		}
		c.add(p)
	}
}

// topicTemplates are the templates of a sink's topics whose names depend on the
// record by more than its own topic.
func topicTemplates(s sinkOrigin) (all []yamlconf.Text) {
	yamlconf.Walk(s.Config.Handler, s.Config.HandlerPath(), func(t yamlconf.Text) {
		if t.Template != nil && !t.Template.Constant && expression.Place(t.Place) == expression.PlaceTopic &&
			!slices.Contains(s.topicPaths, t.Path) {
			all = append(all, t)
		}
	})
	return all
}

// mayFeed is a topic that a template may make and that a pipeline reads, or an
// example of one where it reads a pattern; empty where there is none.
func mayFeed(t *handlers.Template, p *plan.Pipeline) string {
	for _, topic := range p.Source.Topics {
		if mayRender(t, topic) {
			return topic
		}
	}
	if p.Source.Pattern == nil {
		return ""
	}
	example := templatePart.ReplaceAllString(t.Source, "x")
	if keepsName(t, p) || p.Source.Pattern.MatchString(example) {
		return example
	}
	return ""
}

// keepsName tells whether a template makes the name of the source topic, whichever
// that is.
func keepsName(t *handlers.Template, p *plan.Pipeline) bool {
	program, ok := t.Program.(*expression.Template)
	if !ok {
		return false // it did not compile
	}
	names := []string{"a", "b.c"}
	made, err := p.Result.ByTopic(program, names)
	return err == nil && slices.Equal(made, names)
}

// wholePart tells whether a template has no text of its own.
func wholePart(t *handlers.Template) bool { return templatePart.ReplaceAllString(t.Source, "") == "" }

// mayRender tells whether a template with text of its own may make a name. One
// that takes the whole name from the record may make any, which says nothing.
func mayRender(t *handlers.Template, name string) bool {
	if !strings.HasPrefix(name, t.Prefix) || wholePart(t) {
		return false
	}
	literals := templatePart.Split(t.Source, -1)
	for i, text := range literals {
		literals[i] = regexp.QuoteMeta(text)
	}
	matched, err := regexp.MatchString("^"+strings.Join(literals, ".+")+"$", name)
	return matched && err == nil
}
