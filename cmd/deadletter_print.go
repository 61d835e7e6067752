package cmd

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/letters"
)

// noSink stands for the sink of a record that was not decided.
const noSink = "-"

// printCounts says how many letters there are, of what kinds.
func (l *lookingAtLetters) printCounts(w io.Writer, found *jobs.Listing) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s of %s", l.Topic, count(found.Open, "open dead letter"), l.Pipeline)
	if found.Resolved > 0 {
		fmt.Fprintf(&out, ", %d resolved", found.Resolved)
	}
	switch {
	case found.Open == 0:
	case found.Matching == 0:
		out.WriteString("; none of them matches")
	case found.Matching < found.Open:
		fmt.Fprintf(&out, "; %d match", found.Matching)
	}
	out.WriteString("\n")
	for _, pipeline := range slices.Sorted(maps.Keys(found.Others)) {
		fmt.Fprintf(&out, "! %s here of pipeline %s\n", count(found.Others[pipeline], "letter"), pipeline)
	}
	if found.Later > 0 {
		fmt.Fprintf(&out, "! %s of a later version can't be read: %v\n", count(found.Later, "letter"), found.LaterErr)
	}
	if found.Strange > 0 {
		fmt.Fprintf(&out, "! %s here can't be read as a letter, the first: %v\n",
			count(found.Strange, "record"), found.StrangeErr)
	}
	if found.Unreadable > 0 {
		fmt.Fprintf(&out, "! %s of the log can't be read\n", count(int(found.Unreadable), "offset"))
	}
	if len(found.Groups) > 0 {
		out.WriteString("\n")
	}
	table := tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
	for i, g := range found.Groups {
		switch {
		case found.Matching == 0: // what there is, so that the filter can be mended
			if i == 0 {
				row(table, "COUNT", "SINK", "STAGE", "REASON")
			}
			row(table, fmt.Sprint(g.Open), sinkText(g.Sink), g.Stage, g.Reason)
		case g.Matching > 0:
			if i == 0 {
				row(table, "COUNT", "SINK", "STAGE", "REASON", "OLDEST", "NEWEST")
			}
			row(table, fmt.Sprint(g.Matching), sinkText(g.Sink), g.Stage, g.Reason, when(g.Oldest), when(g.Newest))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, l.plan.Redactor.Shown(out.String()))
	return err
}

// row writes the columns of a line of a table, each on one line.
func row(w io.Writer, columns ...string) {
	for i, column := range columns {
		columns[i] = oneLine(column)
	}
	fmt.Fprintln(w, strings.TrimRight(strings.Join(columns, "\t"), "\t "))
}

func sinkText(sink string) string {
	if sink == "" {
		return noSink
	}
	return sink
}

// oneLine is text without line breaks and tabs.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// lettersAtATime is how many letters are held, without their records' values, to be
// put in order.
const lettersAtATime = 1000

// printList lists letters, the oldest first, each on a line.
func (l *lookingAtLetters) printList(ctx context.Context, found *jobs.Listing) error {
	if len(found.Found) == 0 {
		return nil
	}
	if n := len(found.Found); n < found.Matching {
		fmt.Fprintf(l.app.out, "\nthe newest %d of %d; -n -1 lists all\n", n, found.Matching)
	}
	fmt.Fprintln(l.app.out)
	head := "ID\tRECORD\tSINK\tREASON\tROUND\tATTEMPTS\tLAST TIME\tLAST ERROR\n"
	for ids := range slices.Chunk(found.Found, lettersAtATime) {
		of := make(map[jobs.ID]*jobs.Letter, len(ids))
		err := l.Each(ctx, ids, func(letter *jobs.Letter) error {
			letter.Record.Key, letter.Record.Value, letter.Record.Headers = nil, nil, nil
			of[letter.ID] = letter
			return nil
		})
		if err != nil {
			return err
		}
		var text bytes.Buffer
		table := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
		fmt.Fprint(table, head)
		head = ""
		for _, id := range ids {
			if letter := of[id]; letter != nil {
				row(table, id.String(), letter.Record.Coordinates(), sinkText(letter.Sink), letter.Reason,
					fmt.Sprint(letter.Round), fmt.Sprint(letter.Attempts), when(letter.At()),
					l.plan.Redactor.Shown(letter.LastError))
			}
		}
		if err := table.Flush(); err != nil {
			return err
		}
		width := l.app.style().Width
		for line := range strings.Lines(text.String()) {
			if _, err := fmt.Fprintln(l.app.out, diag.Clip(strings.TrimRight(line, " \n"), width)); err != nil {
				return err
			}
		}
	}
	return nil
}

