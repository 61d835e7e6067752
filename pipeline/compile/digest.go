package compile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// used are the variables and files that a pipeline's expressions hold, by what they are
// named, with their values.
type used map[string]string

// constants are those of a file, noted where they are used.
func (u used) constants(of expression.Constants) expression.Constants {
	noted := of
	noted.Env = func(name string) (string, bool) {
		text, ok := of.Env(name)
		if ok {
			u["env "+name] = text
		}
		return text, ok
	}
	noted.File = func(name string) (string, error) {
		text, err := of.File(name)
		if err == nil {
			u["file "+name] = text
		}
		return text, err
	}
	return noted
}

// digests gives each pipeline its digest. The configuration has no errors.
func (c *compiler) digests() {
	for _, o := range c.definitions {
		for i := range o.File.Blocks.Pipelines {
			if p := &o.File.Blocks.Pipelines[i]; p.Path == o.Path {
				o.Plan.Digest = c.digest(o.File, o.Path, &p.Value, o.Plan.Source.Topics, c.used[o.Plan])
			}
		}
	}
}

// digest is of everything that the pipeline at path is compiled from: its block as it was
// decoded, the blocks that it has defaults of, what its topics are known to hold, and the
// variables and files in its expressions. Layout, comments and other pipelines are not.
func (c *compiler) digest(f *config.File, path diag.Path, p *config.Pipeline, topics []string, u used) plan.Digest {
	sum := sha256.New()
	add := func(parts ...[]byte) {
		for _, part := range parts {
			sum.Write(binary.AppendUvarint(nil, uint64(len(part))))
			sum.Write(part)
		}
	}
	encoder := &yamlconf.Encoder{Source: f.Source, Dir: f.Dir, Whole: true}
	for _, block := range []*yaml.Node{encoder.Encode(p, path), encoder.Encode(&c.storeDefaults, "idempotency")} {
		text, err := yaml.Marshal(block)
		if err != nil {
			text = []byte(err.Error()) // what was decoded can be written
		}
		add(text)
	}
	shared, err := json.Marshal(struct {
		Drain  any
		Limits any
	}{c.plan.Drain, c.plan.Limits})
	add(shared, errorBytes(err))
	for _, topic := range topics {
		add([]byte(topic))
		for _, t := range c.plan.Topics {
			if t.Name == topic {
				add(binary.AppendVarint(nil, int64(t.Partitions)))
			}
		}
		if d := c.topicDocument(topic); d != nil {
			text, err := d.Content()
			add(text, errorBytes(err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u)) {
		add([]byte(name), []byte(u[name]))
	}
	return plan.NewDigest([sha256.Size]byte(sum.Sum(nil)))
}

func errorBytes(err error) []byte {
	if err == nil {
		return nil
	}
	return []byte(err.Error())
}
