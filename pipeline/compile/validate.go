package compile

import (
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

// Validate is Load for the sake of the problems. Beside what Load takes, files
// may be Markdown (*.md): each of its YAML blocks that is a configuration is
// checked on its own, as isConfiguration tells. Results are those of what has no
// errors: one of the YAML files together, and one of each block.
func Validate(files []string, o config.Options, registry handlers.Registry) ([]*Result, diag.Problems) {
	c := validate(files, o, registry)
	return c.results, c.problems
}

// checked is what a validation found, and the files as far as they are YAML.
type checked struct {
	results  []*Result
	problems diag.Problems
	files    []*config.File
}

func validate(files []string, o config.Options, registry handlers.Registry) checked {
	var all checked
	add := func(result *Result, more diag.Problems) {
		if result != nil {
			all.results = append(all.results, result)
		}
		all.problems = append(all.problems, more...)
	}
	together := slices.DeleteFunc(slices.Clone(files), config.IsMarkdown)
	if len(together) > 0 {
		config, found := config.Read(together, o, registry)
		if config != nil {
			all.files = append(all.files, config.Files...)
		}
		add(compileRead(config, found, registry))
	}
	for _, name := range files {
		if !config.IsMarkdown(name) {
			continue
		}
		config.ReadMarkdown(name, o, registry, func(config *config.Config, found diag.Problems) {
			if config != nil {
				all.files = append(all.files, config.Files...)
			}
			add(compileRead(config, found, registry))
		})
	}
	all.problems.Sort()
	return all
}
