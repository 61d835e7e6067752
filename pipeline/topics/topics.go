// Package topics compares the topics that a configuration expects with those of
// a cluster, and makes it so. It makes topics, adds partitions and sets
// configuration; it never takes anything away.
package topics

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
)

// Want is what a configuration says of one topic. What is zero is not said: a
// topic that exists keeps it, and a new one takes the cluster's default.
type Want struct {
	Name        string
	Partitions  int
	Replication int
	Retention   time.Duration
	// Cleanup is delete or compact.
	Cleanup string
	// Letters names the topic whose dead letters it takes, where nothing else is
	// said of it: made anew it has as many replicas.
	Letters string
	// Uses say who needs it, such as `source of orders`.
	Uses []string
}

// Action is what a Change does.
type Action string

// The actions of a plan, in the order in which they are shown and made.
const (
	// Create makes a topic that is missing.
	Create Action = "create"
	// Grow adds partitions.
	Grow Action = "grow"
	// Configure sets a topic's retention or cleanup policy.
	Configure Action = "configure"
	// Leave is a difference that stays: Why says why.
	Leave Action = "leave"
)

// Change is one difference between what is wanted and what is there.
type Change struct {
	Action Action `json:"action"`
	Topic  string `json:"topic"`
	// Setting is partitions, replication, retention or cleanup; empty where a
	// topic is made.
	Setting string `json:"setting,omitempty"`
	// From and To are the setting as it is and as it is wanted.
	From string `json:"from,omitempty"`
	To   string `json:"to"`
	// Why says what to consider before, or why nothing is done.
	Why string `json:"why,omitempty"`

	want Want
}

// Plan is all that differs.
type Plan struct {
	// Changes are by topic, and of one topic in the order of actions.
	Changes []Change `json:"changes"`
	// Same counts the topics that are as they should be.
	Same int `json:"same"`
}

// Pending counts the changes that Apply would make.
func (p Plan) Pending() (n int) {
	for _, c := range p.Changes {
		if c.Action != Leave {
			n++
		}
	}
	return n
}

// Left counts the differences that stay.
func (p Plan) Left() int { return len(p.Changes) - p.Pending() }

// Only is the part of the plan with one action.
func (p Plan) Only(action Action) Plan {
	return Plan{Same: p.Same, Changes: slices.DeleteFunc(slices.Clone(p.Changes),
		func(c Change) bool { return c.Action != action })}
}

// Options say what the cluster is.
type Options struct {
	// Embedded tells that it is the embedded broker, which has no replication,
	// keeps everything, and gives topics DefaultPartitions.
	Embedded          bool
	DefaultPartitions int
}

// Compare asks the cluster what is there and returns how it differs from what is
// wanted. It changes nothing.
func Compare(ctx context.Context, admin *kafka.Admin, wants []Want, o Options) (Plan, error) {
	names := make([]string, len(wants))
	for i, w := range wants {
		names[i] = w.Name
	}
	there, err := look(ctx, admin, names)
	if err != nil {
		return Plan{}, err
	}
	return compare(wants, there, o), nil
}

// CompareSeen is Compare with what was looked at already. Settings that could not
// be read are not compared.
func CompareSeen(wants []Want, seen map[string]kafka.TopicState, o Options) Plan {
	there := map[string]state{}
	wants = slices.Clone(wants)
	for i, w := range wants {
		s := seen[w.Name]
		if !s.Exists {
			continue
		}
		there[w.Name] = state{partitions: s.Partitions, replication: s.Replication, configs: s.Configs}
		if s.Configs == nil {
			wants[i].Retention, wants[i].Cleanup = 0, ""
		}
	}
	return compare(wants, there, o)
}

// state is a topic as it is.
type state struct {
	partitions, replication int
	configs                 map[string]string
}

func look(ctx context.Context, admin *kafka.Admin, names []string) (map[string]state, error) {
	if len(names) == 0 {
		return nil, nil
	}
	found, err := admin.Topics(ctx, names...)
	if err != nil {
		return nil, err
	}
	there := map[string]state{}
	var existing []string
	for _, t := range found {
		existing = append(existing, t.Name)
		there[t.Name] = state{partitions: t.Partitions, replication: t.Replication}
	}
	if len(existing) == 0 {
		return there, nil
	}
	configs, err := admin.TopicConfigs(ctx, existing...)
	if err != nil {
		return nil, err
	}
	for name, s := range there {
		s.configs = configs[name]
		there[name] = s
	}
	return there, nil
}

