package config

import (
	"reflect"

	"github.com/millrace/millrace/pipeline/yamlconf"
)

// What the reference says of config types that decode themselves.

// Describe is the start of a topic.
func (c Start) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "`earliest`, `latest`, a time, or `{offsets: {0: 120}}`", Kind: "static"}
}

// Describe is `off` or a map with a topic.
func (c DeadLetter) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "`{topic: …}` or `off`", Kind: "static"}
}

// Describe is a map of expressions.
func (c Headers) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "map of values", Kind: "expression"}
}

// Describe is a tree of expressions.
func (c Payload) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "value, or map or list of values", Kind: "expression"}
}

// Describe is a map named after a handler, with its siblings.
func (c Sink) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "sink", Inner: reflect.TypeFor[sinkSiblings]()}
}

// Describe is a map of texts.
func (c Env) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "map of text", Kind: "static"}
}

// Describe is a record as JSON.
func (c TestRecord) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "record"}
}

// Describe is an outcome, or what is expected beside it.
func (c Expect) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "expectation"}
}

// Describe is what a sink answers.
func (c Script) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "list of answers"}
}

// Describe is a point, or a map of one.
func (c Crash) Describe() yamlconf.Description {
	return yamlconf.Description{Type: "`after_claim`, `after_write`, `after_confirm`, or `{after_write: 2}`"}
}
