package pipeline

import (
	"regexp"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// loops reports pipelines that read what they write, each topic once.
func (c *compiler) loops() {
	for _, o := range c.origins {
		if c.brokenSource(o) {
			continue
		}
		told := map[string]bool{}
		for _, s := range c.sinkConfigs(o) {
			topic := s.Config.HandlerPath().Field("topic")
			for _, t := range s.Topics {
				if reads(o.plan, t) && !told[t] {
					told[t] = true
					c.loop(o, topic, t, "it writes to")
				}
			}
			c.templateLoop(o, s)
		}
		if o.plan.DeadLetter != "" && reads(o.plan, o.plan.DeadLetter) && !told[o.plan.DeadLetter] {
			c.loop(o, o.path.Field("dead_letter").Field("topic"), o.plan.DeadLetter, "its dead letters go to")
		}
	}
}

// brokenSource tells whether it is not clear which topics a pipeline reads.
func (c *compiler) brokenSource(o origin) bool {
	source := o.path.Field("source")
	for _, key := range []string{"topic", "topics", "pattern"} {
		if !c.sound(o.file, source.Field(key)) {
			return true
		}
	}
	return false
}

var templatePart = regexp.MustCompile(`\$\{[^}]*\}`)

// templateLoop warns of a sink whose topics depend on the record and may be
// those that the pipeline reads.
func (c *compiler) templateLoop(o origin, s sinkOrigin) {
	yamlconf.Walk(s.Config.Handler, s.Config.HandlerPath(), func(t yamlconf.Text) {
		if t.Template == nil || t.Template.Constant || expression.Place(t.Place) != expression.PlaceTopic {
			return
		}
		for i, topic := range o.plan.Source.Topics {
			if !mayRender(t.Template, topic) {
				continue
			}
			at := o.path.Field("source").Field("topic")
			if !o.file.Source.Has(at) {
				at = o.path.Field("source").Field("topics").Item(i)
			}
			c.add(diag.Problem{Path: t.Path, Place: o.file.Source.Value(t.Path), Severity: diag.Warning, Code: diag.CodeLoop,
				Message: "the pipeline may read what it writes: the topic may be " + topic,
				Hint:    "write to names that can't be that of the source",
				Related: &diag.Related{Place: o.file.Source.Value(at), Message: "it reads the topic here"}})
			return
		}
		if example := templatePart.ReplaceAllString(t.Template.Source, "x"); o.plan.Source.Pattern != nil && o.plan.Source.Pattern.MatchString(example) {
			pattern := o.path.Field("source").Field("pattern")
			c.add(diag.Problem{Path: t.Path, Place: o.file.Source.Value(t.Path), Severity: diag.Warning, Code: diag.CodeLoop,
				Message: "the pipeline may read what it writes: its pattern matches topics such as " + example,
				Hint:    "write to names that the pattern does not match",
				Related: &diag.Related{Place: o.file.Source.Value(pattern), Message: "the pattern is here"}})
		}
	})
}

// mayRender tells whether a template with text of its own may make a name. One
// that takes the whole name from the record may make any, which says nothing.
func mayRender(t *handlers.Template, name string) bool {
	literals := templatePart.Split(t.Source, -1)
	if strings.Join(literals, "") == "" || !strings.HasPrefix(name, t.Prefix) {
		return false
	}
	for i, text := range literals {
		literals[i] = regexp.QuoteMeta(text)
	}
	matched, err := regexp.MatchString("^"+strings.Join(literals, ".+")+"$", name)
	return matched && err == nil
}
