package compile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

var (
	legalName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// maxName leaves room for what is made of a name, such as a topic's.
const maxName = 200

// name checks the name of a pipeline, sink or group.
func (c *compiler) name(f *config.File, path diag.Path, name, what string, atKey bool) {
	if !c.soundName(f, path, atKey) || legalName.MatchString(name) && len(name) <= maxName {
		return
	}
	p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeName,
		Message: fmt.Sprintf("the name %s of the %s is not allowed", c.shown(f, path, name), what),
		Hint: "a name has letters, digits, dots, dashes and underscores, starts with a letter or digit, and has " +
			"at most 200 of them"}
	if atKey {
		p.Place = f.Source.Key(path)
	}
	c.add(p)
}

// soundName tells whether a name is worth checking: of a key, whatever is wrong
// with its value.
func (c *compiler) soundName(f *config.File, path diag.Path, atKey bool) bool {
	return atKey || c.sound(f, path)
}

// topicName checks that Kafka takes a topic's name.
func (c *compiler) topicName(f *config.File, path diag.Path, topic string, atKey bool) {
	if !c.soundName(f, path, atKey) || topic == "" && !atKey {
		return
	}
	hint := ""
	switch {
	case topic == "." || topic == "..":
	case len(topic) > 249:
		hint = "a topic's name has at most 249 characters"
	case !plan.LegalTopic.MatchString(topic):
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

// certainTopics are the names that a sink's topic has whatever is in the record: a
// constant, or what is made of the name of the source topic alone. Of one that begins
// as the cluster's own do, the beginning says enough.
func (c *compiler) certainTopics(f *config.File, planned *plan.Pipeline, t yamlconf.Text,
	compiled *expression.Template) []string {
	if t.Template.Constant {
		return []string{t.Template.Prefix}
	}
	names, err := planned.Result.ByTopic(compiled, planned.Source.Topics)
	if err != nil {
		c.atValue(f, t.Path, diag.CodeTopicName, err.Error(), "")
	}
	if len(names) == 0 && strings.HasPrefix(t.Template.Prefix, plan.InternalTopic) {
		names = []string{t.Template.Prefix}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// likeNames reports topics of the file that can't both exist: to Kafka, dots and
// underscores of a name are one.
func (c *compiler) likeNames() {
	first := map[string]TopicUse{}
	told := map[string]bool{}
	for _, u := range c.namedTopics() {
		alike := strings.ReplaceAll(u.Topic, ".", "_")
		other, ok := first[alike]
		if !ok {
			first[alike] = u
			continue
		}
		if other.Topic == u.Topic || told[u.Topic] || !c.sound(u.File, u.Path) ||
			!plan.LegalTopic.MatchString(u.Topic) {
			continue
		}
		told[u.Topic] = true
		p := diag.Problem{Path: u.Path, Place: u.place(), Code: diag.CodeTopicName,
			Message: fmt.Sprintf("the topics %q and %q can't both exist: Kafka tells no dots and underscores apart",
				other.Topic, u.Topic),
			Hint: "give one of them another name", Related: &diag.Related{Place: other.place(),
				Message: "the other one is here"}}
		c.add(p)
	}
}

// namedTopics are all places that name a topic: those of topics: and those that use
// one.
func (c *compiler) namedTopics() (uses []TopicUse) {
	for _, f := range c.config.Files {
		for _, t := range f.Blocks.Topics {
			uses = append(uses, TopicUse{Topic: t.Name, File: f, Path: t.Path, declared: true})
		}
	}
	return append(uses, TopicUses(c.result())...)
}
