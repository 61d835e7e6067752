package preview

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/secrets"
)

// WriteExplanation writes an explanation for people, with what is secret taken
// out.
func (p *Preview) WriteExplanation(out io.Writer, style Style, x *Explanation) error {
	e := explainer{preview: p, style: style}
	e.title(x.Record.Coordinates() + " in " + x.Pipeline)
	if outcome, because := x.Ended(); outcome != "" {
		e.row("ended", e.outcome(outcome)+": "+because)
	}
	e.record(x.Record.WithoutSecrets())
	stage := outcome.Stage("")
	for i := range x.Steps {
		e.step(&x.Steps[i], x.Steps[i].Stage != stage)
		stage = x.Steps[i].Stage
	}
	e.now(x)
	for _, k := range x.Keys {
		e.key(&k)
	}
	e.group(x)
	e.letters(x)
	_, err := io.WriteString(out, e.out.String())
	return err
}

type explainer struct {
	preview *Preview
	style   Style
	out     strings.Builder
}

const labelWidth = 12

func (e *explainer) title(text string) {
	e.out.WriteString(e.style.paint(diag.Bold, e.preview.plan.Redactor.Shown(text)) + "\n")
}

// row writes a line behind a label, which may be empty. Secrets are taken out
// before it is broken: no part of one may stay.
func (e *explainer) row(label, text string) {
	line := fmt.Sprintf("%-*s%s", labelWidth, label, e.preview.plan.Redactor.Shown(text))
	// A terminal breaks what is coloured.
	if !strings.Contains(line, "\x1b") {
		line = wrap(line, e.style.Width, labelWidth+4)
	}
	e.out.WriteString(strings.TrimRight(line, " ") + "\n")
}

// text writes a line of a record's own text, cut to what a terminal's line holds.
func (e *explainer) text(text string) {
	text = e.preview.plan.Redactor.Shown(text)
	if e.style.Width > labelWidth {
		text = diag.Clip(text, e.style.Width-labelWidth)
	}
	e.row("", text)
}

// safe is text on one line that moves no cursor, without what is secret.
func (e *explainer) safe(text string) string { return printable(e.preview.plan.Redactor.Shown(text)) }

func (e *explainer) outcome(text string) string {
	return e.style.paint(colourOf(outcome.Outcome(text)), text)
}

func (e *explainer) record(r *handlers.Record) {
	text := "time " + timeText(r.Time)
	switch {
	case r.Key == nil:
		text += "  no key"
	case !utf8.Valid(r.Key):
		text += "  key_base64 " + base64.StdEncoding.EncodeToString(r.Key)
	default:
		text += "  key " + valueText(string(r.Key))
	}
	e.row("record", text)
	for _, h := range r.Headers {
		value := "null"
		switch {
		case h.Value == nil:
		case !utf8.Valid(h.Value):
			value = "base64 " + base64.StdEncoding.EncodeToString(h.Value)
		default:
			value = valueText(string(h.Value))
		}
		e.text("header " + printable(h.Key) + ": " + value)
	}
	if r.Value == nil {
		e.row("", "a tombstone: no value")
		return
	}
	if !utf8.Valid(r.Value) {
		e.text("value_base64 " + base64.StdEncoding.EncodeToString(r.Value))
		return
	}
	e.text(e.safe(string(r.Value)))
}

func (e *explainer) step(s *decide.Step, first bool) {
	label := ""
	if first {
		label = string(s.Stage)
	}
	where := s.Where
	if s.Sink != "" {
		where = s.Sink + ": " + where
	}
	said := e.value(s)
	if s.Source == "" {
		e.row(label, where+" → "+said)
		return
	}
	e.row(label, where+": "+printable(strings.Join(strings.Fields(s.Source), " ")))
	for _, r := range s.Reads {
		if errors.Is(r.Err, expression.ErrTooCostly) {
			e.row("", "    "+r.Name+" = "+r.Err.Error())
		} else if r.Err != nil {
			e.row("", "    "+r.Name+" = error: "+r.Err.Error())
		} else {
			e.text("    " + r.Name + " = " + e.safe(valueText(r.Value)))
		}
	}
	e.row("", "  → "+said)
}

func (e *explainer) value(s *decide.Step) string {
	switch {
	case s.Err != nil:
		return e.style.paint(diag.Red, "error: "+e.safe(s.Err.Error()))
	case s.Secret:
		return secrets.Redacted
	case s.Stage == outcome.StageRender && s.Source == "":
		return e.request(s.Value)
	}
	if text, ok := s.Value.(string); ok {
		return e.safe(text)
	}
	return e.safe(valueText(s.Value))
}

