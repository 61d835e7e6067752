package preview

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/outcome"
)

// WriteSummary writes what became of all records so far, for people.
func (p *Preview) WriteSummary(out io.Writer, style Style) error {
	for i, s := range p.Summaries() {
		text := s.text(style)
		if i > 0 {
			text = "\n" + text
		}
		if _, err := io.WriteString(out, p.plan.Redactor.Shown(text)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Summary) text(style Style) string {
	var out strings.Builder
	head := fmt.Sprintf("%s: %s", s.Pipeline, diag.Count(s.Records, "record"))
	if s.Tombstones > 0 {
		head += fmt.Sprintf(", %s", diag.Count(s.Tombstones, "tombstone"))
	}
	out.WriteString(style.paint(diag.Bold, head) + "\n")
	if s.Records == 0 {
		return out.String()
	}
	table := tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
	for _, o := range outcome.All() {
		s.line(table, string(o), s.Outcomes[string(o)], s.note(o))
	}
	for _, h := range []Halt{HaltStop, HaltBlock, HaltWait} {
		s.line(table, "no outcome: "+string(h), s.Outcomes[string(h)], counted(s.Reasons[string(h)]))
	}
	for i, n := range s.Routes {
		if len(s.Routes) > 1 {
			when := "without when"
			if r := s.plan.Routes[i].When; r != nil {
				when = diag.Clip(printable(r.Source()), 60)
			}
			fmt.Fprintf(table, "  routes[%d]\t%d\t%s\t%s\n", i, n, percent(n, s.Records), when)
		}
	}
	for _, sink := range s.Sinks {
		n := sink.Outcomes[outcome.Delivered]
		var others []string
		for _, o := range []outcome.Outcome{outcome.Duplicate, outcome.DeadLettered} {
			if sink.Outcomes[o] > 0 {
				others = append(others, fmt.Sprintf("%d %s", sink.Outcomes[o], o))
			}
		}
		fmt.Fprintf(table, "  sink %s\t%d\t\t%s\n", sink.Name, n,
			strings.Join(append([]string{"to write"}, others...), ", "))
	}
	_ = table.Flush() // a strings.Builder takes everything
	trimLines(&out)
	s.missing(&out)
	for _, hint := range s.Hints() {
		out.WriteString("  " + style.paint(diag.Yellow, "!") + " " + printable(hint) + "\n")
	}
	return out.String()
}

func (s *Summary) line(table io.Writer, name string, n int, note string) {
	if n > 0 {
		fmt.Fprintf(table, "  %s\t%d\t%s\t%s\n", name, n, percent(n, s.Records), note)
	}
}

// note is what stands behind a number of records of one outcome.
func (s *Summary) note(o outcome.Outcome) string {
	reasons := counted(s.Reasons[string(o)])
	if o != outcome.Duplicate {
		return reasons
	}
	var parts []string
	if s.Here > 0 {
		parts = append(parts, diag.Count(s.Here, "write")+" of a key that an earlier record here has")
	}
	if s.Before > 0 {
		parts = append(parts, diag.Count(s.Before, "write")+" that the key store remembers")
	}
	if reasons != "" {
		parts = append(parts, reasons)
	}
	return strings.Join(parts, ", ")
}

// maxMissing is how many fields are listed as missing.
const maxMissing = 8

func (s *Summary) missing(out *strings.Builder) {
	fields := s.Missing()
	if len(fields) == 0 {
		return
	}
	var parts []string
	for _, f := range fields[:min(len(fields), maxMissing)] {
		parts = append(parts, fmt.Sprintf("%s in %s", f.Name, percent(f.Missing, f.Among)))
	}
	if len(fields) > maxMissing {
		parts = append(parts, diag.Count(len(fields)-maxMissing, "other field"))
	}
	out.WriteString("  missing or null: " + strings.Join(parts, ", ") + "\n")
}

// trimLines drops the spaces that padding left at the ends of lines.
func trimLines(out *strings.Builder) {
	lines := strings.Split(out.String(), "\n")
	out.Reset()
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	out.WriteString(strings.Join(lines, "\n"))
}

// timeText is a time as every output writes it.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
