package compile

import (
	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
)

// Load reads, decodes and compiles a configuration. Each of files is a file, a
// folder, of which all *.yaml and *.yml files are taken, or `-` for standard
// input. All problems are reported at once, sorted by place; the plan is nil
// where any of them is an error. There is no network access.
func Load(files []string, o config.Options, registry handlers.Registry) (*plan.Plan, diag.Problems) {
	config, problems := config.Read(files, o, registry)
	result, problems := compileRead(config, problems, registry)
	return result.plan(), problems
}

// compileRead compiles what Read returned.
func compileRead(config *config.Config, problems diag.Problems, registry handlers.Registry) (*Result, diag.Problems) {
	if config == nil {
		return nil, problems
	}
	result, more := Compile(config, registry)
	problems = append(problems, more...)
	result.Plan.Redactor.Problems(problems)
	nearestVariables(problems, config.EnvNames)
	problems.Sort()
	if problems.HasErrors() {
		return nil, problems
	}
	return result, problems
}

// plan is nil where nothing was compiled.
func (r *Result) plan() *plan.Plan {
	if r == nil {
		return nil
	}
	return r.Plan
}
