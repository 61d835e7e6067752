package cmd

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/expression"
)

// where is the condition of --where, and how it fared. A record for which it
// fails, such as one that is no JSON where the condition uses the payload, is not
// kept, and counted: a condition that fails for all of them was not asked of any.
type where struct {
	app  *app
	test func(*handlers.Record) (bool, error)

	seen, kept, failed int
	// first is the first failure, with the record's place.
	first error
}

func (a *app) where(source string) (*where, error) {
	w := &where{app: a, test: func(*handlers.Record) (bool, error) { return true, nil }}
	if source == "" {
		return w, nil
	}
	env, err := a.environment()
	if err != nil {
		return nil, err
	}
	scope := expression.NewScope(expression.Options{Format: expression.FormatJSON, Limits: a.limits(),
		Constants: expression.Constants{Env: env}})
	condition, findings := scope.Condition(source)
	for _, f := range findings {
		if !f.Warning {
			message := fmt.Sprintf("--where: at character %d: %s", f.Offset+1, f.Message)
			if f.Hint != "" {
				message += " (" + f.Hint + ")"
			}
			return nil, usageError{errors.New(message)}
		}
	}
	in := scope.NewInput()
	w.test = func(r *handlers.Record) (bool, error) {
		// Of a value that is no JSON all but the payload can be asked for.
		_ = in.Load(r)
		return condition.Bool(in)
	}
	return w, nil
}

// limits are what an expression may cost by the configuration, or by default where
// there is none that can be read.
func (a *app) limits() expression.Limits {
	if options, err := a.loadOptions(); err == nil && a.hasConfig() {
		if part := compile.LoadPart(a.configFiles(), options, a.registry, only("limits")); part.Plan != nil {
			return part.Plan.Limits
		}
	}
	return expression.DefaultLimits()
}

// holds tells whether a record is kept.
func (w *where) holds(r *handlers.Record) bool {
	ok, err := w.test(r)
	w.seen++
	switch {
	case err != nil:
		if w.failed++; w.first == nil {
			w.first = fmt.Errorf("%s: %w", r.Coordinates(), err)
		}
	case ok:
		w.kept++
	}
	return ok && err == nil
}

// failure is an error where the condition failed for every record that it was
// asked of; a few are only told.
func (w *where) failure() error {
	if w.failed == 0 {
		return nil
	}
	text := fmt.Sprintf("--where failed for %d of %s, first: %v", w.failed, count(w.seen, "record"), w.first)
	if w.failed == w.seen {
		return errors.New(text)
	}
	if !w.app.quiet {
		fmt.Fprintln(w.app.err, text)
	}
	return nil
}