// compare is Compare without the network.
func compare(wants []Want, there map[string]state, o Options) Plan {
	plan := Plan{Changes: []Change{}}
	wants = slices.SortedFunc(slices.Values(wants), func(a, b Want) int { return cmp.Compare(a.Name, b.Name) })
	for _, w := range wants {
		if o.Embedded {
			w.Replication, w.Retention, w.Cleanup = 0, 0, ""
		}
		s, ok := there[w.Name]
		if !ok {
			why := ""
			switch {
			case o.Embedded:
				w.Partitions, w.Replication = cmp.Or(w.Partitions, o.DefaultPartitions), 1
			case w.Letters != "":
				w.Replication = replication(w.Letters, wants, there)
				why = "the brokers delete dead letters after their default retention; name the topic under topics: " +
					"to say how long they are kept"
			}
			plan.Changes = append(plan.Changes, Change{Action: Create, Topic: w.Name, To: w.summary(), Why: why,
				want: w})
			continue
		}
		before := len(plan.Changes)
		plan.Changes = append(plan.Changes, w.size(s)...)
		plan.Changes = append(plan.Changes, w.settings(s)...)
		if len(plan.Changes) == before {
			plan.Same++
		}
	}
	return plan
}

// replication is what a topic has, or is to have; 0 where neither is known.
func replication(topic string, wants []Want, there map[string]state) int {
	if s, ok := there[topic]; ok {
		return s.replication
	}
	for _, w := range wants {
		if w.Name == topic {
			return w.Replication
		}
	}
	return 0
}

// size compares partitions and replicas.
func (w Want) size(s state) (changes []Change) {
	switch from, to := strconv.Itoa(s.partitions), strconv.Itoa(w.Partitions); {
	case w.Partitions > s.partitions:
		changes = append(changes, Change{Action: Grow, Topic: w.Name, Setting: "partitions", From: from, To: to,
			Why: w.growWarning(s), want: w})
	case w.Partitions > 0 && w.Partitions < s.partitions:
		changes = append(changes, Change{Action: Leave, Topic: w.Name, Setting: "partitions", From: from, To: to,
			want: w,
			Why:  "partitions can't be taken away: only a topic made anew has fewer, or write partitions: " + from})
	}
	if w.Replication > 0 && w.Replication != s.replication {
		changes = append(changes, Change{Action: Leave, Topic: w.Name, Setting: "replication", want: w,
			From: strconv.Itoa(s.replication), To: strconv.Itoa(w.Replication),
			Why: "replicas are moved by the cluster's own tools (kafka-reassign-partitions), which choose " +
				"where they go"})
	}
	return changes
}

func (w Want) growWarning(s state) string {
	why := "keys move to other partitions: a key's older records stay where they are, and its order is not kept over " +
		"the change; let the pipelines come to lag 0 with no producer running if that matters"
	if strings.Contains(s.configs[cleanupKey], "compact") {
		why += "; compaction then keeps an old value of a key that moved"
	}
	return why
}

// settings compares what can be set.
func (w Want) settings(s state) (changes []Change) {
	if have := retention(s.configs); w.Retention > 0 && have != w.Retention {
		c := Change{Action: Configure, Topic: w.Name, Setting: "retention", From: showRetention(have),
			To: showRetention(w.Retention), want: w}
		if have < 0 || w.Retention < have {
			c.Why = "the brokers delete what is older"
		}
		changes = append(changes, c)
	}
	if have := s.configs[cleanupKey]; w.Cleanup != "" && have != w.Cleanup {
		c := Change{Action: Configure, Topic: w.Name, Setting: "cleanup", From: have, To: w.Cleanup, want: w}
		switch {
		case w.Cleanup == "compact" && !strings.Contains(have, "compact"):
			c.Why = "of each key only the newest record stays, and records without a key are refused"
		case w.Cleanup == "delete" && !strings.Contains(have, "delete"):
			c.Why = "the brokers delete what is older than the retention"
		}
		changes = append(changes, c)
	}
	return changes
}

// The keys of a topic's configuration on the cluster.
const (
	retentionKey = "retention.ms"
	cleanupKey   = "cleanup.policy"
)

// configs are what a new topic is made with.
func (w Want) configs() map[string]string {
	configs := map[string]string{}
	if w.Retention > 0 {
		configs[retentionKey] = strconv.FormatInt(w.Retention.Milliseconds(), 10)
	}
	if w.Cleanup != "" {
		configs[cleanupKey] = w.Cleanup
	}
	return configs
}

// retention is how long a topic keeps records: -1 is for ever, 0 not known.
func retention(configs map[string]string) time.Duration {
	ms, err := strconv.ParseInt(configs[retentionKey], 10, 64)
	switch {
	case err != nil:
		return 0
	case ms < 0 || ms > int64(1<<63-1)/int64(time.Millisecond):
		return -1
	default:
		return time.Duration(ms) * time.Millisecond
	}
}

// summary is what a topic would be made as.
func (w Want) summary() string {
	parts := []string{diag.Count(w.Partitions, "partition"), "replication " + strconv.Itoa(w.Replication)}
	if w.Partitions == 0 {
		parts[0] = "the cluster's number of partitions"
	}
	if w.Replication == 0 {
		parts[1] = "its replication"
		if w.Partitions != 0 {
			parts[1] = "the cluster's replication"
		}
	}
	if w.Retention > 0 {
		parts = append(parts, "retention "+showRetention(w.Retention))
	}
	if w.Cleanup != "" {
		parts = append(parts, "cleanup "+w.Cleanup)
	}
	return fmt.Sprintf("%s (%s)", strings.Join(parts, ", "), strings.Join(w.Uses, ", "))
}
