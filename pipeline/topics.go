package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/topics"
)

// namedTopics are the topics that the plan names, with their partitions; 0 is
// the default.
func (r *Runner) namedTopics() map[string]int32 {
	named := map[string]int32{}
	for _, w := range topics.Wanted(r.plan) {
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
	need := func(p *plan.Pipeline, name, as string) {
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
	plan, err := topics.Compare(ctx, admin, topics.Wanted(r.plan), topics.OptionsOf(r.plan))
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
			partitions = plan.EmbeddedPartitions
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
