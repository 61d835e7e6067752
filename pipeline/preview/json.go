package preview

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/secrets"
)

// AppendJSON appends a result as one line of JSON without a newline, with what
// is secret taken out. The fields after `writes` are left out where they do not
// apply.
func (p *Preview) AppendJSON(dst []byte, r *Result) []byte {
	o := newObject(dst)
	o.text("pipeline", r.Pipeline)
	o.text("topic", r.Record.Topic)
	o.value("partition", r.Record.Partition)
	o.value("offset", r.Record.Offset)
	o.orNull("outcome", string(r.Outcome))
	o.orNull("reason", r.Reason)
	o.orNull("idempotency_key", r.shownKey())
	if r.Route < 0 {
		o.value("route", nil)
	} else {
		o.value("route", r.Route)
	}
	writes := []json.RawMessage{}
	for i := range r.Writes {
		writes = append(writes, r.Writes[i].json(p.plan))
	}
	o.raw("writes", joinRaw(writes))
	o.optional("halt", string(r.Halt))
	o.optional("stage", string(r.Stage))
	o.optional("error", errorText(r.Err))
	o.optional("dead_letter", r.DeadLetter)
	return append(dst, p.plan.Redactor.JSON(o.done()[len(dst):])...)
}

func (w *Write) json(plan *plan.Plan) json.RawMessage {
	o := newObject(nil)
	o.text("sink", w.Sink)
	o.raw("request", plan.Redactor.JSON(requestJSON(w.Request)))
	o.orNull("outcome", string(w.Outcome))
	o.optional("reason", w.Reason)
	o.optional("id", w.ID)
	if w.Row != nil {
		o.optional("of", w.Row.Origin.String())
	}
	if w.Uncertain {
		o.value("uncertain", true)
	}
	o.optional("halt", string(w.Halt))
	o.optional("stage", string(w.Stage))
	o.optional("error", errorText(w.Err))
	return o.done()
}

// shownKey is the key, unless a part of it is secret.
func (r *Result) shownKey() string {
	if r.KeySecret && r.Key != "" {
		return secrets.Redacted
	}
	return r.Key
}

// requestJSON is what a sink's request marshals to, null for none. A record keeps
// the bytes of its payload.
func requestJSON(request any) json.RawMessage {
	if rec, ok := request.(*handlers.Record); ok {
		return handlers.AppendJSON(nil, rec.WithoutSecrets())
	}
	text, err := compactJSON(request)
	if err != nil {
		text, _ = compactJSON(map[string]string{"error": "the request can't be shown: " + err.Error()})
	}
	return text
}

// compactJSON is v as JSON on one line, without escapes for HTML.
func compactJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// object writes a JSON object field by field, in order.
type object struct {
	out   []byte
	empty bool
}

func newObject(dst []byte) *object { return &object{out: append(dst, '{'), empty: true} }

func (o *object) raw(name string, value json.RawMessage) {
	if !o.empty {
		o.out = append(o.out, ',')
	}
	o.empty = false
	o.out = append(append(append(o.out, '"'), name...), `":`...)
	o.out = append(o.out, value...)
}

// value writes what marshals without an error.
func (o *object) value(name string, v any) {
	text, _ := compactJSON(v)
	o.raw(name, text)
}

func (o *object) text(name, value string) { o.value(name, value) }

// orNull writes empty text as null.
func (o *object) orNull(name, value string) {
	if value == "" {
		o.value(name, nil)
		return
	}
	o.text(name, value)
}

// optional leaves empty text out.
func (o *object) optional(name, value string) {
	if value != "" {
		o.text(name, value)
	}
}

func (o *object) done() []byte { return append(o.out, '}') }

func joinRaw(items []json.RawMessage) json.RawMessage {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = string(item)
	}
	return json.RawMessage("[" + strings.Join(texts, ",") + "]")
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
