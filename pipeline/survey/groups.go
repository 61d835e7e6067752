package survey

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
)

// checkPatterns warns of a pattern that matches nothing.
func (c *connector) checkPatterns(matched map[string][]string) {
	for i := range c.result.Definitions {
		o := &c.result.Definitions[i]
		if o.Plan.Source.Pattern == nil || len(matched[o.Plan.Name]) > 0 {
			continue
		}
		c.report(o.File, diag.Problem{Path: o.Path.Field("source").Field("pattern"), Severity: diag.Warning,
			Code: diag.CodePattern,
			Message: fmt.Sprintf("no topic of the cluster matches %s: the pipeline waits for one",
				o.Plan.Source.Pattern),
			Hint: "the pattern may match any part of a name; ^ and $ stand for its ends"})
	}
}

// manyLanes is how many calls to a sink at once are more than is usually meant.
const manyLanes = 2048

// checkReplicas compares the number of processes with what there is to share.
func (c *connector) checkReplicas(matched map[string][]string) {
	for i := range c.result.Definitions {
		o := &c.result.Definitions[i]
		partitions := 0
		for _, topic := range slices.Concat(o.Plan.Source.Topics, matched[o.Plan.Name]) {
			partitions += c.topics[topic].Partitions
		}
		if partitions == 0 {
			continue
		}
		replicas := max(1, c.options.Replicas)
		if replicas > partitions {
			c.report(o.File, diag.Problem{Path: c.sourcePath(o), Severity: diag.Warning, Code: diag.CodeReplicas,
				Message: fmt.Sprintf("%d replicas share %s: %d of them have nothing to read", replicas,
					diag.Count(partitions, "partition"), replicas-partitions),
				Hint: fmt.Sprintf("run %d at most, or raise the topic's partitions", partitions)})
		}
		perProcess := (partitions + replicas - 1) / replicas
		if calls := perProcess * o.Plan.Source.Lanes; calls > manyLanes {
			c.report(o.File, diag.Problem{Path: o.Path.Field("concurrency").Field("lanes"), Severity: diag.Warning,
				Code: diag.CodeReplicas,
				Message: fmt.Sprintf("%d lanes for each of %s are up to %d calls to a sink at once from one process",
					o.Plan.Source.Lanes, diag.Count(perProcess, "partition"), calls),
				Hint: "set concurrency: {lanes: …} lower, or run more replicas"})
		}
	}
}

// sourcePath is where a pipeline says what it reads.
func (c *connector) sourcePath(o *compile.Definition) diag.Path {
	source := o.Path.Field("source")
	for _, field := range []string{"topic", "topics", "pattern"} {
		if path := source.Field(field); o.File.Source.Has(path) {
			return path
		}
	}
	return source
}

// checkGroups looks at the pipelines' groups. On a cluster that has none yet it
// leaves them alone.
func (c *connector) checkGroups(ctx context.Context, admin *kafka.Admin, reachable bool) {
	if c.plan.Embedded == "" {
		there, err := admin.HasGroups(ctx)
		if err != nil && reachable {
			c.atBrokers(diag.CodeBroker, diag.Error, "the groups can't be looked at: "+c.reason(err), "")
		}
		if !there {
			for i := range c.result.Definitions {
				c.checkStart(&c.result.Definitions[i], kafka.GroupState{})
			}
			return
		}
	}
	var groups sync.WaitGroup
	for i := range c.result.Definitions {
		o := &c.result.Definitions[i]
		groups.Go(func() { c.checkGroup(ctx, admin, o, reachable) })
	}
	groups.Wait()
}

