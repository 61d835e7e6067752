package topics

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/millrace/millrace/pipeline/diag"
)

// WriteText shows the plan to be read before it is made.
func (p Plan) WriteText(w io.Writer) error {
	var text strings.Builder
	for _, c := range p.Changes {
		text.WriteString(c.String() + "\n")
		if c.Why != "" {
			fmt.Fprintf(&text, "    %s%s\n", map[bool]string{true: "not done: ", false: "mind: "}[c.Action == Leave],
				c.Why)
		}
	}
	switch {
	case len(p.Changes) == 0:
		fmt.Fprintf(&text, "nothing to do: %s as the file says\n", are(p.Same, "topic"))
	case p.Left() == 0:
		fmt.Fprintf(&text, "%s to make; %s as the file says\n", diag.Count(p.Pending(), "change"), are(p.Same, "topic"))
	default:
		fmt.Fprintf(&text, "%s to make, %s left; %s as the file says\n", diag.Count(p.Pending(), "change"),
			are(p.Left(), "difference"), are(p.Same, "topic"))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// String is the change on one line: + makes, ~ changes, ! stays.
func (c Change) String() string {
	switch c.Action {
	case Create:
		return fmt.Sprintf("+ %s: %s", c.Topic, c.To)
	case Leave:
		return fmt.Sprintf("! %s: %s %s, the file says %s", c.Topic, c.Setting, c.From, c.To)
	default:
		return fmt.Sprintf("~ %s: %s %s → %s", c.Topic, c.Setting, c.From, c.To)
	}
}

// WriteList shows topics as a table.
func WriteList(w io.Writer, all []Listed) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "TOPIC\tPARTITIONS\tREPLICATION\tRETENTION\tCLEANUP\tLAG")
	for _, t := range all {
		lags := make([]string, len(t.Lag))
		for i, l := range t.Lag {
			lags[i] = fmt.Sprintf("%s %d", l.Pipeline, l.Lag)
			if !l.Begun {
				lags[i] += " (not begun)"
			}
		}
		keep := showRetention(time.Duration(t.RetentionMS) * time.Millisecond)
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\n", t.Topic, t.Partitions, t.Replication, keep, t.Cleanup,
			orDash(strings.Join(lags, ", ")))
	}
	return table.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// showRetention is a time as the file would say it.
func showRetention(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "for ever"
	case d == 0:
		return "unknown"
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	default:
		return d.String()
	}
}

func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return diag.Count(n, noun) + " are"
}
