package compile

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// merger writes the blocks of several files as one, with what the plan filled
// in. It changes the decoded blocks, which nothing else uses any more.
type merger struct {
	plan   *plan.Plan
	config *config.Config
	root   *yaml.Node
}

func (m *merger) blocks() {
	yamlconf.Put(m.root, "version", yamlconf.Integer(1))
	m.kafka()
	m.store()
	for _, f := range m.config.Files {
		m.fillTopics(f)
		m.put("topics", m.encoder(f).Encode(&f.Blocks.Topics, "topics"))
	}
	m.ingest()
	drain := m.with("drain")
	drain.Blocks.Drain = m.plan.Drain
	m.put("drain", m.encoder(drain).Encode(&drain.Blocks.Drain, "drain"))
	limits := m.with("limits")
	if limits.Blocks.Limits == nil {
		limits.Blocks.Limits = &config.Limits{Steps: m.plan.Limits.Steps, Bytes: handlers.Size(m.plan.Limits.Bytes)}
	}
	m.put("limits", m.encoder(limits).Encode(limits.Blocks.Limits, "limits"))
	if f := m.with("server"); f.Blocks.Server != nil {
		m.put("server", m.encoder(f).Encode(f.Blocks.Server, "server"))
	}
	for _, f := range m.config.Files {
		m.fillPipelines(f)
		m.put("pipelines", m.encoder(f).Encode(&f.Blocks.Pipelines, "pipelines"))
	}
	for _, f := range m.config.Files {
		m.put("tests", m.encoder(f).Raw("tests"))
	}
}

// put adds a block, or what a further file has of it.
func (m *merger) put(name string, block *yaml.Node) {
	if block == nil {
		return
	}
	if there := yamlconf.Get(m.root, name); there != nil {
		there.Content = append(there.Content, block.Content...)
		return
	}
	yamlconf.Put(m.root, name, block)
}

// with is the file that has a block, or one that has nothing.
func (m *merger) with(block diag.Path) *config.File {
	for _, f := range m.config.Files {
		if f.Source.Has(block) {
			return f
		}
	}
	f := &config.File{Source: diag.NewSource("", nil)}
	var defaults yamlconf.Decoder
	defaults.Defaults(&f.Blocks)
	return f
}

func (m *merger) encoder(f *config.File) *yamlconf.Encoder {
	return &yamlconf.Encoder{Source: f.Source, Dir: f.Dir, Secrets: f.Secrets, Unknown: f.Unknown}
}

func (m *merger) kafka() {
	f := m.with("kafka")
	block := f.Blocks.Kafka
	if block == nil {
		block = &config.Kafka{ClientID: m.plan.Kafka.ClientID, Compression: m.plan.Kafka.Compression}
	}
	if m.plan.Embedded != "" {
		block.Embedded = &config.Embedded{Listen: m.plan.Embedded}
	} else if !below(f, "kafka.brokers") {
		block.Brokers = m.plan.Kafka.Brokers
	}
	m.put("kafka", m.encoder(f).Encode(block, "kafka"))
}

// below tells whether something below path is secret or not known.
func below(f *config.File, path diag.Path) bool {
	for p := range f.Secrets {
		if p.Within(path) {
			return true
		}
	}
	for p := range f.Unknown {
		if p.Within(path) {
			return true
		}
	}
	return false
}

func (m *merger) store() {
	f := m.with("idempotency")
	block := f.Blocks.Idempotency
	if block == nil {
		block = new(config.Store)
		var defaults yamlconf.Decoder
		defaults.Defaults(block)
	}
	if block.Store == "" && m.plan.Store.Embedded {
		block.Store = storeEmbedded
	}
	m.put("idempotency", m.encoder(f).Encode(block, "idempotency"))
}

func (m *merger) fillTopics(f *config.File) {
	for i := range f.Blocks.Topics {
		t := &f.Blocks.Topics[i]
		j := slices.IndexFunc(m.plan.Topics, func(p plan.Topic) bool { return p.Name == t.Name })
		t.Value.Partitions, t.Value.Replication = m.plan.Topics[j].Partitions, m.plan.Topics[j].Replication
	}
}

// ingest puts the routes of all files behind the one address.
func (m *merger) ingest() {
	if m.plan.Ingest == nil {
		return
	}
	routes := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, f := range m.config.Files {
		if f.Blocks.Ingest == nil {
			continue
		}
		if own := m.encoder(f).Encode(&f.Blocks.Ingest.Routes, "ingest.routes"); own != nil {
			routes.Content = append(routes.Content, own.Content...)
		}
	}
	all := yamlconf.MapNode()
	for _, name := range []string{"listen", "hosts", "tls", "auth", "insecure", "headers", "max_record_bytes"} {
		f := m.with(diag.Path("ingest").Field(name))
		block := f.Blocks.Ingest
		if block == nil {
			block = new(config.Ingest)
			var defaults yamlconf.Decoder
			defaults.Defaults(block)
		}
		if written := yamlconf.Get(m.encoder(f).Encode(block, "ingest"), name); written != nil {
			yamlconf.Put(all, name, written)
		}
	}
	yamlconf.Put(all, "routes", routes)
	m.put("ingest", all)
}

// fillPipelines fills in what only compiling knows.
func (m *merger) fillPipelines(f *config.File) {
	for i := range f.Blocks.Pipelines {
		name, p := f.Blocks.Pipelines[i].Name, &f.Blocks.Pipelines[i].Value
		plan := m.plan.Pipelines[slices.IndexFunc(m.plan.Pipelines,
			func(p *plan.Pipeline) bool { return p.Name == name })]
		p.Source.Group, p.Source.Start.Start = plan.Source.Group, plan.Source.Start
		p.Concurrency.Lanes = plan.Source.Lanes
		p.DeadLetter.Topic = plan.DeadLetter
		if p.Idempotency != nil {
			p.Idempotency.TTL = plan.Idempotency.TTL
		}
		p.Retry = config.Retry(retryPlan(&p.Retry))
		m.fillSinks(p, plan)
	}
}

// fillSinks names sinks after their kinds, where that tells them apart, and
// fills in retries that are written.
func (m *merger) fillSinks(p *config.Pipeline, plan *plan.Pipeline) {
	all := pointers(p.Sinks)
	for i := range p.Routes {
		all = append(all, pointers(p.Routes[i].Sinks)...)
	}
	names := map[string]int{}
	for _, s := range plan.Sinks() {
		names[s.Name]++
	}
	for i, s := range plan.Sinks() {
		if names[s.Name] == 1 {
			all[i].Name = s.Name
		}
		if all[i].Retry != nil {
			*all[i].Retry = config.Retry(s.Retry)
		}
	}
}

func pointers(list []config.Sink) []*config.Sink {
	all := make([]*config.Sink, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return all
}
