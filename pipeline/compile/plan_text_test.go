package compile_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/secrets"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// planText is a plan with every default filled in, for comparing two of them.
func planText(p *plan.Plan) string {
	w := &planWriter{plan: p}
	if p.Embedded != "" {
		w.line("kafka: embedded on %s", p.Embedded)
	} else {
		w.line("kafka: %s", strings.Join(p.Kafka.Brokers, ", "))
	}
	w.in(func() {
		w.field("client_id", p.Kafka.ClientID)
		w.field("rack", p.Kafka.Rack)
		w.field("compression", p.Kafka.Compression)
		if t := p.Kafka.TLS; t != nil {
			w.line("tls: authorities %s", cmp.Or(t.CA, "of the system"))
			w.field("  certificate", t.Cert)
		}
		if s := p.Kafka.SASL; s != nil {
			w.field("sasl", strings.TrimSuffix(s.Mechanism+" as "+s.Username, " as "))
		}
	})
	w.line("store: %s", w.store())
	for _, t := range p.Topics {
		w.topic(t)
	}
	w.ingest()
	w.line("drain: %s", yamlconf.FormatDuration(p.Drain))
	if p.Limits != expression.DefaultLimits() {
		w.line("limits: %d steps, %s", p.Limits.Steps, yamlconf.FormatSize(p.Limits.Bytes))
	}
	w.field("health", p.Health)
	for _, each := range p.Pipelines {
		w.pipeline(each)
	}
	return w.out.String()
}

type planWriter struct {
	out   strings.Builder
	plan  *plan.Plan
	depth int
}

func (w *planWriter) line(format string, args ...any) {
	fmt.Fprintf(&w.out, "%s%s\n", strings.Repeat("  ", w.depth), fmt.Sprintf(format, args...))
}

func (w *planWriter) in(write func()) {
	w.depth++
	write()
	w.depth--
}

const redacted = secrets.Redacted

// field writes what is not empty.
func (w *planWriter) field(name, value string) {
	if value != "" {
		w.line("%s: %s", name, value)
	}
}

func (w *planWriter) store() string {
	s := w.plan.Store
	text := "embedded"
	if !s.Embedded {
		text = "shared"
	}
	if s.URL == "" {
		text = "none"
	}
	if s.AllowEviction {
		text += ", eviction allowed"
	}
	return text + ", on reset " + string(s.OnReset)
}

func (w *planWriter) topic(t plan.Topic) {
	w.line("topic %s", t.Name)
	w.in(func() {
		if t.Partitions > 0 {
			w.line("partitions: %d", t.Partitions)
		}
		if t.Replication > 0 {
			w.line("replication: %d", t.Replication)
		}
		if t.Retention > 0 {
			w.line("retention: %s", yamlconf.FormatDuration(t.Retention))
		}
		if t.Cleanup != "" {
			w.line("cleanup: %s", t.Cleanup)
		}
		if t.Schema != "" {
			w.line("schema: %s", relative(w.plan, t.Schema))
		}
	})
}

func (w *planWriter) ingest() {
	in := w.plan.Ingest
	if in == nil {
		return
	}
	w.line("ingest on %s", in.Listen)
	w.in(func() {
		w.field("hosts", strings.Join(in.Hosts, ", "))
		if in.TLS != nil {
			w.line("tls: %s", in.TLS.Cert)
		}
		for _, r := range in.Routes {
			w.line("%s -> %s", r.Path, r.Topic)
			w.in(func() {
				w.expression("key", r.Key)
				switch {
				case r.Auth != nil && r.Auth.HMAC != nil:
					w.line("auth: hmac in %s", r.Auth.HMAC.Header)
				case r.Auth != nil:
					w.line("auth: bearer")
				}
				if r.Many {
					w.line("many records a body")
				}
				w.field("headers", strings.Join(r.Headers, ", "))
				if r.Schema != nil {
					w.line("payload is checked against the topic's schema")
				}
				w.line("max_bytes: %s", yamlconf.FormatSize(r.MaxBytes))
			})
		}
	})
}

func (w *planWriter) expression(name string, e *expression.Expression) {
	if e != nil {
		w.field(name, oneLineText(e.Source()))
	}
}

func (w *planWriter) pipeline(p *plan.Pipeline) {
	w.line("pipeline %s", p.Name)
	w.in(func() {
		w.field("description", oneLineText(p.Description))
		w.source(p)
		w.expression("filter", p.Filter)
		w.guard(p.Idempotency)
		w.transform(p.Transform)
		for i, r := range p.Routes {
			w.route(i, r)
		}
		w.line("unmatched: %s", p.Unmatched)
		w.field("dead_letter", orOff(p.DeadLetter))
		w.line("on_error: %s", p.OnError)
		if p.RateLimit > 0 {
			w.line("rate_limit: %s", yamlconf.FormatRate(handlers.Rate(p.RateLimit)))
		}
	})
}

