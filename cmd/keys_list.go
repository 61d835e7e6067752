package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/keys"
)

// keyStates are the states of a key, in the order of its life.
func keyStates() []idempotency.State {
	return []idempotency.State{idempotency.Claimed, idempotency.Confirmed, idempotency.ParkedState}
}

// listing is what `millrace keys list` was asked for.
type listing struct {
	state  string
	most   int
	format string
}

func (a *app) keysListCommand(f *keysFlags) *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use: "list", Short: "List the keys that the store holds, by state",
		Long: `List goes through the store in small steps, which keep no pipeline waiting, and
shows in no particular order, of every key,

  ID         what receivers see as its Idempotency-Key; the store does not keep the
             text, pipeline or sink that it was made of
  STATE      claimed (a holder is at it, or went silent), confirmed (the effect is
             done) or parked (it waits for its dead letter); a ? marks a claim that
             was taken over from a holder that went silent
  UNTIL      of a claimed key the end of its lease, else when it is forgotten
  RECORD     the record that it was claimed for
  HOLDER     who claimed it

Keys that come or go meanwhile may be missing. Where nothing runs, the embedded
store's folder is opened until the list ends.`,
		Example: `  millrace keys list --state claimed
  millrace keys list -n -1 --format json | jq -r 'select(.row.record.topic == "orders") | .id'`,
		Args: noPipeline,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.keysList(cmd.Context(), l, *f) },
	}
	cmd.Flags().StringVar(&l.state, "state", "", "claimed, confirmed or parked; default all")
	cmd.Flags().IntVarP(&l.most, "limit", "n", 20, "at most that many, -1 for all")
	formatFlag(cmd, &l.format)
	return cmd
}

func (a *app) keysStatsCommand(f *keysFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "stats", Short: "Count the keys that the store holds, by state, with the oldest of each",
		Long: `Stats goes through the whole store in small steps, which keep no pipeline waiting,
and counts keys by state, with the oldest of each: by when it was claimed, or
confirmed. It tells too what the store takes: on its disk, or of Redis's memory,
with what else is there. While Redis resizes its table a key may count twice.
Where nothing runs, the embedded store's folder is opened until the count ends.`,
		Example: `  millrace keys stats
  millrace keys stats --format json | jq .states.claimed.keys`,
		Args: noPipeline,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.keysStats(cmd.Context(), format, *f) },
	}
	formatFlag(cmd, &format)
	return cmd
}

// noPipeline takes no arguments, and says why a pipeline can't be one.
func noPipeline(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("it takes no arguments, and was given %q: the store does not keep whose a key is; "+
			"`millrace keys get PIPELINE KEY` looks one up", args[0])
	}
	return nil
}

func (a *app) keysList(ctx context.Context, l listing, f keysFlags) error {
	if err := l.check(); err != nil {
		return err
	}
	w := newKeyWriter(a.out, l.format)
	left, more := l.most, false
	_, err := a.eachKey(ctx, f, "listed", func(k idempotency.Listed) (bool, error) {
		if l.state != "" && k.Row.State.String() != l.state {
			return true, nil
		}
		if more = left == 0; more {
			return false, nil
		}
		left--
		return true, w.write(k)
	})
	if err == nil {
		err = w.end()
	}
	if err != nil {
		return err
	}
	if more && !a.quiet {
		fmt.Fprintf(a.err, "there are more: -n %d shows as many again, -n -1 all; `millrace keys stats` counts them\n",
			2*l.most)
	}
	return nil
}

func (l listing) check() error {
	if err := checkFormat(l.format); err != nil {
		return err
	}
	if l.most == 0 || l.most < -1 {
		return usageError{fmt.Errorf("-n takes how many keys to show, or -1 for all, not %d", l.most)}
	}
	var names []string
	for _, s := range keyStates() {
		names = append(names, s.String())
		if l.state == s.String() {
			return nil
		}
	}
	if l.state == "" {
		return nil
	}
	hint := ""
	if near := diag.Nearest(l.state, names); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return usageError{fmt.Errorf("--state takes claimed, confirmed or parked, not %q%s", l.state, hint)}
}

// keyStats is what there is of keys in one state.
type keyStats struct {
	Keys   int               `json:"keys"`
	Oldest *idempotency.Row  `json:"oldest"`
	state  idempotency.State // of which it is
}

// add counts a key.
func (s *keyStats) add(row *idempotency.Row) {
	s.Keys++
	if s.Oldest == nil || s.since(row).Before(s.since(s.Oldest)) {
		s.Oldest = row
	}
}

// since is from when on a row has its state, as far as it tells.
func (s *keyStats) since(row *idempotency.Row) time.Time {
	if s.state == idempotency.Confirmed {
		return row.ConfirmedAt
	}
	return row.ClaimedAt
}