// printJSON writes a letter a line.
func (l *lookingAtLetters) printJSON(w io.Writer) func(*jobs.Letter) error {
	var line []byte
	return func(letter *jobs.Letter) error {
		line = append(letter.AppendJSON(line[:0], l.plan.Redactor), '\n')
		_, err := w.Write(line)
		return err
	}
}

// printAll writes all of letters, with a line between two.
func (l *lookingAtLetters) printAll(w io.Writer) func(*jobs.Letter) error {
	first := true
	return func(letter *jobs.Letter) error {
		if !first {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		first = false
		_, err := io.WriteString(w, l.plan.Redactor.Shown(l.all(letter)))
		return err
	}
}

func (l *lookingAtLetters) all(letter *jobs.Letter) string {
	var out strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&out, "%-16s%s\n", name, value)
		}
	}
	fmt.Fprintf(&out, "%s/%s, a dead letter of %s\n", l.Topic, letter.ID, letter.Pipeline)
	line("record", joined(letter.Record.Coordinates(), when(letter.Record.Time)))
	line("sink", sinkText(letter.Sink))
	line("items", strings.Trim(strings.ReplaceAll(fmt.Sprint(letter.Items), " ", ", "), "[]"))
	line("failed", fmt.Sprintf("%s, %s, in round %d after %s",
		letter.Stage, letter.Reason, letter.Round, count(letter.Attempts, "attempt")))
	line("first time", when(letter.First))
	line("first error", oneLine(letter.FirstError))
	line("last time", when(letter.At()))
	line("last error", oneLine(letter.LastError))
	line("resolved", resolutionText(letter.Resolution))
	if letter.Key != "" {
		line("idempotency key", fmt.Sprintf("%s, generation %d", bytesText([]byte(letter.Key), ""), letter.Generation))
	}
	line("config digest", letter.ConfigDigest)
	shown := letter.Record.WithoutSecrets()
	for _, h := range shown.Headers {
		line("header", bytesText([]byte(h.Key), "")+": "+bytesText(h.Value, "null"))
	}
	line("headers", missingText(letter.Missing.Headers, letter.Where))
	line("key", missingText(letter.Missing.Key, letter.Where))
	if letter.Missing.Key == nil {
		line("key", bytesText(shown.Key, "none"))
	}
	line("value", missingText(letter.Missing.Value, letter.Where))
	if letter.Missing.Value == nil {
		line("value", bytesText(shown.Value, "none: a tombstone"))
	}
	return out.String()
}

// resolutionText is what became of a letter.
func resolutionText(r *letters.Resolution) string {
	switch {
	case r == nil:
		return "no"
	case r.How == "":
		return "in a way that this Millrace can't read"
	}
	text := joined(string(r.How), when(r.Time))
	if r.By != "" {
		text += " by " + r.By
	}
	if r.Job != "" {
		text += ", job " + r.Job
	}
	return oneLine(text)
}

// missingText says where a part of a record is that its letter does not hold.
func missingText(p *letters.Part, where string) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("not in the letter: %d bytes, SHA-256 %s; %s", p.Bytes, p.Digest, where)
}

// bytesText is a key, a value or a header's as it stands where it is text on one line,
// else as JSON has it.
func bytesText(b []byte, null string) string {
	switch {
	case b == nil:
		return null
	case !utf8.Valid(b):
		return "base64 " + base64.StdEncoding.EncodeToString(b)
	case len(b) == 0 || bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' }) || len(bytes.TrimSpace(b)) < len(b):
		return string(quoted(string(b)))
	}
	return string(b)
}
