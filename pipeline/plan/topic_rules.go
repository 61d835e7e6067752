package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// LegalTopic are the names that Kafka lets a topic have, but for their length and for
// those of dots alone.
var LegalTopic = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// InternalTopic begins the names of topics that belong to the cluster itself.
const InternalTopic = "__"

// ResolvedLetters is the topic that notes how the pipeline's dead letters were resolved,
// empty where it has none.
func (p *Pipeline) ResolvedLetters() string {
	if p.DeadLetter == "" {
		return ""
	}
	return p.DeadLetter + ".resolved"
}

// MayWrite tells why a record of the pipeline must not go to a topic, nil where it
// may. It is asked at load of the names that are certain then, and of each record
// for the others: a record that chose its own source would come round for ever, and
// one among the dead letters would be taken for one.
func (p *Pipeline) MayWrite(topic string) error {
	switch {
	case strings.HasPrefix(topic, InternalTopic):
		return fmt.Errorf("the topic is internal: names that begin with %s are the cluster's own", InternalTopic)
	case p.DeadLetter != "" && (topic == p.DeadLetter || topic == p.ResolvedLetters()):
		return fmt.Errorf("the topic %q is that of the pipeline's dead letters", topic)
	case p.Reads(topic):
		return fmt.Errorf("the pipeline reads the topic %q itself: the record would go round for ever", topic)
	}
	return nil
}

// Reads tells whether the pipeline's source has a topic.
func (p *Pipeline) Reads(topic string) bool {
	return slices.Contains(p.Source.Topics, topic) || p.Source.Pattern != nil && p.Source.Pattern.MatchString(topic)
}

// Sinks lists the pipeline's sinks over all of its routes, in order.
func (p *Pipeline) Sinks() []*Sink {
	var all []*Sink
	for i := range p.Routes {
		for j := range p.Routes[i].Sinks {
			all = append(all, &p.Routes[i].Sinks[j])
		}
	}
	return all
}
