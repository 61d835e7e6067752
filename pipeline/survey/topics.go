package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/topics"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// applyHint is how topics are made.
const applyHint = "make it with `millrace topics apply`, or `run --create-topics`"

// checkTopics compares the topics that are there with what the file needs.
func (c *connector) checkTopics(brokers int) {
	c.missing()
	c.differences()
	told := map[string]bool{}
	for _, u := range c.uses {
		state := c.topics[u.Topic]
		if !state.Exists || state.Err != nil {
			continue
		}
		if u.Role == compile.AsSource {
			c.readable(u, state)
		} else if code, message, hint := unwritable(state); message != "" && u.Role != compile.AsSink {
			c.report(u.File, diag.Problem{Path: u.Path, Code: code, Message: message, Hint: hint})
		}
		if !told[u.Topic] && c.plan.Embedded == "" {
			told[u.Topic] = true
			c.durability(u, state, brokers)
		}
	}
	for i := range c.result.Definitions {
		c.limits(&c.result.Definitions[i])
		c.lifetimes(&c.result.Definitions[i])
	}
}

// missing reports topics that are not there, or can't be seen, once each: at
// their entry of topics: where they have one. The embedded broker makes them.
func (c *connector) missing() {
	told := map[string]bool{}
	for _, u := range c.uses {
		state, ok := c.topics[u.Topic]
		if !ok || told[u.Topic] || state.Exists || u.Role == compile.AsSink {
			continue
		}
		told[u.Topic] = true
		p := diag.Problem{Path: u.Path, Code: diag.CodeTopicMissing,
			Message: fmt.Sprintf("the %s topic %q does not exist on the cluster", u.Role, u.Topic), Hint: applyHint}
		switch {
		case state.Refused():
			p.Code, p.Message, p.Hint = diag.CodePermission,
				fmt.Sprintf("the credentials may not see the %s topic %q", u.Role, u.Topic),
				grantHint("Describe", u.Topic)
		case state.Err != nil:
			p.Message, p.Hint = fmt.Sprintf("the %s topic %q can't be looked at: %v", u.Role, u.Topic, state.Err), ""
		case c.plan.Embedded != "":
			continue
		}
		if near := diag.Nearest(u.Topic, c.existing()); near != "" && p.Code == diag.CodeTopicMissing {
			p.Hint += fmt.Sprintf("; or did you mean %q?", near)
		}
		c.report(u.File, p)
	}
	for _, f := range c.result.Config.Files {
		for _, t := range f.Blocks.Topics {
			if state := c.topics[t.Name]; told[t.Name] || state.Exists || state.Err != nil || c.plan.Embedded != "" ||
				c.used(t.Name) {
				continue
			}
			c.report(f, diag.Problem{Path: t.Path, Place: f.Source.Key(t.Path), Severity: diag.Warning,
				Code:    diag.CodeTopicMissing,
				Message: fmt.Sprintf("the topic %q does not exist on the cluster", t.Name), Hint: applyHint})
		}
	}
}

func (c *connector) used(topic string) bool {
	return slices.ContainsFunc(c.uses, func(u compile.TopicUse) bool { return u.Topic == topic })
}

