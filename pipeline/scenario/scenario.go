package scenario

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
)

// Options say which tests are run.
type Options struct {
	// Files and Load are those of compile.Load.
	Files    []string
	Load     config.Options
	Registry handlers.Registry
	// Run chooses tests by their names; nil is all.
	Run *regexp.Regexp
}

// Report is how the tests of a configuration went.
type Report struct {
	// Problems are those of the configuration, in which the variables of each
	// test count. Where there are errors no test is run.
	Problems diag.Problems
	// Results are those of the tests that were run, in the order of the files.
	Results []Result
	// Tests is how many tests there are, run or not.
	Tests int
	// Inputs are the files and folders on which the results depend.
	Inputs []string
}

// Result is how one test went.
type Result struct {
	Name, Pipeline string
	// Place is where the test stands.
	Place diag.Place
	// Failures are what is not as expected; none means that the test passed.
	Failures []Failure
	// Told is all that happened, in order.
	Told []Told
	// Took is how long it took, by the machine's clock.
	Took time.Duration
}

// Passed tells whether everything was as expected.
func (r *Result) Passed() bool { return len(r.Failures) == 0 }

// Failed counts the tests that did not pass.
func (r *Report) Failed() int {
	n := 0
	for i := range r.Results {
		if !r.Results[i].Passed() {
			n++
		}
	}
	return n
}

// Run loads a configuration and runs its tests, one after the other. It touches
// no network and writes no file. The error is one of running at all, never a
// test's.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Load.Env == nil {
		o.Load.Env = os.LookupEnv
	}
	if slices.Contains(o.Files, "-") && o.Load.Stdin != nil {
		text, err := io.ReadAll(o.Load.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read the standard input: %w", err)
		}
		return run(ctx, o, func() io.Reader { return bytes.NewReader(text) })
	}
	return run(ctx, o, func() io.Reader { return nil })
}

func run(ctx context.Context, o Options, stdin func() io.Reader) (*Report, error) {
	l := &loader{options: o, stdin: stdin, plans: map[string]*plan.Plan{}, report: &Report{Inputs: slices.Clone(o.Files)}}
	envs := l.environments()
	l.report.Tests = len(envs)
	if len(envs) == 0 {
		l.plan(nil)
	}
	for _, env := range envs {
		l.plan(env)
	}
	l.report.Problems.Sort()
	if l.report.Problems.HasErrors() {
		return l.report, nil
	}
	for i, env := range envs {
		plan := l.plan(env)
		if test := plan.Tests[i]; o.Run == nil || o.Run.MatchString(test.Name) {
			l.report.Results = append(l.report.Results, runTest(ctx, plan, test, o.Load.SkipEnv))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return l.report, nil
}

// runTest runs one test.
func runTest(ctx context.Context, plan *plan.Plan, test *plan.Test, unknown bool) Result {
	began := time.Now()
	r := Result{Name: test.Name, Pipeline: test.Pipeline.Name, Place: test.Place(test.Path)}
	in, err := rehearse(ctx, plan, test, unknown)
	if err != nil {
		r.Failures = append(r.Failures, Failure{Place: r.Place, Path: test.Path, Message: "the test could not be run: " + err.Error()})
	}
	if in != nil {
		r.Failures = append(r.Failures, in.judge()...)
		r.Told = in.told
	}
	for i := range r.Failures {
		f := &r.Failures[i]
		f.Message, f.Want, f.Got, f.Hint = plan.Redactor.Shown(f.Message), plan.Redactor.Shown(f.Want), plan.Redactor.Shown(f.Got), plan.Redactor.Shown(f.Hint)
	}
	for i := range r.Told {
		r.Told[i].Text = plan.Redactor.Shown(r.Told[i].Text)
	}
	r.Took = time.Since(began)
	return r
}

// loader loads the configuration once for each set of variables that tests ask
// for.
type loader struct {
	options Options
	stdin   func() io.Reader
	plans   map[string]*plan.Plan
	report  *Report
}

// environments are the variables of each test, in the order of the files. What
// is wrong with the files is found by plan.
func (l *loader) environments() []config.Env {
	options := l.options.Load
	options.Stdin, options.SkipEnv = l.stdin(), true
	conf, _ := config.Read(l.options.Files, options, l.options.Registry)
	if conf == nil {
		return nil
	}
	var envs []config.Env
	for _, f := range conf.Files {
		for _, t := range f.Blocks.Tests {
			envs = append(envs, t.Env)
		}
	}
	return envs
}

// plan is the configuration with some variables set, nil where it has errors.
func (l *loader) plan(env config.Env) *plan.Plan {
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if value := env[name]; value != nil {
			fmt.Fprintf(&key, "%q=%q ", name, *value)
		} else {
			fmt.Fprintf(&key, "%q unset ", name)
		}
	}
	if plan, ok := l.plans[key.String()]; ok {
		return plan
	}
	options := l.options.Load
	options.Stdin = l.stdin()
	outer := options.Env
	options.Env = func(name string) (string, bool) {
		if value, ok := env[name]; ok && value != nil {
			return *value, true
		} else if ok {
			return "", false
		}
		return outer(name)
	}
	plan, problems := compile.Load(l.options.Files, options, l.options.Registry)
	l.plans[key.String()] = plan
	for _, p := range problems {
		if !slices.ContainsFunc(l.report.Problems, func(other diag.Problem) bool { return other.Error() == p.Error() }) {
			l.report.Problems.Add(p)
		}
	}
	if plan != nil {
		l.inputs(plan)
	}
	return plan
}

// inputs notes the files that a plan was made of.
func (l *loader) inputs(plan *plan.Plan) {
	add := func(name string) {
		if name != "" && name != "<stdin>" && !slices.Contains(l.report.Inputs, name) {
			l.report.Inputs = append(l.report.Inputs, name)
		}
	}
	for _, f := range plan.Files {
		add(f)
	}
	for _, t := range plan.Topics {
		add(t.Schema)
	}
}
