// Package handlertest is what every sink must pass, and the means to test one
// without a pipeline around it.
package handlertest

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// View is a handlers.View over one record, for templates and expressions made
// by this package.
type View struct {
	// Of is the record.
	Of *handlers.Record
	// NotJSON tells that the record's value is not JSON by its format.
	NotJSON bool
}

// Record is the record.
func (v View) Record() *handlers.Record { return v.Of }

// JSON tells whether the record's value is JSON.
func (v View) JSON() bool { return !v.NotJSON }

// Defer is the same view.
func (v View) Defer() handlers.View { return v }

// Text renders a template that Constant or Template made.
func (v View) Text(t handlers.Template) (string, error) {
	render, ok := t.Program.(func(*handlers.Record) (string, error))
	switch {
	case ok:
		return render(v.Of)
	case t.Program == nil:
		return t.Source, nil
	default:
		return "", fmt.Errorf("template %q was not made by handlertest", t.Source)
	}
}

// Parts takes a template that this package made apart: one of Statement into its
// values, one of Template into its prefix and the rest.
func (v View) Parts(t handlers.Template) ([]string, []any, error) {
	if s, ok := t.Program.(statement); ok {
		values := make([]any, len(s.values))
		for i, value := range s.values {
			var err error
			if values[i], err = value(v.Of); err != nil {
				return nil, nil, err
			}
		}
		return s.literals, values, nil
	}
	text, err := v.Text(t)
	if err != nil || t.Constant || t.Program == nil {
		return []string{text}, nil, err
	}
	return []string{t.Prefix, ""}, []any{strings.TrimPrefix(text, t.Prefix)}, nil
}

// Value evaluates an expression that Expression made.
func (v View) Value(e handlers.Expression) (any, error) {
	eval, ok := e.Program.(func(*handlers.Record) (any, error))
	switch {
	case ok:
		return eval(v.Of)
	case e.IsZero():
		return nil, nil
	default:
		return nil, fmt.Errorf("expression %q was not made by handlertest", e.Source)
	}
}

// Constant is a template that is the same for every record.
func Constant(text string) handlers.Template {
	return handlers.Template{Source: text, Constant: true, Prefix: text, Sample: text}
}

// Template is a template that begins with the constant text prefix, and whose
// whole text is what render makes of the record.
func Template(prefix string, render func(*handlers.Record) (string, error)) handlers.Template {
	return handlers.Template{Source: prefix + "${…}", Prefix: prefix, Sample: prefix + "x", Program: render}
}

// statement is the program of a bound template.
type statement struct {
	literals []string
	values   []func(*handlers.Record) (any, error)
}

// Statement is the template of a field with `place:"bound"`: literals are the texts
// between its parts, one more than there are of these, and values evaluate them.
func Statement(literals []string, values ...func(*handlers.Record) (any, error)) handlers.Template {
	return handlers.Template{
		Source: strings.Join(literals, "${…}"), Sample: strings.Join(literals, "x"), Prefix: literals[0],
		Program: statement{literals, values},
	}
}

// Key is the template `prefix${key}`; it fails on a record without a key, as a
// null part does.
func Key(prefix string) handlers.Template {
	return Template(prefix, func(r *handlers.Record) (string, error) {
		if r.Key == nil {
			return "", fmt.Errorf("key is null")
		}
		return prefix + string(r.Key), nil
	})
}
