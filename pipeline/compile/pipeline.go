package compile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// pipeline compiles one pipeline. What is broken is left out of the plan, which
// then can't be used.
func (c *compiler) pipeline(f *config.File, path diag.Path, name string, p *config.Pipeline) *plan.Pipeline {
	c.name(f, path, name, "pipeline", true)
	plan := &plan.Pipeline{
		Name: name, Description: p.Description,
		Source: c.source(f, path.Field("source"), name, p),
		Format: expression.Format(p.Source.Format), Unmatched: plan.Action(p.Unmatched),
		OnError:   plan.Action(p.OnError),
		RateLimit: float64(p.RateLimit),
	}
	c.deadLetter(f, path, plan, &p.DeadLetter)
	known := c.format(f, path.Field("source").Field("format"), plan)
	held := used{}
	c.used[plan] = held
	plan.Scope = expression.NewScope(expression.Options{
		Format: plan.Format, Constants: held.constants(c.config.Constants[f]), Limits: c.plan.Limits,
		Topics: knownTopics(plan), OnePartition: c.onePartition(plan),
	})
	plan.Result = plan.Scope
	if !known {
		return plan
	}
	if t := c.payloadType(plan); t != nil {
		plan.Scope.Payload(*t)
	}
	c.filter(f, path.Field("filter"), plan, p.Filter.Source)
	if p.Idempotency != nil {
		plan.Idempotency = c.guard(f, path.Field("idempotency"), plan.Scope, p.Idempotency)
	}
	if p.Transform != nil {
		plan.Transform = c.transform(f, path.Field("transform"), plan.Scope, p.Transform)
		plan.Result = plan.Scope.Result(expression.FormatJSON)
		switch at := path.Field("transform").Field("payload"); {
		case p.Transform.Payload == nil:
			plan.Result = plan.Scope.Result(plan.Format)
		case c.config.Problems.Broken(f.Name, at):
			plan.Result.Payload(expression.JSONType())
		default:
			plan.Result.Payload(resultType(plan.Transform.Payload))
		}
	}
	plan.Routes = c.routes(f, path, plan, p)
	return plan
}

// onePartition tells whether the file says of every topic that a pipeline reads
// that it has one partition.
func (c *compiler) onePartition(planned *plan.Pipeline) bool {
	topics := knownTopics(planned)
	for _, name := range topics {
		single := func(t plan.Topic) bool { return t.Name == name && t.Partitions == 1 && !t.Assumed }
		if !slices.ContainsFunc(c.plan.Topics, single) {
			return false
		}
	}
	return len(topics) > 0
}

// filter compiles a pipeline's filter: what comes after it sees only records for
// which it was true.
func (c *compiler) filter(f *config.File, path diag.Path, plan *plan.Pipeline, source string) {
	plan.Filter = c.condition(f, plan.Scope, path, source)
	if plan.Filter == nil {
		return
	}
	plan.Scope.Assume(plan.Filter)
	if all, always := plan.Filter.Always(); always {
		p := diag.Problem{Path: path, Place: f.Source.Value(path), Severity: diag.Warning,
			Code:    expression.CodeConstantCondition,
			Message: "this filter lets every record pass", Hint: "leave it out"}
		if !all {
			p.Message, p.Hint = "this filter lets no record pass", ""
		}
		c.add(p)
	}
}

// format tells whether the records' format is known and can be read.
func (c *compiler) format(f *config.File, path diag.Path, plan *plan.Pipeline) bool {
	if !c.sound(f, path) {
		return false
	}
	for _, format := range config.NotAvailable().Formats {
		if string(plan.Format) == format {
			p := config.NotAvailableProblem(f.Source, path, false, "the format "+format+" is")
			p.Hint = "format: bytes takes such records on unread, with value, key and headers for expressions"
			c.add(p)
			return false
		}
	}
	return true
}