func (w *planWriter) source(p *plan.Pipeline) {
	s := p.Source
	what := strings.Join(s.Topics, ", ")
	if s.Pattern != nil {
		what = "pattern " + s.Pattern.String()
	}
	w.line("source: %s as group %s, %s", what, s.Group, p.Format)
	w.in(func() {
		w.field("instance", s.Instance)
		w.line("start: %s", startText(s.Start))
		w.line("fetch: %s to %s within %s, records up to %s", yamlconf.FormatSize(int64(s.FetchMin)), yamlconf.FormatSize(int64(s.FetchMax)),
			yamlconf.FormatDuration(s.FetchWait), yamlconf.FormatSize(s.MaxRecordBytes))
		outOfRange := "stop"
		if s.ResetOutOfRange {
			outOfRange = "earliest"
		}
		w.line("on_out_of_range: %s", outOfRange)
		w.line("session_timeout: %s, commit_interval: %s", yamlconf.FormatDuration(s.SessionTimeout), yamlconf.FormatDuration(s.CommitInterval))
		w.line("lanes: %d, order: %s", s.Lanes, s.Order)
	})
}

func startText(s kafka.Start) string {
	switch s.Kind {
	case kafka.StartTime:
		return s.Time.UTC().Format(time.RFC3339Nano)
	case kafka.StartOffsets:
		parts := make([]string, 0, len(s.Offsets))
		for _, partition := range slices.Sorted(maps.Keys(s.Offsets)) {
			parts = append(parts, fmt.Sprintf("%d: %d", partition, s.Offsets[partition]))
		}
		return "offsets {" + strings.Join(parts, ", ") + "}"
	default:
		return string(s.Kind)
	}
}

func (w *planWriter) guard(g *plan.Idempotency) {
	if g == nil {
		return
	}
	w.line("idempotency: %s", oneLineText(g.Key.Source()))
	w.in(func() {
		w.expression("digest", g.Digest)
		w.line("ttl: %s, lease: %s, generation: %d", yamlconf.FormatDuration(g.TTL), yamlconf.FormatDuration(g.Lease), g.Generation)
		w.line("on_conflict: %s, on_store_error: %s, on_uncertain: %s", g.OnConflict, g.OnStoreError, g.OnUncertain)
	})
}

func (w *planWriter) transform(t *plan.Transform) {
	if t == nil {
		return
	}
	w.line("transform:")
	w.in(func() {
		w.expression("key", t.Key)
		for _, h := range t.Headers {
			w.expression("header "+h.Name, h.Value)
		}
		if t.Payload != nil {
			w.line("payload: %s", payloadText(t.Payload))
		}
	})
}

func payloadText(p *plan.Payload) string {
	var parts []string
	switch {
	case p.Leaf != nil:
		return oneLineText(p.Leaf.Source())
	case p.Items != nil:
		for _, item := range p.Items {
			parts = append(parts, payloadText(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		for _, f := range p.Fields {
			parts = append(parts, f.Name+": "+payloadText(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
}

func (w *planWriter) route(i int, r plan.Route) {
	w.line("route %d:", i+1)
	w.in(func() {
		w.expression("when", r.When)
		for _, s := range r.Sinks {
			w.line("sink %s (%s)", s.Name, s.Kind)
			w.in(func() {
				w.expression("when", s.When)
				w.settings(s.Config)
				w.line("retry: attempts %d, waits %s to %s", s.Retry.Attempts, yamlconf.FormatDuration(s.Retry.Initial), yamlconf.FormatDuration(s.Retry.Max))
			})
		}
	})
}

// settings writes the written fields of a sink's config struct.
func (w *planWriter) settings(config any) {
	yamlconf.Each(config, func(name string, field reflect.Value, secret bool) {
		switch {
		case field.IsZero():
		case secret:
			w.field(name, redacted)
		default:
			w.field(name, settingText(field))
		}
	})
}

func settingText(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case handlers.Template:
		return shownTemplate(yamlconf.ShownURL(value.Source))
	case handlers.Expression:
		return oneLineText(value.Source)
	case time.Duration:
		return yamlconf.FormatDuration(value)
	case handlers.Size:
		return yamlconf.FormatSize(int64(value))
	}
	switch v.Kind() {
	case reflect.Map:
		var parts []string
		for _, key := range v.MapKeys() {
			item := v.MapIndex(key)
			if t, ok := item.Interface().(handlers.Template); ok {
				parts = append(parts, fmt.Sprint(key)+": "+shownTemplate(yamlconf.ShownAt("query", fmt.Sprint(key), t.Source)))
				continue
			}
			parts = append(parts, fmt.Sprint(key)+": "+settingText(item))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, settingText(v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Struct:
		text, err := json.Marshal(v.Interface())
		if err != nil {
			return "{…}"
		}
		return string(text)
	}
	return oneLineText(fmt.Sprint(v.Interface()))
}

// shownTemplate is a template's source in one line.
func shownTemplate(source string) string {
	return oneLineText(strings.ReplaceAll(source, yamlconf.Redacted, secrets.Redacted))
}

func oneLineText(text string) string { return strings.Join(strings.Fields(text), " ") }

func orOff(topic string) string {
	if topic == "" {
		return "off"
	}
	return topic
}

func relative(p *plan.Plan, name string) string {
	if rel, err := filepath.Rel(p.Dir, name); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return name
}
