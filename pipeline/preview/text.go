package preview

import (
	"fmt"
	"io"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/outcome"
)

// Style is how text is laid out.
type Style struct {
	// Width is how many columns a line may have; 0 cuts nothing. What does not fit
	// goes on in the next line; only values and requests are cut.
	Width int
	// Colour paints outcomes.
	Colour bool
}

// Table writes results as text: a line a record and pipeline, and below it one
// for each write. Columns keep their widths over calls. The zero Table with its
// Out set is ready to use.
type Table struct {
	Out   io.Writer
	Style Style

	preview *Preview
	widths  [3]int
	head    bool
}

// NewTable makes a table of what p decides.
func (p *Preview) NewTable(out io.Writer, style Style) *Table {
	return &Table{Out: out, Style: style, preview: p, widths: [3]int{len("RECORD"), 0, len("OUTCOME")}}
}

// Write writes results.
func (t *Table) Write(results []Result) error {
	several := len(t.preview.flows) > 1
	for i := range results {
		r := &results[i]
		t.widths[0] = max(t.widths[0], len(r.Record.Coordinates()))
		if several {
			t.widths[1] = max(t.widths[1], len("PIPELINE"), len(r.Pipeline))
		}
		t.widths[2] = max(t.widths[2], len(outcomeText(r.Outcome, r.Halt)))
	}
	var out strings.Builder
	if !t.head {
		t.head = true
		head := t.columns("RECORD", "PIPELINE") + fmt.Sprintf("%-*s  ", t.widths[2], "OUTCOME") + "KEY, OR WHY"
		out.WriteString(diag.Clip(head, t.Style.Width) + "\n")
	}
	for i := range results {
		t.result(&out, &results[i])
	}
	_, err := io.WriteString(t.Out, out.String())
	return err
}

func (t *Table) result(out *strings.Builder, r *Result) {
	ending := outcomeText(r.Outcome, r.Halt)
	line := t.columns(r.Record.Coordinates(), r.Pipeline)
	from, padding := len([]rune(line)), strings.Repeat(" ", t.widths[2]-len(ending)+2)
	line = strings.TrimRight(wrap(line+ending+padding+t.safe(r.detail()), t.Style.Width, indent), " ")
	if runes := []rune(line); t.Style.Colour && len(runes) >= from+len(ending) &&
		!strings.Contains(string(runes[:from+len(ending)]), "\n") {
		line = string(runes[:from]) + t.Style.paint(colourOf(r.Outcome), ending) + string(runes[from+len(ending):])
	}
	out.WriteString(line + "\n")
	for i := range r.Writes {
		w := &r.Writes[i]
		text := "    " + w.Sink
		switch said := w.why(r.Record); {
		case w.Outcome == outcome.Delivered && said == "":
			text += " → " + t.request(w.Request, text)
		case w.Outcome == outcome.Delivered:
			text += " → " + t.request(w.Request, text) + "  (" + said + ")"
		case len(r.Writes) == 1 && r.Reason == w.Reason:
			continue // the record's own line says it
		default:
			text += ": " + outcomeText(w.Outcome, w.Halt) + " " + said
		}
		out.WriteString(strings.TrimRight(wrap(t.safe(text), t.Style.Width, indent), " ") + "\n")
	}
}

// indent is that of what goes on in a next line.
const indent = 8

// request is a request that fits behind what stands before it.
func (t *Table) request(request any, before string) string {
	text := t.safe(requestText(request))
	if t.Style.Width == 0 {
		return text
	}
	return diag.Clip(text, max(t.Style.Width-len([]rune(before))-len(" → "), indent))
}

// columns are those before the outcome.
func (t *Table) columns(record, name string) string {
	line := fmt.Sprintf("%-*s  ", t.widths[0], record)
	if t.widths[1] > 0 {
		line += fmt.Sprintf("%-*s  ", t.widths[1], name)
	}
	return line
}

// safe is text on one line that moves no cursor, without what is secret.
func (t *Table) safe(text string) string { return printable(t.preview.plan.Redactor.Shown(text)) }

// detail is a record's key or why it ended as it did.
func (r *Result) detail() string {
	var parts []string
	if r.Routes > 1 && r.Route >= 0 {
		parts = append(parts, fmt.Sprintf("routes[%d]", r.Route))
	}
	if key := r.shownKey(); key != "" {
		parts = append(parts, key)
	}
	switch {
	case r.Outcome == outcome.Filtered && r.Reason == "filter", r.Outcome == outcome.Unmatched:
	case r.Outcome == outcome.Duplicate && len(r.Writes) == 1:
		parts = append(parts, r.Writes[0].why(r.Record))
	case r.Err != nil:
		parts = append(parts, r.Reason+": "+r.Err.Error())
	case r.Reason != "":
		parts = append(parts, r.Reason)
	}
	if r.DeadLetter != "" {
		parts = append(parts, "→ "+r.DeadLetter)
	}
	return strings.Join(parts, "  ")
}

// why says what stands behind the outcome of a write of rec.
func (w *Write) why(rec *handlers.Record) string {
	switch {
	case w.Uncertain && w.Outcome == outcome.Delivered:
		return "uncertain: an earlier holder of the key went silent, its effect may have happened"
	case w.Err != nil:
		return w.Reason + ": " + w.Err.Error()
	case w.Outcome == outcome.Duplicate && w.Row != nil:
		text := "of " + w.Row.Origin.String()
		switch {
		case !w.Here && w.Row.Origin.String() == rec.Coordinates():
			text = "done already " + timeText(w.Row.ConfirmedAt)
		case !w.Here:
			text += ", done " + timeText(w.Row.ConfirmedAt)
		}
		if w.Reason == "conflict" {
			text += ", with other content"
		}
		return text
	default:
		return ""
	}
}

func outcomeText(o outcome.Outcome, h Halt) string {
	switch h {
	case HaltStop:
		return "STOP"
	case HaltBlock:
		return "BLOCK"
	case HaltWait:
		return "wait"
	default:
		return string(o)
	}
}

// requestText is a sink's request on one line, as its sink shows it to people or as
// JSON.
func requestText(request any) string {
	if r, ok := request.(handlers.Shower); ok {
		return r.Show()
	}
	return string(requestJSON(request))
}

// spaces stand for what would break a line.
var spaces = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

// printable replaces, one for one, what would break the line or move a terminal's
// cursor.
func printable(text string) string { return diag.Printable(spaces.Replace(text)) }

func colourOf(o outcome.Outcome) string {
	switch o {
	case outcome.Delivered:
		return diag.Green
	case outcome.Duplicate:
		return diag.Yellow
	case outcome.Filtered, outcome.Unmatched:
		return diag.Faint
	default:
		return diag.Red
	}
}

func (s Style) paint(colour, text string) string { return diag.Painter(s.Colour).Paint(colour, text) }