// source compiles what a pipeline reads.
func (c *compiler) source(f *config.File, path diag.Path, name string, p *config.Pipeline) kafka.Source {
	s := p.Source
	source := kafka.Source{
		Group: s.Group, Instance: s.Instance, Start: s.Start.Start,
		FetchMin: int32(s.Fetch.Min), FetchMax: int32(s.Fetch.Max), FetchWait: s.Fetch.Wait,
		MaxRecordBytes: int64(s.MaxRecordBytes), ResetOutOfRange: s.OnOutOfRange == "earliest",
		SessionTimeout: s.SessionTimeout, CommitInterval: s.CommitInterval,
		Lanes: p.Concurrency.Lanes, Order: kafka.Order(p.Concurrency.Order), Drain: c.plan.Drain,
	}
	if source.Start.Kind == "" {
		source.Start.Kind = kafka.StartEarliest
	}
	if source.Group == "" {
		source.Group = name
	} else {
		c.name(f, path.Field("group"), source.Group, "group", false)
	}
	if source.Order == kafka.OrderPartition {
		source.Lanes = 1
	}
	if s.Fetch.Min > s.Fetch.Max && c.sound(f, path.Field("fetch")) {
		c.atValue(f, path.Field("fetch").Field("min"), diag.CodeRange, "fetch.min must not be larger than fetch.max",
			"")
	}
	c.sourceTopics(f, path, &s, &source)
	return source
}

// sourceTopics takes exactly one of topic, topics and pattern.
func (c *compiler) sourceTopics(f *config.File, path diag.Path, s *config.Source, source *kafka.Source) {
	var written []diag.Path
	for _, key := range []string{"topic", "topics", "pattern"} {
		if f.Source.Has(path.Field(key)) {
			written = append(written, path.Field(key))
		}
	}
	switch {
	case len(written) == 0 && f.Source.Has(path) && !c.unclear(f, path):
		c.atKey(f, path, diag.CodeRequired, fmt.Sprintf("%s names no topic", path),
			"add topic: orders, or topics: [a, b], or pattern: '^orders_.*'")
	case len(written) > 1:
		c.add(diag.Problem{Path: written[1], Place: f.Source.Key(written[1]), Code: diag.CodeExclusive,
			Message: "only one of topic, topics and pattern may be written",
			Related: &diag.Related{Place: f.Source.Key(written[0]), Message: "the first is here"}})
	}
	for _, key := range []diag.Path{path.Field("topic"), path.Field("topics"), path.Field("pattern")} {
		if f.Source.Has(key) && s.Topic+s.Pattern == "" && len(s.Topics) == 0 && c.sound(f, key) {
			c.atValue(f, key, diag.CodeEmpty, string(key)+" is empty", "")
		}
	}
	if s.Topic != "" {
		c.topicName(f, path.Field("topic"), s.Topic, false)
		source.Topics = append(source.Topics, s.Topic)
	}
	seen := map[string]int{}
	for i, topic := range s.Topics {
		item := path.Field("topics").Item(i)
		if first, ok := seen[topic]; ok && topic != "" {
			c.add(diag.Problem{Path: item, Place: f.Source.Value(item), Code: diag.CodeRepeated,
				Message: fmt.Sprintf("the topic %q is repeated", topic),
				Related: &diag.Related{Place: f.Source.Value(path.Field("topics").Item(first)),
					Message: "it is written here first"}})
			continue
		}
		seen[topic] = i
		c.topicName(f, item, topic, false)
		source.Topics = append(source.Topics, topic)
	}
	if s.Pattern == "" {
		return
	}
	pattern, err := regexp.Compile(s.Pattern)
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		c.atValue(f, path.Field("pattern"), diag.CodeMalformed, "the pattern is not a regular expression: "+reason, "")
		return
	}
	source.Pattern = pattern
}

// deadLetter takes the dead-letter topic, or its default.
func (c *compiler) deadLetter(f *config.File, path diag.Path, plan *plan.Pipeline, d *config.DeadLetter) {
	at := path.Field("dead_letter").Field("topic")
	switch {
	case d.Off:
	case d.Topic != "":
		plan.DeadLetter = d.Topic
		c.topicName(f, at, d.Topic, false)
	default:
		plan.DeadLetter = plan.Name + ".dead-letter"
	}
}