// checkGroup looks at a pipeline's group.
func (c *connector) checkGroup(ctx context.Context, admin *kafka.Admin, o *compile.Definition, reachable bool) {
	group := o.Plan.Source.Group
	path := o.Path.Field("source").Field("group")
	state, err := admin.InspectGroup(ctx, group, c.topics)
	switch {
	case kafka.NotAllowed(err), err == nil && state.May.Known && !state.May.Read:
		c.report(o.File, diag.Problem{Path: path, Code: diag.CodePermission,
			Message: fmt.Sprintf("the credentials may not use the group %q", group),
			Hint: fmt.Sprintf("grant it: kafka-acls --add --allow-principal User:… --operation Read --group %s",
				group)})
		return
	case err != nil && !reachable:
		return // It follows from the broker that can't be reached.
	case err != nil:
		c.report(o.File, diag.Problem{Path: path, Code: diag.CodeBroker,
			Message: fmt.Sprintf("the group %q can't be looked at: %s", group, c.reason(err))})
		return
	case state.Foreign:
		c.report(o.File, diag.Problem{Path: path, Code: diag.CodeGroupMembers,
			Message: fmt.Sprintf("the group %q has %s that share partitions by %q: a pipeline can't join them", group,
				diag.Count(state.Members, "member"), state.Protocol),
			Hint: "stop them first, or give the pipeline a group of its own"})
	}
	c.checkCommits(o, path, state)
	c.checkStart(o, state)
}

// checkCommits compares what the group has committed with the logs.
func (c *connector) checkCommits(o *compile.Definition, path diag.Path, state kafka.GroupState) {
	group := o.Plan.Source.Group
	slices.SortFunc(state.Commits, func(a, b kafka.Commit) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	again, outside := map[string]bool{}, map[string]bool{}
	for _, commit := range state.Commits {
		topic := c.topics[commit.Topic]
		if !topic.Exists || !o.Plan.Reads(commit.Topic) {
			continue
		}
		if commit.Epoch != "" && o.Plan.Idempotency != nil {
			c.mu.Lock()
			c.epochs[commit.Epoch] = o
			c.mu.Unlock()
		}
		first, known := topic.Starts[commit.Partition]
		end := topic.Ends[commit.Partition]
		p := diag.Problem{Path: path, Severity: diag.Warning, Code: diag.CodeGroupOffsets}
		switch {
		case commit.OtherTopic && !again[commit.Topic]:
			again[commit.Topic] = true
			p.Message = fmt.Sprintf("the topic %q was deleted and made again since the group %q committed: it is "+
				"read from its earliest record", commit.Topic, group)
		case commit.OtherTopic || !known || commit.Offset >= first && commit.Offset <= end || outside[commit.Topic]:
			continue
		default:
			outside[commit.Topic] = true
			p.Message = fmt.Sprintf("the group %q committed offset %d of %s/%d, and the log has %d to %d", group,
				commit.Offset, commit.Topic, commit.Partition, first, end)
			if o.Plan.Source.ResetOutOfRange {
				p.Message += ": it goes on at the earliest record"
			} else {
				p.Severity = diag.Error
				p.Message += ": the partition would stand still"
				p.Hint = "move the group's offset (`millrace seek`), or set on_out_of_range: earliest"
			}
		}
		c.report(o.File, p)
	}
}

// checkStart compares `start: {offsets: …}` with the logs, for topics that the
// group has no commit of.
func (c *connector) checkStart(o *compile.Definition, state kafka.GroupState) {
	start := o.Plan.Source.Start
	if start.Kind != kafka.StartOffsets {
		return
	}
	path := o.Path.Field("source").Field("start").Field("offsets")
	for _, topic := range c.read(o.Plan) {
		if slices.ContainsFunc(state.Commits, func(m kafka.Commit) bool { return m.Topic == topic && !m.OtherTopic }) {
			continue
		}
		seen := c.topics[topic]
		var unknown []string
		for _, number := range slices.Sorted(maps.Keys(start.Offsets)) {
			at, first, end := start.Offsets[number], seen.Starts[number], seen.Ends[number]
			switch {
			case int(number) >= seen.Partitions:
				unknown = append(unknown, fmt.Sprint(number))
			case len(seen.Ends) > 0 && (at < first || at > end):
				c.report(o.File, diag.Problem{Path: path, Code: diag.CodeStart,
					Message: fmt.Sprintf("start names offset %d of %s/%d, and the log has %d to %d: the partition "+
						"would stand still", at, topic, number, first, end),
					Hint: fmt.Sprintf("name one from %d to %d", first, end)})
			}
		}
		if len(unknown) > 0 {
			c.report(o.File, diag.Problem{Path: path, Severity: diag.Warning, Code: diag.CodeStart,
				Message: fmt.Sprintf("start names %s %s of %q, which has %s: it has no effect there",
					plural(len(unknown), "partition"), strings.Join(unknown, ", "), topic,
					diag.Count(seen.Partitions, "partition"))})
		}
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
