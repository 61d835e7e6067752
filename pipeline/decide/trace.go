package decide

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Step is one thing that was evaluated on the way to a decision, for a person
// to read.
type Step struct {
	Stage outcome.Stage
	// Sink is the name of the sink that it belongs to, empty for the pipeline's
	// own.
	Sink string
	// Where is the field of the configuration, within the pipeline or the sink.
	Where string
	// Source is the text of the expression or template, empty where the step is
	// neither.
	Source string
	// Reads are the parts of the record that it uses.
	Reads []expression.Read
	// Value is what came of it: a bool for a condition, a string for a template,
	// a json.RawMessage for a leaf of a transform, a sink's request for a
	// rendering; nil where it failed.
	Value any
	// Secret tells that Value holds what no output may show.
	Secret bool
	Err    error
}

// Trace is Decide, and tells each step. It costs more than Decide.
func (d *Decider) Trace(rec *handlers.Record) (Decision, []Step) {
	d.trace = &trace{}
	defer func() { d.trace, d.view.trace = nil, nil }()
	dec := d.Decide(rec)
	return dec, d.trace.steps
}

// FilterReads are the parts of the record that was decided last which the filter
// uses; none where there is no filter.
func (d *Decider) FilterReads() []expression.Read {
	if d.plan.Filter == nil {
		return nil
	}
	return d.plan.Filter.Reads(d.in)
}

// Absent lists the parts of the payload that the configuration uses and that the
// record decided last has no value at: of the source's payload, and of the
// transformed one where it came to be.
func (d *Decider) Absent() (source, transformed []string) {
	source = d.in.Absent()
	if d.out != d.in && d.made {
		transformed = d.out.Absent()
	}
	return source, transformed
}

// trace collects the steps of one decision.
type trace struct{ steps []Step }

func (t *trace) add(s Step) {
	if s.Err != nil {
		s.Value = nil
	}
	for i := range s.Reads {
		s.Reads[i].Value = shown(s.Reads[i])
	}
	t.steps = append(t.steps, s)
}

// shown is what people may see of a part of a record: no value of a header whose name
// tells that it is secret.
func shown(r expression.Read) any {
	name := strings.TrimPrefix(r.Name, "source.")
	header, ok := strings.CutPrefix(name, "headers")
	switch all, isMap := r.Value.(map[string]any); {
	case !ok || r.Value == nil:
		return r.Value
	case header == "" && isMap:
		all = maps.Clone(all)
		for name := range all {
			if handlers.SecretName(name) {
				all[name] = handlers.Redacted
			}
		}
		return all
	case handlers.SecretName(strings.Trim(header, `.?[]"'`)):
		return handlers.Redacted
	}
	return r.Value
}

func (t *trace) decoded(format expression.Format, err error) {
	t.add(Step{Stage: outcome.StageDecode, Where: "source.format", Value: string(format), Err: err})
}

func (t *trace) condition(stage outcome.Stage, sink, where string, e *expression.Expression, in *expression.Input,
	value bool, err error) {
	t.add(Step{Stage: stage, Sink: sink, Where: where, Source: e.Source(), Reads: e.Reads(in), Value: value, Err: err})
}

func (t *trace) template(stage outcome.Stage, sink, where string, e *expression.Template, in *expression.Input,
	value string, err error) {
	t.add(Step{Stage: stage, Sink: sink, Where: where, Source: e.Source(), Reads: e.Reads(in), Value: value,
		Secret: e.Secret(), Err: err})
}

func (t *trace) leaf(stage outcome.Stage, where string, e *expression.Expression, in *expression.Input, value []byte,
	err error) {
	t.add(Step{Stage: stage, Where: where, Source: e.Source(), Reads: e.Reads(in), Value: json.RawMessage(value),
		Secret: e.Secret(), Err: err})
}

// bytes is a transform's key or header, nil where it is null.
func (t *trace) bytes(where, source string, e *expression.Expression, in *expression.Input, value []byte, err error) {
	s := Step{Stage: outcome.StageTransform, Where: where, Source: source, Reads: e.Reads(in), Secret: e.Secret(),
		Err: err}
	if value != nil {
		s.Value = string(value)
	}
	t.add(s)
}

// hide tells that what the last step made is secret by its name.
func (t *trace) hide(secret bool) {
	last := &t.steps[len(t.steps)-1]
	last.Secret = last.Secret || secret
}

// payload tells the leaves of a transform's tree. They are evaluated again, each
// by itself, so that the ones behind a failure are seen too.
func (t *trace) payload(where string, node *plan.Payload, in *expression.Input) {
	if node.Leaf != nil {
		in.Aside(func() {
			value, err := node.Leaf.AppendJSON(nil, in)
			t.leaf(outcome.StageTransform, where, node.Leaf, in, value, err)
		})
		return
	}
	for i, item := range node.Items {
		t.payload(fmt.Sprintf("%s[%d]", where, i), item, in)
	}
	for _, field := range node.Fields {
		t.payload(string(diag.Path(where).Field(field.Name)), field.Value, in)
	}
}

// render is what notes the evaluations of a sink.
func (t *trace) render(s *plan.Sink) *renderTrace {
	return &renderTrace{trace: t, sink: s.Name, fields: s.Fields}
}

func (t *trace) rendered(sink string, request any, err error) {
	t.add(Step{Stage: outcome.StageRender, Sink: sink, Where: "request", Value: request, Err: err})
}

// renderTrace collects what a sink evaluates while it renders.
type renderTrace struct {
	trace  *trace
	sink   string
	fields map[any]plan.SinkField // by their compiled programs
}

func (r *renderTrace) template(program *expression.Template, in *expression.Input, made any, err error) {
	if _, constant := program.Constant(); constant {
		return // nothing that a record decides
	}
	f := r.fields[program]
	if text, ok := made.(string); ok && f.URL {
		made = handlers.ShownQuery(text)
	}
	r.trace.add(Step{Stage: outcome.StageRender, Sink: r.sink, Where: f.Path, Source: f.Source,
		Reads: program.Reads(in), Value: made, Secret: f.Secret || program.Secret(), Err: err})
}

func (r *renderTrace) expression(program *expression.Expression, in *expression.Input, value any, err error) {
	r.trace.add(Step{Stage: outcome.StageRender, Sink: r.sink, Where: r.fields[program].Path, Source: program.Source(),
		Reads: program.Reads(in), Value: value, Secret: program.Secret(), Err: err})
}