func (c *connector) existing() (names []string) {
	for name, t := range c.topics {
		if t.Exists {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func grantHint(operation, topic string) string {
	return fmt.Sprintf("grant it: kafka-acls --add --allow-principal User:… --operation %s --topic %s", operation,
		topic)
}

// differences reports topics that have fewer partitions or replicas, or other
// settings, than topics: says. More do no harm.
func (c *connector) differences() {
	var wants []topics.Want
	for _, w := range topics.Wanted(c.plan) {
		if state := c.topics[w.Name]; state.Exists && state.Err == nil {
			wants = append(wants, w)
		}
	}
	for _, d := range topics.CompareSeen(wants, c.topics, topics.OptionsOf(c.plan)).Changes {
		from, errFrom := strconv.Atoi(d.From)
		to, errTo := strconv.Atoi(d.To)
		if errFrom == nil && errTo == nil && from > to {
			continue
		}
		f := c.with(diag.Path("topics").Field(d.Topic))
		hint := "make it so with `millrace topics apply`"
		if d.Action == topics.Leave {
			hint = d.Why
		}
		c.report(f, diag.Problem{Path: diag.Path("topics").Field(d.Topic).Field(d.Setting), Severity: diag.Warning,
			Code: diag.CodeTopicDiffers,
			Message: fmt.Sprintf("the topic %q has %s %s on the cluster, and the file says %s", d.Topic, d.Setting,
				d.From, d.To), Hint: hint})
	}
}

// readable tells what keeps a source from being read.
func (c *connector) readable(u compile.TopicUse, state kafka.TopicState) {
	switch {
	case state.May.Known && !state.May.Read:
		c.report(u.File, diag.Problem{Path: u.Path, Code: diag.CodePermission,
			Message: fmt.Sprintf("the credentials may not read the topic %q", u.Topic),
			Hint:    grantHint("Read", u.Topic)})
	case state.Leaderless > 0:
		c.report(u.File, diag.Problem{Path: u.Path, Code: diag.CodeDurability, Message: leaderless(state)})
	}
}

func leaderless(state kafka.TopicState) string {
	return fmt.Sprintf("%s of the topic %q have no leader: their brokers are away",
		diag.Count(state.Leaderless, "partition"), state.Name)
}

// unwritable says what keeps records from being written to a topic, and how to
// mend it; all is empty where nothing does.
func unwritable(state kafka.TopicState) (code diag.Code, message, hint string) {
	least, _ := strconv.Atoi(state.Configs[leastInSync])
	switch {
	case state.Refused():
		return diag.CodePermission, fmt.Sprintf("the credentials may not see the topic %q", state.Name),
			grantHint("Describe", state.Name)
	case !state.Exists:
		return diag.CodeTopicMissing, fmt.Sprintf("the topic %q does not exist on the cluster", state.Name), applyHint
	case state.May.Known && !state.May.Write:
		return diag.CodePermission, fmt.Sprintf("the credentials may not write to the topic %q", state.Name),
			grantHint("Write", state.Name)
	case state.Leaderless > 0:
		return diag.CodeDurability, leaderless(state), ""
	case least > state.Replication:
		return diag.CodeDurability, fmt.Sprintf("nothing can be written to the topic %q: its min.insync.replicas is "+
				"%d, and it has %s", state.Name, least, diag.Count(state.Replication, "replica")),
			"lower min.insync.replicas, or give the topic more replicas"
	case least > state.InSync:
		return diag.CodeDurability, fmt.Sprintf("writes to the topic %q wait: a partition has %s in sync, and its "+
				"min.insync.replicas is %d", state.Name, diag.Count(state.InSync, "replica"), least),
			"bring the brokers back that are away"
	}
	return "", "", ""
}

// The settings of topics that are looked at beside those of topics:.
const (
	leastInSync = "min.insync.replicas"
	maxMessage  = "max.message.bytes"
)

// durability warns of what one broker that fails would do to a topic.
func (c *connector) durability(u compile.TopicUse, state kafka.TopicState, brokers int) {
	if state.ConfigErr != nil && kafka.NotAllowed(state.ConfigErr) {
		c.report(u.File, diag.Problem{Path: u.Path, Severity: diag.Warning, Code: diag.CodePermission,
			Message: fmt.Sprintf("the credentials may not see the settings of the topic %q: they were not checked",
				u.Topic), Hint: grantHint("DescribeConfigs", u.Topic)})
	}
	declared := slices.ContainsFunc(c.plan.Topics, func(t plan.Topic) bool {
		return t.Name == u.Topic &&
			t.Replication > 1
	})
	least, _ := strconv.Atoi(state.Configs[leastInSync])
	p := diag.Problem{Path: u.Path, Severity: diag.Warning, Code: diag.CodeDurability}
	_, worse, _ := unwritable(state)
	switch {
	case worse != "" && u.Role != compile.AsSource:
		return
	case brokers > 1 && state.Replication == 1 && !declared:
		p.Message = fmt.Sprintf("the topic %q has one replica: its records are lost with the broker that holds them",
			u.Topic)
		p.Hint = "give it three, with the cluster's own tools (kafka-reassign-partitions)"
	case least > 1 && least == state.Replication && u.Role != compile.AsSource:
		p.Message = fmt.Sprintf("the topic %q takes writes only while all of its %d replicas are in sync: one broker "+
			"that restarts stops them", u.Topic, least)
		p.Hint = fmt.Sprintf("set its min.insync.replicas to %d", least-1)
	default:
		return
	}
	c.report(u.File, p)
}

// limits warns of a dead-letter topic that takes smaller records than come.
func (c *connector) limits(o *compile.Definition) {
	dead, err := strconv.Atoi(c.topics[o.Plan.DeadLetter].Configs[maxMessage])
	if err != nil || o.Plan.DeadLetter == "" {
		return
	}
	for _, topic := range c.read(o.Plan) {
		if largest, err := strconv.Atoi(c.topics[topic].Configs[maxMessage]); err == nil && dead < largest {
			c.report(o.File, diag.Problem{Path: o.Path.Field("dead_letter").Field("topic"), Severity: diag.Warning,
				Code: diag.CodeTopicLimit,
				Message: fmt.Sprintf("the dead-letter topic %q takes records of %d bytes, and its source %q has them "+
					"of up to %d: larger ones are dead-lettered without their value",
					o.Plan.DeadLetter, dead, topic, largest),
				Hint: fmt.Sprintf("set max.message.bytes of %q to %d or more", o.Plan.DeadLetter, largest)})
			return
		}
	}
}

// read are the topics that a pipeline reads and that are there.
func (c *connector) read(p *plan.Pipeline) (names []string) {
	for _, name := range c.existing() {
		if p.Reads(name) {
			names = append(names, name)
		}
	}
	return names
}

// lifetimes warns of keys that are forgotten before their records. Where topics:
// says how long the records live, that it is too long, or not so on the cluster,
// is told already.
func (c *connector) lifetimes(o *compile.Definition) {
	guard := o.Plan.Idempotency
	told := func(t plan.Topic) bool { return o.Plan.Reads(t.Name) && t.Retention > 0 }
	if guard == nil || c.plan.Embedded != "" || slices.ContainsFunc(c.plan.Topics, told) {
		return
	}
	for _, topic := range c.read(o.Plan) {
		text, known := keeps(c.topics[topic].Configs, guard.TTL)
		if !known {
			continue
		}
		path := o.Path.Field("idempotency").Field("ttl")
		c.report(o.File, diag.Problem{Path: path, Severity: diag.Warning, Code: diag.CodeLifetime,
			Message: fmt.Sprintf("keys live for %s, and records of %q %s on the cluster: a late replay repeats effects",
				yamlconf.FormatDuration(guard.TTL), topic, text),
			Hint: "make the ttl longer than the topic's retention"})
		return
	}
}

// keeps says how long a topic keeps records, where that is as long as ttl or
// longer.
func keeps(configs map[string]string, ttl time.Duration) (text string, longer bool) {
	ms, err := strconv.ParseInt(configs["retention.ms"], 10, 64)
	policy := cmp.Or(configs["cleanup.policy"], "delete")
	switch {
	case !strings.Contains(policy, "delete"):
		return "for ever, the newest of each key", true
	case err != nil:
		return "", false
	case ms < 0 || ms > int64(1<<63-1)/int64(time.Millisecond):
		return "for ever", true
	}
	kept := time.Duration(ms) * time.Millisecond
	return "for " + yamlconf.FormatDuration(kept), kept >= ttl
}
