package decide

import (
	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/plan"
)

// view is one record as its sinks see it.
type view struct {
	in   *expression.Input
	plan *plan.Pipeline
	rec  *handlers.Record
	// source is the record as it was read.
	source *handlers.Record
	json   bool
	// fields are the sink's, by their compiled programs.
	fields map[any]plan.SinkField
	// trace is nil but in Trace.
	trace *renderTrace
}

func (v *view) Record() *handlers.Record { return v.rec }

func (v *view) JSON() bool { return v.json }

func (v *view) Text(t handlers.Template) (string, error) {
	program, ok := t.Program.(*expression.Template)
	if !ok {
		return t.Source, nil
	}
	text, err := program.Text(v.in)
	if err == nil && !t.Constant && program.Place() == expression.PlaceTopic {
		err = v.plan.MayWrite(text)
	}
	err = v.withheld(program, err)
	if v.trace != nil {
		v.trace.template(program, v.in, text, err)
	}
	return text, err
}

func (v *view) Parts(t handlers.Template) ([]string, []any, error) {
	program, ok := t.Program.(*expression.Template)
	if !ok {
		return []string{t.Source}, nil, nil
	}
	literals, values, err := program.Parts(v.in)
	err = v.withheld(program, err)
	if v.trace != nil {
		v.trace.template(program, v.in, values, err)
	}
	return literals, values, err
}

// withheld is an error without what it quotes of a template that makes a secret.
func (v *view) withheld(program *expression.Template, err error) error {
	if err != nil && v.fields[program].Secret {
		return expression.Withheld(err)
	}
	return err
}

func (v *view) Value(e handlers.Expression) (any, error) {
	program, ok := e.Program.(*expression.Expression)
	if !ok {
		return nil, nil
	}
	value, err := program.Value(v.in)
	if v.trace != nil {
		v.trace.expression(program, v.in, value, err)
	}
	return value, err
}
