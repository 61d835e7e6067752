package config

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// How config types that decode themselves are written back.

// EncodeYAML is text or a map of offsets.
func (c Start) EncodeYAML(*yamlconf.Encoder, diag.Path) *yaml.Node {
	switch c.Kind {
	case kafka.StartTime:
		return yamlconf.TextNode(c.Time.Format(time.RFC3339Nano))
	case kafka.StartOffsets:
		offsets := yamlconf.MapNode()
		for _, partition := range slices.Sorted(maps.Keys(c.Offsets)) {
			yamlconf.Put(offsets, strconv.Itoa(int(partition)), yamlconf.Integer(c.Offsets[partition]))
		}
		out := yamlconf.MapNode()
		yamlconf.Put(out, "offsets", offsets)
		return out
	default:
		return yamlconf.TextNode(string(c.Kind))
	}
}

// EncodeYAML is `off` or a map with a topic.
func (c DeadLetter) EncodeYAML(e *yamlconf.Encoder, path diag.Path) *yaml.Node {
	if c.Off {
		return yamlconf.TextNode("off")
	}
	written := struct {
		Topic string `yaml:"topic"`
	}{c.Topic}
	return e.Encode(&written, path)
}

// EncodeYAML is a map of expressions in the order of the file.
func (c Headers) EncodeYAML(e *yamlconf.Encoder, _ diag.Path) *yaml.Node {
	out := yamlconf.MapNode()
	for _, h := range c {
		value := h.Value
		if !e.Whole {
			value = yamlconf.ShownExpression(h.Name, value)
		}
		yamlconf.Put(out, h.Name, e.Expression(value))
	}
	return out
}

// EncodeYAML is a tree of expressions.
func (c Payload) EncodeYAML(e *yamlconf.Encoder, path diag.Path) *yaml.Node {
	switch c.Kind {
	case PayloadObject:
		out := yamlconf.MapNode()
		for _, f := range c.Fields {
			yamlconf.Put(out, f.Name, f.Value.EncodeYAML(e, path))
		}
		return out
	case PayloadList:
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range c.Items {
			out.Content = append(out.Content, item.EncodeYAML(e, path))
		}
		return out
	default:
		return e.Expression(c.Leaf)
	}
}

// EncodeYAML is a map named after the handler, with its siblings.
func (c Sink) EncodeYAML(e *yamlconf.Encoder, _ diag.Path) *yaml.Node {
	siblings := e.Encode(&c.sinkSiblings, c.Path)
	out := yamlconf.MapNode()
	for _, name := range []string{"name", "when"} {
		if siblings != nil && yamlconf.Get(siblings, name) != nil {
			yamlconf.Put(out, name, yamlconf.Get(siblings, name))
		}
	}
	handler := e.Encode(c.Handler, c.HandlerPath())
	if handler == nil {
		handler = yamlconf.MapNode()
	}
	yamlconf.Put(out, c.Kind, handler)
	if siblings != nil && yamlconf.Get(siblings, "retry") != nil {
		yamlconf.Put(out, "retry", yamlconf.Get(siblings, "retry"))
	}
	return out
}
