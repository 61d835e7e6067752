package decide

import "github.com/millrace/millrace/handlers"

// Defer reads the record again when it is first asked: its decider has gone on to
// other records by then.
func (v *view) Defer() handlers.View {
	return &deferredView{view: view{plan: v.plan, rec: v.rec, source: v.source, json: v.json}}
}

// deferredView is a view that outlives its decider.
type deferredView struct{ view }

// loaded is the view, ready to be read.
func (v *deferredView) loaded() *view {
	if v.in == nil {
		in := v.plan.Scope.NewInput()
		v.in = in
		_ = in.Load(v.source) // both could be read before
		if v.plan.Transform != nil {
			v.in = v.plan.Result.NewInput()
			v.in.Follow(in)
			_ = v.in.Load(v.rec)
		}
	}
	return &v.view
}

// Text is View.Text.
func (v *deferredView) Text(t handlers.Template) (string, error) { return v.loaded().Text(t) }

// Parts is View.Parts.
func (v *deferredView) Parts(t handlers.Template) ([]string, []any, error) {
	return v.loaded().Parts(t)
}

// Value is View.Value.
func (v *deferredView) Value(e handlers.Expression) (any, error) { return v.loaded().Value(e) }
