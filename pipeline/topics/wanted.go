package topics

import (
	"slices"

	"github.com/millrace/millrace/pipeline/plan"
)

// Wanted are the topics that the plan names, each once: those of `topics:`
// with what is said of them, and those that pipelines and ingest routes use.
func Wanted(p *plan.Plan) []Want {
	var wants []Want
	use := func(name, as string) {
		if name == "" {
			return
		}
		i := slices.IndexFunc(wants, func(w Want) bool { return w.Name == name })
		if i < 0 {
			i = len(wants)
			wants = append(wants, Want{Name: name})
		}
		if !slices.Contains(wants[i].Uses, as) {
			wants[i].Uses = append(wants[i].Uses, as)
		}
	}
	for _, t := range p.Topics {
		if t.Assumed {
			t.Partitions = 0
		}
		wants = append(wants, Want{
			Name: t.Name, Partitions: int(t.Partitions), Replication: int(t.Replication), Retention: t.Retention,
			Cleanup: t.Cleanup,
			Uses:    []string{"topics:"},
		})
	}
	if p.Ingest != nil {
		for _, route := range p.Ingest.Routes {
			use(route.Topic, "ingest "+route.Path)
		}
	}
	for _, pipe := range p.Pipelines {
		for _, t := range pipe.Source.Topics {
			use(t, "source of "+pipe.Name)
		}
		known := len(wants)
		use(pipe.DeadLetter, "dead letters of "+pipe.Name)
		if len(wants) > known && len(pipe.Source.Topics) > 0 {
			wants[known].Letters = pipe.Source.Topics[0]
		}
		for _, s := range pipe.Sinks() {
			for _, t := range s.Topics {
				use(t, "sink of "+pipe.Name)
			}
		}
	}
	return wants
}

// Readers are the plan's pipelines as readers of topics.
func Readers(p *plan.Plan) []Reader {
	var readers []Reader
	for _, pipe := range p.Pipelines {
		readers = append(readers, Reader{
			Pipeline: pipe.Name, Group: pipe.Source.Group, Reads: func(topic string) bool { return pipe.Reads(topic) },
		})
	}
	return readers
}

// OptionsOf say what kind of cluster the plan runs on.
func OptionsOf(p *plan.Plan) Options {
	return Options{Embedded: p.Embedded != "", DefaultPartitions: plan.EmbeddedPartitions}
}
