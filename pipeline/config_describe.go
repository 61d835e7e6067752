package pipeline

import (
	"reflect"

	"github.com/millrace/millrace/pipeline/yamlconf"
)

// What the reference says of config types that decode themselves.

// Describe is the start of a topic.
func (c StartConfig) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "`earliest`, `latest`, a time, or `{offsets: {0: 120}}`", Kind: "static"}
}

// Describe is `off` or a map with a topic.
func (c DeadLetterConfig) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "`{topic: …}` or `off`", Kind: "static"}
}

// Describe is a map of expressions.
func (c HeadersConfig) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "map of values", Kind: "expression"}
}

// Describe is a tree of expressions.
func (c PayloadConfig) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "value, or map or list of values", Kind: "expression"}
}

// Describe is a map named after a handler, with its siblings.
func (c SinkConfig) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "sink", Inner: reflect.TypeFor[sinkSiblings]()}
}
