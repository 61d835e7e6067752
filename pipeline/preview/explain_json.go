package preview

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/secrets"
)

// AppendExplanation appends an explanation as one line of JSON without a newline,
// with what is secret taken out.
func (p *Preview) AppendExplanation(dst []byte, x *Explanation) []byte {
	o := newObject(nil)
	o.text("pipeline", x.Pipeline)
	o.raw("record", handlers.AppendJSON(nil, x.Record.WithoutSecrets()))
	outcome, because := x.Ended()
	o.orNull("ended", outcome)
	o.orNull("because", because)
	var steps []json.RawMessage
	for i := range x.Steps {
		steps = append(steps, p.plan.Redactor.JSON(stepJSON(&x.Steps[i])))
	}
	o.raw("steps", joinRaw(steps))
	o.raw("now", p.AppendJSON(nil, &x.Now))
	if x.Keys != nil {
		o.value("keys", x.Keys)
	}
	if x.Group.Known {
		g := newObject(nil)
		g.text("name", x.Group.Name)
		if x.Group.Committed < 0 {
			g.value("committed", nil)
		} else {
			g.value("committed", x.Group.Committed)
		}
		g.value("done", x.Done())
		o.raw("group", g.done())
	}
	if x.Process != nil {
		o.value("process", x.Process)
	}
	if x.Skipped != nil {
		o.value("skipped", x.Skipped)
	}
	if x.Letters.Topic != "" {
		o.raw("dead_letters", x.Letters.json())
	}
	return append(dst, p.plan.Redactor.JSON(o.done())...)
}

func stepJSON(s *decide.Step) json.RawMessage {
	o := newObject(nil)
	o.text("stage", string(s.Stage))
	o.optional("sink", s.Sink)
	o.text("where", s.Where)
	o.optional("source", s.Source)
	var reads []json.RawMessage
	for _, r := range s.Reads {
		each := newObject(nil)
		each.text("name", r.Name)
		if r.Err != nil {
			each.text("error", r.Err.Error())
		} else {
			each.raw("value", valueJSON(r.Value))
		}
		reads = append(reads, each.done())
	}
	if s.Source != "" {
		o.raw("reads", joinRaw(reads))
	}
	switch {
	case s.Err != nil:
		o.text("error", s.Err.Error())
	case s.Secret:
		o.text("value", secrets.Redacted)
	case s.Stage == outcome.StageRender && s.Source == "":
		o.raw("value", requestJSON(s.Value))
	default:
		o.raw("value", valueJSON(s.Value))
	}
	return o.done()
}

// valueJSON is a value of an expression as JSON.
func valueJSON(v any) json.RawMessage {
	text, err := compactJSON(v)
	if err != nil {
		text, _ = compactJSON(fmt.Sprint(v))
	}
	return text
}

// MarshalJSON is the state as people read it, with what the sink keeps where it keeps
// keys.
func (k *KeyState) MarshalJSON() ([]byte, error) {
	type plain KeyState
	if !k.Keeps {
		return json.Marshal((*plain)(k))
	}
	return json.Marshal(struct {
		*plain
		Kept any `json:"kept"`
	}{(*plain)(k), NewKeptJSON(k.Kept)})
}

func (l *Letters) json() json.RawMessage {
	o := newObject(nil)
	o.text("topic", l.Topic)
	o.value("searched", l.Read)
	o.value("complete", l.Whole)
	if l.Later != nil {
		o.text("unread", l.Later.Error())
	}
	var found []json.RawMessage
	for _, each := range l.Found {
		f := newObject(nil)
		f.value("partition", each.At.Partition)
		f.value("offset", each.At.Offset)
		f.text("timestamp", timeText(each.Time))
		f.optional("sink", each.Sink)
		f.text("stage", each.Stage)
		f.text("reason", each.Reason)
		f.optional("error", each.LastError)
		f.optional("first_error", each.FirstError)
		f.text("attempts", strconv.Itoa(each.Attempts))
		f.value("round", each.Round)
		if !each.First.IsZero() {
			f.text("first_time", timeText(each.First))
			f.text("last_time", timeText(each.Last))
		}
		f.optional("idempotency_key", each.Key)
		f.optional("config_digest", each.ConfigDigest)
		found = append(found, f.done())
	}
	o.raw("found", joinRaw(found))
	return o.done()
}
