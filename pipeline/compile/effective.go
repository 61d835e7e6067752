package compile

import (
	"bytes"
	"encoding/json"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// effectiveHead begins what Effective.YAML writes.
const effectiveHead = "# The configuration as millrace understands it: files merged, defaults filled in,\n# secrets " +
	"left out.\n"

// Effective is a configuration as it is understood: several files merged into
// one, defaults filled in, variables put in where they are fixed at load, and
// secrets left out. It is a configuration itself, with the same plan.
type Effective struct {
	root *yaml.Node
	// Redacted tells that secrets that stand in the files were replaced by
	// ${env.REDACTED}: it can be validated as with config.Options.SkipEnv.
	Redacted bool
}

// LoadEffective loads files as Load does. The configuration is nil where they
// have errors.
func LoadEffective(files []string, o config.Options, registry handlers.Registry) (*Effective, diag.Problems) {
	config, problems := config.Read(files, o, registry)
	result, problems := compileRead(config, problems, registry)
	if result == nil {
		return nil, problems
	}
	m := &merger{plan: result.Plan, config: config, root: yamlconf.MapNode()}
	m.blocks()
	return &Effective{root: m.root, Redacted: redactedIn(m.root)}, problems
}

// Pipelines lists the names of the pipelines.
func (e *Effective) Pipelines() []string {
	var names []string
	if all := yamlconf.Get(e.root, "pipelines"); all != nil {
		for i := 0; i < len(all.Content); i += 2 {
			names = append(names, all.Content[i].Value)
		}
	}
	return names
}

// Only is the part of one pipeline; nil where there is none of that name.
func (e *Effective) Only(name string) *Effective {
	all := yamlconf.Get(e.root, "pipelines")
	if all == nil || yamlconf.Get(all, name) == nil {
		return nil
	}
	one, root := yamlconf.MapNode(), yamlconf.MapNode()
	yamlconf.Put(one, name, yamlconf.Get(all, name))
	yamlconf.Put(root, "version", yamlconf.Integer(1))
	yamlconf.Put(root, "pipelines", one)
	return &Effective{root: root, Redacted: redactedIn(root)}
}

// YAML is the configuration as a file.
func (e *Effective) YAML() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(effectiveHead)
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(e.root); err != nil {
		return nil, err
	}
	if err := encoder.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// JSON is the configuration as JSON, which is YAML too.
func (e *Effective) JSON() ([]byte, error) {
	text, err := yamlconf.AppendJSON(nil, e.root)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func redactedIn(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && yamlconf.IsRedacted(n.Value) ||
		slices.ContainsFunc(n.Content, redactedIn)
}
