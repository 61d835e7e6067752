package compile

import (
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
)

// TopicUse is one place of the configuration that names a topic.
type TopicUse struct {
	Topic  string
	Role   topicRole
	origin *Definition // nil where no pipeline uses it
	File   *config.File
	Path   diag.Path
	// declared tells that it is an entry of topics:.
	declared bool
}

// topicRole is what a topic is named for.
type topicRole string

// The roles of topics.
const (
	AsSource     topicRole = "source"
	asDeadLetter topicRole = "dead-letter"
	AsSink       topicRole = "sink"
	asIngest     topicRole = "ingest"
)

// TopicUses are the places that name topics of constant names.
func TopicUses(result *Result) (uses []TopicUse) {
	for i := range result.Definitions {
		o := &result.Definitions[i]
		source := o.Path.Field("source")
		for n, topic := range o.Plan.Source.Topics {
			path := source.Field("topic")
			if !o.File.Source.Has(path) {
				path = source.Field("topics").Item(n)
			}
			uses = append(uses, TopicUse{Topic: topic, Role: AsSource, origin: o, File: o.File, Path: path})
		}
		if topic := o.Plan.DeadLetter; topic != "" {
			uses = append(uses, TopicUse{Topic: topic, Role: asDeadLetter, origin: o, File: o.File, Path: o.Path.Field("dead_letter").Field("topic")})
		}
		for _, s := range SinksOf(o) {
			for i, topic := range s.Plan.Topics {
				uses = append(uses, TopicUse{Topic: topic, Role: AsSink, origin: o, File: o.File, Path: s.Plan.TopicPaths[i]})
			}
		}
	}
	for _, f := range result.Config.Files {
		if f.Blocks.Ingest == nil {
			continue
		}
		for i, route := range f.Blocks.Ingest.Routes {
			uses = append(uses, TopicUse{Topic: route.Topic, Role: asIngest, File: f, Path: diag.Path("ingest.routes").Item(i).Field("topic")})
		}
	}
	return uses
}

// PlacedSink is a sink with the path of its handler's settings.
type PlacedSink struct {
	Plan *plan.Sink
	Path diag.Path
}

// SinksOf are the sinks of a pipeline, with where they stand.
func SinksOf(o *Definition) (all []PlacedSink) {
	for i := range o.Plan.Routes {
		list := o.Path.Field("sinks")
		if !o.File.Source.Has(list) {
			list = o.Path.Field("routes").Item(i).Field("sinks")
		}
		sinks := o.Plan.Routes[i].Sinks
		for n := range sinks {
			all = append(all, PlacedSink{&sinks[n], list.Item(n).Field(sinks[n].Kind)})
		}
	}
	return all
}

// place is where the topic is written, or what it has its name from.
func (u TopicUse) place() diag.Place {
	if u.declared {
		return u.File.Source.Key(u.Path)
	}
	return u.File.Source.Value(u.Path)
}
