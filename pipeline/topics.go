package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/kafka/embedded"
	"github.com/millrace/millrace/pipeline/topics"
)

// TopicWants are the topics that the plan names, each once: those of `topics:`
// with what is said of them, and those that pipelines and ingest routes use.
func (p *Plan) TopicWants() []topics.Want {
	var wants []topics.Want
	use := func(name, as string) {
		if name == "" {
			return
		}
		i := slices.IndexFunc(wants, func(w topics.Want) bool { return w.Name == name })
		if i < 0 {
			i = len(wants)
			wants = append(wants, topics.Want{Name: name})
		}
		if !slices.Contains(wants[i].Uses, as) {
			wants[i].Uses = append(wants[i].Uses, as)
		}
	}
	for _, t := range p.Topics {
		if t.assumed {
			t.Partitions = 0
		}
		wants = append(wants, topics.Want{
			Name: t.Name, Partitions: int(t.Partitions), Replication: int(t.Replication), Retention: t.Retention, Cleanup: t.Cleanup,
			Uses: []string{"topics:"},
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

// TopicReaders are the plan's pipelines as readers of topics.
func (p *Plan) TopicReaders() []topics.Reader {
	var readers []topics.Reader
	for _, pipe := range p.Pipelines {
		readers = append(readers, topics.Reader{
			Pipeline: pipe.Name, Group: pipe.Source.Group, Reads: func(topic string) bool { return pipe.Reads(topic) },
		})
	}
	return readers
}

// TopicOptions say what kind of cluster the plan runs on.
func (p *Plan) TopicOptions() topics.Options {
	return topics.Options{Embedded: p.Embedded != "", DefaultPartitions: DefaultPartitions}
}

// namedTopics are the topics that the plan names, with their partitions; 0 is
// the default.
func (r *Runner) namedTopics() map[string]int32 {
	named := map[string]int32{}
	for _, w := range r.plan.TopicWants() {
		named[w.Name] = int32(w.Partitions)
	}
	return named
}

// prepareTopics makes what is missing on the embedded broker. A cluster is left
// as it is unless making topics was asked for: a source or dead-letter topic
// that it lacks is an error.
func (r *Runner) prepareTopics(ctx context.Context) error {
	if r.embedded {
		return makeTopics(ctx, r.admin, r.namedTopics())
	}
	if r.deps.CreateTopics {
		if err := r.createTopics(ctx, r.admin); err != nil {
			return err
		}
	}
	found, err := r.admin.Topics(ctx)
	if err != nil {
		return fmt.Errorf("reach the brokers: %w", err)
	}
	there := map[string]bool{}
	for _, t := range found {
		there[t.Name] = true
	}
	var missing []error
	need := func(p *PipelinePlan, name, as string) {
		if !there[name] && name != "" {
			missing = append(missing, fmt.Errorf("pipeline %q: its %s topic %q does not exist on the cluster; make it with `millrace topics apply` or `run --create-topics`", p.Name, as, name))
		}
	}
	for _, p := range r.plan.Pipelines {
		for _, t := range p.Source.Topics {
			need(p, t, "source")
		}
		need(p, p.DeadLetter, "dead-letter")
	}
	return errors.Join(missing...)
}

// createTopics makes the topics that the plan names and the cluster lacks, and
// leaves those that differ.
func (r *Runner) createTopics(ctx context.Context, admin *kafka.Admin) error {
	plan, err := topics.Compare(ctx, admin, r.plan.TopicWants(), r.plan.TopicOptions())
	if err != nil {
		return fmt.Errorf("compare the topics with the cluster's: %w", err)
	}
	create := plan.Only(topics.Create)
	if n := len(plan.Changes) - len(create.Changes); n > 0 {
		r.deps.Logger.Warn("topics differ from what the file says; see `millrace topics plan`", "differences", n)
	}
	return topics.Apply(ctx, admin, create, func(c topics.Change) {
		r.deps.Logger.Info("a topic was made", "topic", c.Topic, "as", c.To)
	})
}

func makeTopics(ctx context.Context, admin *kafka.Admin, named map[string]int32) error {
	sizes := map[int][]string{}
	for name, partitions := range named {
		if partitions == 0 {
			partitions = embedded.DefaultPartitions
		}
		sizes[int(partitions)] = append(sizes[int(partitions)], name)
	}
	for partitions, names := range sizes {
		slices.Sort(names)
		if _, err := admin.CreateTopics(ctx, names, partitions, 1, nil); err != nil {
			return err
		}
	}
	return nil
}

// leave takes the static members of this process out of their groups, where that
// was asked for, so that their partitions move at once.
func (r *Runner) leave(ctx context.Context) error {
	if !r.deps.Leave {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var errs []error
	for _, p := range r.plan.Pipelines {
		if p.Source.Instance == "" {
			continue
		}
		if err := r.admin.LeaveGroup(ctx, p.Source.Group, p.Source.Instance); err != nil {
			errs = append(errs, fmt.Errorf("pipeline %q: %w", p.Name, err))
			continue
		}
		r.deps.Logger.Info("left the group for good", "pipeline", p.Name, "instance", p.Source.Instance)
	}
	return errors.Join(errs...)
}