// guard compiles a pipeline's `idempotency:` block.
func (c *compiler) guard(f *config.File, path diag.Path, scope *expression.Scope, g *config.Guard) *plan.Idempotency {
	c.needsStore(f, path)
	plan := &plan.Idempotency{
		Key:    c.template(f, scope, path.Field("key"), g.Key.Source, expression.PlaceKey),
		Digest: c.expression(f, scope, path.Field("digest"), g.Digest.Source),
		TTL:    g.TTL, Lease: c.storeDefaults.Lease, Generation: g.Generation,
		OnConflict: plan.Action(g.OnConflict), OnStoreError: plan.Action(g.OnStoreError),
		OnUncertain: plan.Action(g.OnUncertain),
	}
	if plan.TTL == 0 {
		plan.TTL = c.storeDefaults.TTL
	} else if plan.TTL <= plan.Lease && c.sound(f, path.Field("ttl")) {
		c.lifetime(f, path, config.Store{TTL: plan.TTL, Lease: plan.Lease})
	}
	return plan
}

// transform compiles what replaces parts of a record.
func (c *compiler) transform(f *config.File, path diag.Path, scope *expression.Scope,
	t *config.Transform) *plan.Transform {
	planned := &plan.Transform{Key: c.expression(f, scope, path.Field("key"), t.Key.Source)}
	for _, h := range t.Headers {
		if strings.TrimSpace(h.Name) == "" {
			c.atKey(f, h.Path, diag.CodeName, "a header needs a name", "")
		}
		header := plan.Header{Name: h.Name, Value: c.leaf(f, scope, h.Path, h.Value.Source), Source: h.Value.Source,
			Secret: handlers.SecretName(h.Name)}
		if header.Secret {
			header.Source = expression.WithoutWritten(header.Source, handlers.Redacted)
		}
		planned.Headers = append(planned.Headers, header)
	}
	if t.Payload != nil {
		planned.Payload = c.payload(f, scope, t.Payload)
	}
	return planned
}

func (c *compiler) payload(f *config.File, scope *expression.Scope, p *config.Payload) *plan.Payload {
	planned := &plan.Payload{}
	switch p.Kind {
	case config.PayloadObject:
		planned.Fields = []plan.Field{}
		for _, field := range p.Fields {
			planned.Fields = append(planned.Fields, plan.Field{Name: field.Name,
				Value: c.payload(f, scope, field.Value)})
		}
	case config.PayloadList:
		planned.Items = []*plan.Payload{}
		for _, item := range p.Items {
			planned.Items = append(planned.Items, c.payload(f, scope, item))
		}
	default:
		planned.Leaf = c.leaf(f, scope, p.Path, p.Leaf.Source)
	}
	return planned
}

// retry fills in what a sink, or its pipeline, leaves out.
func (c *compiler) retry(f *config.File, path diag.Path, layers ...*config.Retry) plan.Retry {
	plan := retryPlan(layers...)
	if plan.Initial > plan.Max && f.Source.Has(path) && c.sound(f, path) {
		c.atKey(f, path, diag.CodeRange, "the first wait of retry must not be longer than the longest",
			"raise max or lower initial")
	}
	return plan
}

// retryPlan is what the last layer that writes something says of it.
func retryPlan(layers ...*config.Retry) plan.Retry {
	plan := plan.Retry{Attempts: 5, Initial: 200 * time.Millisecond, Max: 30 * time.Second}
	for _, r := range layers {
		if r == nil {
			continue
		}
		if r.Attempts > 0 {
			plan.Attempts = r.Attempts
		}
		if r.Initial > 0 {
			plan.Initial = r.Initial
		}
		if r.Max > 0 {
			plan.Max = r.Max
		}
	}
	return plan
}
