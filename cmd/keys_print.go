package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/preview"
)

// namedKey is one key by what its identity is made of.
type namedKey struct {
	Pipeline   string `json:"pipeline"`
	Sink       string `json:"sink"`
	Generation int    `json:"generation"`
	Key        string `json:"key"`
}

// print shows what the store keeps of a key, and the sink where it keeps keys itself; row
// is nil where the store keeps nothing.
func (k namedKey) print(w io.Writer, format string, row *idempotency.Row, kept *handlers.Kept, keeps bool) error {
	if format == "json" {
		return json.NewEncoder(w).Encode(struct {
			namedKey
			Row  *idempotency.Row  `json:"row"`
			Kept *preview.KeptJSON `json:"kept,omitempty"`
		}{k, row, preview.NewKeptJSON(kept)})
	}
	if keeps {
		fmt.Fprintf(w, "%s %s: the sink itself keeps %s\n", k.Pipeline, k.Sink, preview.KeptText(kept))
	}
	if row == nil && kept != nil {
		return nil
	}
	if row == nil {
		_, err := fmt.Fprintf(w, "%s %s: not there\n", k.Pipeline, k.Sink)
		return err
	}
	said := row.State.String()
	if row.Uncertain {
		said += ", uncertain: an earlier holder went silent"
	}
	fmt.Fprintf(w, "%s %s: %s\n", k.Pipeline, k.Sink, said)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "  %s\t%s\n", name, value)
		}
	}
	line("record", row.Origin.String())
	line("claimed", joined(when(row.ClaimedAt),
		fmt.Sprintf("by %s (pid %d, run %s)", row.Holder.Host, row.Holder.PID, row.Holder.Run)))
	if row.State == idempotency.Claimed {
		line("lease until", when(row.Deadline))
	}
	line("confirmed", when(row.ConfirmedAt))
	line("answer", row.Answer)
	line("remembered until", when(row.Expires))
	line("digest", row.Digest.String())
	return table.Flush()
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
