package compile

import (
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/secrets"
)

// Compile makes the plan of a decoded configuration and reports all that is
// wrong with what it means. Parts that Read found broken are left out, so that
// one mistake is one problem. The plan can be used only if neither Read nor
// Compile found an error. Compile has no effects, and reads nothing but the files
// that expressions name with file(...).
func Compile(config *config.Config, registry handlers.Registry) (*Result, diag.Problems) {
	c := &compiler{config: config, registry: registry, used: map[*plan.Pipeline]used{},
		plan: &plan.Plan{Digest: config.Digest}}
	for _, f := range config.Files {
		c.plan.Files = append(c.plan.Files, f.Name)
	}
	c.plan.Dir = config.Files[0].Dir
	c.kafka()
	c.store()
	c.topics()
	c.server()
	c.pipelines()
	c.ingest()
	c.together()
	c.tests()
	c.plan.Redactor = secrets.New(config.Secrets(), config.SkipEnv)
	for _, p := range c.plan.Pipelines {
		p.Redactor = c.plan.Redactor
	}
	c.problems.Sort()
	if !config.Problems.HasErrors() && !c.problems.HasErrors() {
		c.digests()
	}
	return c.result(), c.problems
}

func (c *compiler) result() *Result {
	return &Result{Plan: c.plan, Config: c.config, Definitions: c.definitions}
}

// Result is a configuration that was compiled, with the places of its pipelines: who
// finds something wrong later reports it there.
type Result struct {
	Plan   *plan.Plan
	Config *config.Config
	// Definitions are in the order of the plan's pipelines.
	Definitions []Definition
}

// Definition is where a pipeline of a plan stands in the files.
type Definition struct {
	File *config.File
	Path diag.Path
	Plan *plan.Pipeline
}

type compiler struct {
	config   *config.Config
	registry handlers.Registry
	plan     *plan.Plan
	problems diag.Problems
	// storeDefaults are the top-level `idempotency:` block.
	storeDefaults config.Store
	definitions   []Definition
	// used are what the expressions of each pipeline hold.
	used map[*plan.Pipeline]used
}

// with returns the file that has a block, nil where none has.
func (c *compiler) with(block diag.Path) *config.File {
	for _, f := range c.config.Files {
		if f.Source.Has(block) {
			return f
		}
	}
	return nil
}

// sound tells whether the value at path, and all below it, was decoded and is
// known.
func (c *compiler) sound(f *config.File, path diag.Path) bool {
	return !f.Unknown[path] && !c.config.Problems.Broken(f.Name, path) && !c.problems.Broken(f.Name, path)
}

// unclear tells whether what is missing from the map at path may just be written
// wrong: it is no map, or has keys that nobody knows.
func (c *compiler) unclear(f *config.File, path diag.Path) bool {
	return slices.ContainsFunc(c.config.Problems, func(p diag.Problem) bool {
		return p.Place.File == f.Name && (p.Path == path && p.Severity == diag.Error ||
			p.Path.Parent() == path && (p.Code == diag.CodeUnknownKey || p.Code == diag.CodeSyntax))
	})
}

func (c *compiler) add(p diag.Problem) { c.problems.Add(p) }

func (c *compiler) atKey(f *config.File, path diag.Path, code diag.Code, message, hint string) {
	c.add(diag.Problem{Path: path, Place: f.Source.Key(path), Code: code, Message: message, Hint: hint})
}

func (c *compiler) atValue(f *config.File, path diag.Path, code diag.Code, message, hint string) {
	c.add(diag.Problem{Path: path, Place: f.Source.Value(path), Code: code, Message: message, Hint: hint})
}

// warn adds a warning of a value.
func (c *compiler) warn(f *config.File, path diag.Path, code diag.Code, message, hint string) {
	c.add(diag.Problem{Path: path, Place: f.Source.Value(path), Severity: diag.Warning, Code: code, Message: message,
		Hint: hint})
}

// server takes `drain:`, `limits:` and `server:`.
func (c *compiler) server() {
	c.plan.Drain = 20 * time.Second
	if f := c.with("drain"); f != nil {
		c.plan.Drain = f.Blocks.Drain
	}
	c.plan.Limits = expression.DefaultLimits()
	if f := c.with("limits"); f != nil && f.Blocks.Limits != nil && c.sound(f, "limits") {
		c.plan.Limits = expression.Limits{Steps: f.Blocks.Limits.Steps, Bytes: int64(f.Blocks.Limits.Bytes)}
	}
	if f := c.with("server"); f != nil && f.Blocks.Server != nil {
		c.plan.Health = f.Blocks.Server.Health
		c.address(f, "server.health", c.plan.Health)
		c.plan.Hosts = f.Blocks.Server.Hosts
		c.hosts(f, "server.hosts", c.plan.Hosts)
		for _, block := range config.NotAvailable().ServerBlocks {
			if path := diag.Path("server").Field(block); f.Source.Has(path) {
				c.add(config.NotAvailableProblem(f.Source, path, true, string(path)+" is"))
			}
		}
	}
}

// topics takes the `topics:` blocks.
func (c *compiler) topics() {
	for _, f := range c.config.Files {
		for _, t := range f.Blocks.Topics {
			c.topicName(f, t.Path, t.Name, true)
			topic := plan.Topic{Name: t.Name, Partitions: t.Value.Partitions, Replication: t.Value.Replication,
				Retention: t.Value.Retention, Cleanup: t.Value.Cleanup, Schema: t.Value.Schema}
			if c.plan.Embedded != "" {
				topic.Replication = 1
				if topic.Partitions == 0 {
					topic.Partitions, topic.Assumed = plan.EmbeddedPartitions, true
				}
			}
			c.plan.Topics = append(c.plan.Topics, topic)
		}
	}
}

// pipelines takes the `pipelines:` blocks.
func (c *compiler) pipelines() {
	count := 0
	for _, f := range c.config.Files {
		for _, p := range f.Blocks.Pipelines {
			count++
			plan := c.pipeline(f, p.Path, p.Name, &p.Value)
			c.plan.Pipelines = append(c.plan.Pipelines, plan)
			c.definitions = append(c.definitions, Definition{f, p.Path, plan})
		}
	}
	if count > 0 || c.config.Fragment || c.with("ingest") != nil || c.config.Problems.HasErrors() {
		return
	}
	if f := c.config.Files[0]; c.with("pipelines") == nil {
		c.add(diag.Problem{Place: f.Source.At(0), Code: diag.CodeNothing,
			Message: "there are no pipelines: nothing would run",
			Hint:    "add a pipelines: block"})
	} else {
		c.atKey(c.with("pipelines"), "pipelines", diag.CodeNothing, "there are no pipelines: nothing would run", "")
	}
}
