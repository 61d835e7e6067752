package decide

import (
	"errors"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// named is a sink whose request is its name and the record's value.
type named struct {
	handlers.Sink
	name string
	err  error
}

func (n named) Render(v handlers.View) (any, error) {
	return n.name + ":" + string(v.Record().Value), n.err
}

func sinkOf(name string, err error) handlers.Sink { return named{name: name, err: err} }

// A decision for one sink asks neither the filter nor a condition, keeps the key of old,
// and says of every failure that it is that sink's.
func TestAlone(t *testing.T) {
	scope := expression.NewScope(expression.Options{Format: expression.FormatJSON})
	never, _ := scope.Condition("false")
	key, findings := scope.Template("order:${payload.id}", expression.PlaceKey)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	body, _ := scope.Expression("payload.id")
	made := &plan.Transform{Payload: &plan.Payload{Fields: []plan.Field{{Name: "order", Value: &plan.Payload{Leaf: body}}}}}
	base := plan.Pipeline{
		Format: expression.FormatJSON, Scope: scope, Result: scope, Filter: never, OnError: plan.ActionDrop, Unmatched: plan.ActionStop,
		Idempotency: &plan.Idempotency{Key: key}, Transform: made,
		Routes: []plan.Route{
			{When: never, Sinks: []plan.Sink{{Name: "a"}, {Name: "b", When: never}}},
			{Sinks: []plan.Sink{{Name: "c"}, {Name: "d"}}},
		},
	}
	d := NewDecider(&base, []handlers.Sink{sinkOf("a", nil), sinkOf("b", nil), sinkOf("c", handlers.ErrSkip), sinkOf("d", errors.New("no"))})
	good, bad := &handlers.Record{Value: []byte(`{"id": 7}`)}, &handlers.Record{Value: []byte(`{`)}

	dec := d.Alone(good, 1, "")
	if len(dec.Writes) != 1 || dec.Writes[0].Request != `b:{"order":7}` || dec.Writes[0].Sink != 1 || dec.Key != "order:7" ||
		dec.Digest != idempotency.DigestOf(good.Value) {
		t.Errorf("%+v", dec)
	}
	if dec := d.Alone(good, 0, "old"); dec.Key != "old" || dec.Writes[0].Request != `a:{"order":7}` {
		t.Errorf("%+v", dec)
	}
	if dec := d.Alone(good, 2, ""); dec.Outcome != outcome.Filtered || dec.Reason != outcome.ReasonTombstone || dec.Writes != nil {
		t.Errorf("%+v", dec)
	}
	for _, c := range []struct {
		rec   *handlers.Record
		at    int
		key   string
		stage outcome.Stage
	}{
		{bad, 0, "old", outcome.StageDecode},
		{&handlers.Record{Value: []byte(`{"id": null}`)}, 0, "", outcome.StageKey},
		{&handlers.Record{Value: []byte(`{"id": 1e999}`)}, 0, "old", ""},
		{good, 3, "", outcome.StageRender},
	} {
		dec := d.Alone(c.rec, c.at, c.key)
		if dec.Stop || dec.Outcome != "" || len(dec.Writes) != 1 || dec.Writes[0].Sink != c.at || dec.Writes[0].Stage != c.stage || (dec.Writes[0].Err == nil) != (c.stage == "") {
			t.Errorf("%s: %+v", c.rec.Value, dec)
		}
	}
	if dec := d.Content(good, ""); dec.Key != "order:7" || dec.Digest != idempotency.DigestOf(good.Value) {
		t.Errorf("%+v", dec)
	}
	if dec := d.Content(bad, "old"); dec.Key != "old" || dec.Digest != idempotency.DigestOf(bad.Value) {
		t.Errorf("%+v", dec)
	}
	if dec := d.Content(bad, ""); dec.Key != "" {
		t.Errorf("%+v", dec)
	}
}