// request is a request of at most some lines.
func (e *explainer) request(request any) string {
	text := e.safe(requestText(request))
	if e.style.Width == 0 {
		return text
	}
	return diag.Clip(text, 5*e.style.Width)
}

// now is what a run would make of the record from here on.
func (e *explainer) now(x *Explanation) {
	r := &x.Now
	text := e.outcome(outcomeText(r.Outcome, r.Halt))
	if detail := r.detail(); detail != "" {
		text += "  " + e.safe(detail)
	}
	e.row("a run now", text)
	if r.Key != "" && len(r.Writes) > 0 && r.Outcome != outcome.Duplicate {
		e.row("", "  looked at alone: an earlier record that no run reached yet may claim the key first")
	}
	for i := range r.Writes {
		if w := &r.Writes[i]; len(r.Writes) > 1 {
			e.row("", strings.TrimRight("  "+w.Sink+": "+outcomeText(w.Outcome, w.Halt)+" "+e.safe(w.why(r.Record)),
				" "))
		}
	}
}

func (e *explainer) key(k *KeyState) {
	name := fmt.Sprintf("%s, generation %d: ", k.Sink, k.Generation)
	if k.Keeps {
		e.row("the sink", name+e.safe(KeptText(k.Kept)))
	}
	if k.Row == nil {
		e.row("key store", name+"nothing of this key")
		return
	}
	state := k.Row.State.String()
	if k.Row.Uncertain {
		state += ", uncertain: an earlier holder went silent"
	}
	whose := "for " + k.Row.Origin.String()
	if k.Own {
		whose = "for this record"
	}
	e.row("key store", name+state+", "+whose)
	e.row("", fmt.Sprintf("  claimed %s by %s (pid %d, run %s)", timeText(k.Row.ClaimedAt), k.Row.Holder.Host,
		k.Row.Holder.PID, k.Row.Holder.Run))
	if k.Row.State != idempotency.Confirmed && k.Row.Answer != "" {
		e.row("", "  its call met: "+e.safe(k.Row.Answer))
	}
	switch k.Row.State {
	case idempotency.Claimed:
		if !k.Row.Deadline.IsZero() {
			e.row("", "  lease until "+timeText(k.Row.Deadline))
		}
	case idempotency.Confirmed:
		text := "  confirmed " + timeText(k.Row.ConfirmedAt)
		if k.Row.Answer != "" {
			text += ", the sink answered " + valueText(k.Row.Answer)
		}
		e.row("", text)
	}
	e.row("", "  remembered until "+timeText(k.Row.Expires))
}

func (e *explainer) group(x *Explanation) {
	if x.Skipped != nil {
		e.row("skipped", e.safe(x.Skipped.String()))
	}
	switch {
	case !x.Group.Known:
		return
	case x.Group.Committed < 0:
		e.row("group", x.Group.Name+" has no commit of this partition: not done")
	case x.Done():
		e.row("group", fmt.Sprintf("%s has committed %d: done", x.Group.Name, x.Group.Committed))
	default:
		e.row("group", fmt.Sprintf("%s has committed %d: not done", x.Group.Name, x.Group.Committed))
	}
	if x.Process == nil {
		return
	}
	e.row("process", fmt.Sprintf("pid %d is %s, with %s of this partition in flight", x.Process.PID, x.Process.State,
		diag.Count(x.Process.Pending, "record")))
	for _, reason := range x.Process.Reasons {
		e.row("", "  ! "+e.safe(reason))
	}
}

func (e *explainer) letters(x *Explanation) {
	l := &x.Letters
	if !x.Group.Known {
		return
	}
	switch {
	case l.Topic == "":
		e.row("dead letter", "none: dead_letter is off")
	case l.Missing:
		e.row("dead letter", "none: "+l.Topic+" does not exist")
	case len(l.Found) == 0 && l.Later != nil:
		e.row("dead letter", "none that can be read in "+l.Topic)
	case len(l.Found) == 0 && l.Whole:
		e.row("dead letter", fmt.Sprintf("none in %s (%s looked at)", l.Topic, diag.Count(l.Read, "record")))
	case len(l.Found) == 0:
		e.row("dead letter", fmt.Sprintf("none among the first %d of %s since the record's time; there are more",
			l.Read, l.Topic))
	}
	if l.Later != nil {
		e.row("", "  ! some were not read: "+l.Later.Error())
	}
	for _, f := range l.Found {
		text := fmt.Sprintf("%s at %s: %s", f.At, timeText(f.Time), f.Reason)
		if f.Reason != f.Stage+"_failed" {
			text += " at " + f.Stage
		}
		if f.Sink != "" {
			text += " for sink " + f.Sink
		}
		e.row("dead letter", e.safe(text))
		e.row("", "  "+e.safe(f.LastError))
	}
}