func (a *app) keysStats(ctx context.Context, format string, f keysFlags) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	counted := map[idempotency.State]*keyStats{}
	for _, s := range keyStates() {
		counted[s] = &keyStats{state: s}
	}
	all := 0
	bytes, err := a.eachKey(ctx, f, "counted", func(k idempotency.Listed) (bool, error) {
		all++
		counted[k.Row.State].add(k.Row)
		return true, nil
	})
	if err != nil {
		return err
	}
	if format == "json" {
		states := map[string]*keyStats{}
		for state, s := range counted {
			states[state.String()] = s
		}
		return json.NewEncoder(a.out).Encode(struct {
			Keys   int                  `json:"keys"`
			Bytes  int64                `json:"bytes"`
			States map[string]*keyStats `json:"states"`
		}{all, bytes, states})
	}
	table := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "STATE\tKEYS\tOLDEST\tITS RECORD")
	for _, state := range keyStates() {
		s := counted[state]
		since, record := "", ""
		if s.Oldest != nil {
			since, record = when(s.since(s.Oldest)), s.Oldest.Origin.String()
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", state, s.Keys, since, record)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s in all; the store takes %s\n", count(all, "key"), sizeText(bytes))
	return err
}

// keyStep is how many keys one step asks for.
const keyStep = 512

// eachKey visits the keys of the configuration's store until visit says that it is
// enough, and returns how many bytes the store takes, once all were visited. Between
// two steps it rests for as long as one took: pipelines go first.
func (a *app) eachKey(ctx context.Context, f keysFlags, verb string,
	visit func(idempotency.Listed) (more bool, err error)) (bytes int64, err error) {
	part, err := a.loadPart(only("kafka", "idempotency"))
	if err != nil {
		return 0, err
	}
	log, err := a.clientLogger()
	if err != nil {
		return 0, err
	}
	if _, err := a.processes(f.pid); err != nil {
		return 0, err
	}
	var store keys.Lister
	err = a.patiently("the key store has not answered yet", func() error {
		store, err = keys.NewLister(part.Plan.Store, a.state(), log)
		return err
	}, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	shown := a.newProgress(verb, 0)
	shown.noun = "key"
	defer shown.done()
	for from := ""; ; {
		began := time.Now()
		found, err := store.List(ctx, from, keyStep)
		if err != nil {
			return 0, err
		}
		took := time.Since(began)
		for _, k := range found.Keys {
			if more, err := visit(k); err != nil || !more {
				return 0, err
			}
		}
		shown.add(len(found.Keys), 0)
		if from = found.Next; from == "" {
			return found.Bytes, nil
		}
		if !clock.Sleep(ctx, took) {
			return 0, ctx.Err()
		}
	}
}

// keyWriter writes keys as they are found.
type keyWriter struct {
	w     io.Writer
	json  *json.Encoder // nil for text
	lines int
}

func newKeyWriter(w io.Writer, format string) *keyWriter {
	k := &keyWriter{w: w}
	if format == "json" {
		k.json = json.NewEncoder(w)
	}
	return k
}

const keyColumns = "%-26s  %-9s  %-20s  %-20s  %-20s  %s  %s\n"

func (w *keyWriter) write(k idempotency.Listed) error {
	if w.json != nil {
		return w.json.Encode(struct {
			ID  string           `json:"id"`
			Row *idempotency.Row `json:"row"`
		}{k.External, k.Row})
	}
	if w.lines++; w.lines == 1 {
		if _, err := fmt.Fprintf(w.w, keyColumns, "ID", "STATE", "CLAIMED", "CONFIRMED", "UNTIL", "RECORD",
			"HOLDER"); err != nil {
			return err
		}
	}
	row, until := k.Row, k.Row.Expires
	if row.State == idempotency.Claimed {
		until = row.Deadline
	}
	state := row.State.String()
	if row.Uncertain {
		state += "?"
	}
	_, err := fmt.Fprintf(w.w, keyColumns, k.External, state, second(row.ClaimedAt), second(row.ConfirmedAt),
		second(until),
		row.Origin, fmt.Sprintf("%s (pid %d)", row.Holder.Host, row.Holder.PID))
	return err
}

// end says where there was nothing to write, all keys looked at.
func (w *keyWriter) end() error {
	if w.json != nil || w.lines > 0 {
		return nil
	}
	_, err := fmt.Fprintln(w.w, "no such keys")
	return err
}

// second is a time to the second, - where there is none.
func second(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// sizeText is a number of bytes as people read it.
func sizeText(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	size, unit := float64(n), 0
	for ; size >= 1000 && unit < len(units)-1; unit++ {
		size /= 1000
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}
