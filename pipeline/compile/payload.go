package compile

import (
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/shape"
)

// payloadType is what the schemas of a source's topics say of the payload, nil
// where one of them says nothing: a pattern also reads topics that no file lists.
func (c *compiler) payloadType(plan *plan.Pipeline) *expression.Type {
	if plan.Format != expression.FormatJSON && plan.Format != "" || plan.Source.Pattern != nil ||
		len(plan.Source.Topics) == 0 {
		return nil
	}
	var all expression.Type
	for _, name := range plan.Source.Topics {
		t := c.topicType(name)
		if t == nil {
			return nil
		}
		all = all.Union(*t)
	}
	return &all
}

// knownTopics are all topics that a pipeline reads, nil where a pattern or a
// variable that is left open decides.
func knownTopics(plan *plan.Pipeline) []string {
	open := func(topic string) bool { return topic == "" || strings.Contains(topic, expression.Unknown) }
	if plan.Source.Pattern != nil || slices.ContainsFunc(plan.Source.Topics, open) {
		return nil
	}
	return plan.Source.Topics
}

// topicType is what a topic's schema says of the payload, nil where it has none.
func (c *compiler) topicType(topic string) *expression.Type {
	if s := c.topicSchema(topic); s != nil {
		if t := shape.TypeOf(s); !t.Nothing() {
			return &t
		}
	}
	return nil
}

func (c *compiler) topicSchema(topic string) *jsonschema.Schema {
	if d := c.topicDocument(topic); d != nil {
		return d.Schema
	}
	return nil
}

func (c *compiler) topicDocument(topic string) *shape.Document {
	for _, f := range c.config.Files {
		for _, t := range f.Blocks.Topics {
			if d := f.Schemas[t.Path.Field("schema")]; t.Name == topic && d != nil {
				return d
			}
		}
	}
	return nil
}

// resultType is what a transform makes of the payload: its objects have just the
// fields that are written.
func resultType(p *plan.Payload) expression.Type {
	switch {
	case p.Fields != nil:
		fields := map[string]expression.Type{}
		for _, f := range p.Fields {
			fields[f.Name] = resultType(f.Value)
		}
		return expression.TransformObject(fields)
	case p.Items != nil:
		var items []expression.Type
		for _, item := range p.Items {
			items = append(items, resultType(item))
		}
		return expression.TransformList(items)
	case p.Leaf == nil:
		return expression.JSONType()
	default:
		return p.Leaf.Type().AsJSON()
	}
}
