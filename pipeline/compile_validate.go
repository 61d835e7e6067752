package pipeline

import (
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
)

// Validate is Load for the sake of the problems. Beside what Load takes, files
// may be Markdown (*.md): each of its YAML blocks that is a configuration is
// checked on its own, as isConfiguration tells. Results are those of what has no
// errors: one of the YAML files together, and one of each block.
func Validate(files []string, o LoadOptions, registry handlers.Registry) ([]*Result, diag.Problems) {
	c := validate(files, o, registry)
	return c.results, c.problems
}

// checked is what a validation found, and the files as far as they are YAML.
type checked struct {
	results  []*Result
	problems diag.Problems
	files    []*File
}

func validate(files []string, o LoadOptions, registry handlers.Registry) checked {
	var all checked
	add := func(result *Result, more diag.Problems) {
		if result != nil {
			all.results = append(all.results, result)
		}
		all.problems = append(all.problems, more...)
	}
	together := slices.DeleteFunc(slices.Clone(files), isMarkdown)
	if len(together) > 0 {
		config, found := Read(together, o, registry)
		if config != nil {
			all.files = append(all.files, config.Files...)
		}
		add(compileRead(config, found, registry))
	}
	for _, name := range files {
		if !isMarkdown(name) {
			continue
		}
		readMarkdown(name, o, registry, func(config *Config, found diag.Problems) {
			if config != nil {
				all.files = append(all.files, config.Files...)
			}
			add(compileRead(config, found, registry))
		})
	}
	all.problems.Sort()
	return all
}
