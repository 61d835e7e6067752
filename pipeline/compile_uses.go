package pipeline

import (
	"github.com/millrace/millrace/pipeline/diag"
)

// topicUse is one place of the configuration that names a topic.
type topicUse struct {
	topic  string
	role   topicRole
	origin *Definition // nil where no pipeline uses it
	file   *File
	path   diag.Path
	// declared tells that it is an entry of topics:.
	declared bool
}

type topicRole string

const (
	asSource     topicRole = "source"
	asDeadLetter topicRole = "dead-letter"
	asSink       topicRole = "sink"
	asIngest     topicRole = "ingest"
)

// topicUses are the places that name topics of constant names.
func topicUses(result *Result) (uses []topicUse) {
	for i := range result.Definitions {
		o := &result.Definitions[i]
		source := o.Path.Field("source")
		for n, topic := range o.Plan.Source.Topics {
			path := source.Field("topic")
			if !o.File.Source.Has(path) {
				path = source.Field("topics").Item(n)
			}
			uses = append(uses, topicUse{topic: topic, role: asSource, origin: o, file: o.File, path: path})
		}
		if topic := o.Plan.DeadLetter; topic != "" {
			uses = append(uses, topicUse{topic: topic, role: asDeadLetter, origin: o, file: o.File, path: o.Path.Field("dead_letter").Field("topic")})
		}
		for _, s := range sinksOf(o) {
			for i, topic := range s.plan.Topics {
				uses = append(uses, topicUse{topic: topic, role: asSink, origin: o, file: o.File, path: s.plan.topicPaths[i]})
			}
		}
	}
	for _, f := range result.Config.Files {
		if f.Blocks.Ingest == nil {
			continue
		}
		for i, route := range f.Blocks.Ingest.Routes {
			uses = append(uses, topicUse{topic: route.Topic, role: asIngest, file: f, path: diag.Path("ingest.routes").Item(i).Field("topic")})
		}
	}
	return uses
}

// placedSink is a sink with the path of its handler's settings.
type placedSink struct {
	plan *SinkPlan
	path diag.Path
}

func sinksOf(o *Definition) (all []placedSink) {
	for i := range o.Plan.Routes {
		list := o.Path.Field("sinks")
		if !o.File.Source.Has(list) {
			list = o.Path.Field("routes").Item(i).Field("sinks")
		}
		sinks := o.Plan.Routes[i].Sinks
		for n := range sinks {
			all = append(all, placedSink{&sinks[n], list.Item(n).Field(sinks[n].Kind)})
		}
	}
	return all
}

// place is where the topic is written, or what it has its name from.
func (u topicUse) place() diag.Place {
	if u.declared {
		return u.file.Source.Key(u.path)
	}
	return u.file.Source.Value(u.path)
}
