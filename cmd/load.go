package cmd

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/files"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// load reads and compiles the configuration. Problems are shown on standard
// error; errInvalid tells that some of them are errors.
func (a *app) load() (*plan.Plan, error) {
	plan, problems, err := a.compile(false)
	if err != nil {
		return nil, err
	}
	if err := diag.Write(painted(a.err), diag.FormatText, problems, colour(a.err)); err != nil {
		return nil, err
	}
	if !a.hasConfig() {
		fmt.Fprintf(a.err, "hint: `millrace init` makes a first %s; -f names one that lies elsewhere\n",
			a.configFiles()[0])
	}
	if problems.HasErrors() {
		return nil, errInvalid
	}
	return plan, nil
}

// compile reads and compiles the configuration with the environment of the
// process and of --env-file.
func (a *app) compile(skipEnv bool) (*plan.Plan, diag.Problems, error) {
	options, err := a.loadOptions()
	if err != nil {
		return nil, nil, err
	}
	options.SkipEnv = skipEnv
	plan, problems := compile.Load(a.configFiles(), options, a.registry)
	if plan != nil {
		a.redactor = plan.Redactor
	}
	return plan, problems, nil
}

// loadOptions are the environment, and the texts of what can be read only once:
// standard input, and pipes such as those of <(…).
func (a *app) loadOptions() (config.Options, error) {
	env, err := a.environment()
	if err != nil {
		return config.Options{}, err
	}
	for _, name := range a.configFiles() {
		if _, done := a.texts[name]; done || name != "-" && !isPipe(name) {
			continue
		}
		in := io.NopCloser(a.in)
		if name != "-" {
			if in, err = files.OpenGiven(name); err != nil {
				return config.Options{}, err
			}
		}
		text, err := io.ReadAll(io.LimitReader(in, yamlconf.MaxBytes+2))
		if err := errors.Join(err, in.Close()); err != nil {
			return config.Options{}, fmt.Errorf("read %s: %w", name, err)
		}
		if a.texts == nil {
			a.texts = map[string][]byte{}
		}
		a.texts[name] = text
	}
	return config.Options{Env: env, EnvNames: a.envNames, Texts: a.texts}, nil
}

// isPipe tells whether a file gives its text only once, and lies in no folder
// that is meant.
func isPipe(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.IsDir() && !info.Mode().IsRegular()
}

// environment is how `env.NAME` is read: the process's own variables, then those
// of --env-file.
func (a *app) environment() (func(string) (string, bool), error) {
	a.envNames = nil
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		a.envNames = append(a.envNames, name)
	}
	if a.envFile == "" {
		return os.LookupEnv, nil
	}
	text, err := files.ReadGiven(a.envFile, files.MaxBytes)
	if err != nil {
		return nil, usageError{fmt.Errorf("--env-file: %w", err)}
	}
	vars, err := envVars(a.envFile, string(text))
	if err != nil {
		return nil, usageError{err}
	}
	a.envNames = slices.AppendSeq(a.envNames, maps.Keys(vars))
	return func(name string) (string, bool) {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
		v, ok := vars[name]
		return v, ok
	}, nil
}

// envVars reads lines of NAME=value. All that is wrong is told at once.
func envVars(file, text string) (map[string]string, error) {
	vars := map[string]string{}
	var wrong []error
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		switch name = strings.TrimSpace(name); {
		case !ok:
			wrong = append(wrong, fmt.Errorf("%s:%d: a line is NAME=value, and this one has no =", file, n))
		case !variableName.MatchString(name):
			wrong = append(wrong, fmt.Errorf("%s:%d: %q is no name of a variable", file, n, name))
		default:
			vars[name] = unquote(strings.TrimSpace(value))
		}
	}
	return vars, errors.Join(wrong...)
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// unquote takes one pair of quotes off, as shells and container tools do.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
