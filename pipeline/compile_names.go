package pipeline

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

var (
	legalName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	legalTopic = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// maxName leaves room for what is made of a name, such as a topic's.
const maxName = 200

// name checks the name of a pipeline, sink or group.
func (c *compiler) name(f *File, path diag.Path, name, what string, atKey bool) {
	if !c.soundName(f, path, atKey) || legalName.MatchString(name) && len(name) <= maxName {
		return
	}
	p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeName,
		Message: fmt.Sprintf("the name %s of the %s is not allowed", c.shown(f, path, name), what),
		Hint:    "a name has letters, digits, dots, dashes and underscores, starts with a letter or digit, and has at most 200 of them"}
	if atKey {
		p.Place = f.Source.Key(path)
	}
	c.add(p)
}

// soundName tells whether a name is worth checking: of a key, whatever is wrong
// with its value.
func (c *compiler) soundName(f *File, path diag.Path, atKey bool) bool {
	return atKey || c.sound(f, path)
}

// topicName checks that Kafka takes a topic's name.
func (c *compiler) topicName(f *File, path diag.Path, topic string, atKey bool) {
	if !c.soundName(f, path, atKey) || topic == "" && !atKey {
		return
	}
	hint := ""
	switch {
	case topic == "." || topic == "..":
	case len(topic) > 249:
		hint = "a topic's name has at most 249 characters"
	case !legalTopic.MatchString(topic):
		hint = "a topic's name has letters, digits, dots, dashes and underscores"
		if strings.Contains(topic, "*") {
			hint += "; use pattern: for several topics"
		}
	default:
		return
	}
	p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeTopicName,
		Message: fmt.Sprintf("%s is no legal name of a topic", c.shown(f, path, topic)), Hint: hint}
	if atKey {
		p.Place = f.Source.Key(path)
	}
	c.add(p)
}
