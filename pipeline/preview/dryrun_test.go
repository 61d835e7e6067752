package preview_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

const guarded = `
version: 1
pipelines:
  p:
    source: {topic: orders}
    idempotency: {key: 'k:${payload.id}', ttl: 8d, %s}
    sinks: [{stdout: {}}]
    %s
`

// TestVerdicts meets every state that a key can have in the store, and what an
// earlier record of the sample leaves of it.
func TestVerdicts(t *testing.T) {
	now := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	line := `{"offset": %d, "payload": {"id": 1%s}}` + "\n"
	first, same, other := fmt.Sprintf(line, 7, ""), fmt.Sprintf(line, 8, ""), fmt.Sprintf(line, 9, `, "n": 2`)
	row := func(state idempotency.State, deadline, expires time.Duration) *idempotency.Row {
		return &idempotency.Row{
			State: state, Digest: idempotency.DigestOf([]byte(`{"id": 1}`)), Origin: idempotency.Origin{Topic: "orders", Offset: 3},
			Token: idempotency.Token{Seq: 1}, ConfirmedAt: now.Add(-time.Hour), Deadline: now.Add(deadline), Expires: now.Add(expires),
		}
	}
	for name, c := range map[string]struct {
		guard, more string
		row         *idempotency.Row
		records     string
		want        string
	}{
		"new":                 {records: first + same + other, want: "delivered|duplicate|duplicate:conflict"},
		"done":                {row: row(idempotency.Confirmed, 0, time.Hour), records: first + other, want: "duplicate|duplicate:conflict"},
		"expired":             {row: row(idempotency.Confirmed, 0, 0), records: first + same, want: "delivered|duplicate"},
		"conflict to letters": {guard: "on_conflict: dead_letter", records: first + other + same, want: "delivered|dead_lettered:conflict|duplicate"},
		"conflict processed":  {guard: "on_conflict: process", records: first + other + other + first, want: "delivered|delivered|duplicate|delivered"},
		"busy":                {row: row(idempotency.Claimed, time.Second, time.Hour), records: first + same, want: "wait:busy|wait:busy"},
		"uncertain":           {row: row(idempotency.Claimed, 0, time.Hour), records: first + same, want: "delivered|duplicate"},
		"uncertain parked":    {guard: "on_uncertain: park", row: row(idempotency.Claimed, 0, time.Hour), records: first + same, want: "dead_lettered:uncertain|dead_lettered:parked"},
		"parked":              {row: row(idempotency.ParkedState, 0, time.Hour), records: first + other, want: "dead_lettered:parked|dead_lettered:parked"},
		"parked, no letters":  {more: "dead_letter: off", row: row(idempotency.ParkedState, 0, time.Hour), records: first, want: "block:parked"},
		"bad, no letters":     {more: "dead_letter: off", records: `{"payload": {}}`, want: "block:key_failed"},
		"bad stops":           {more: "on_error: stop", records: `{"payload": {}}`, want: "stop:key_failed"},
		"bad is dropped":      {more: "on_error: drop", records: `{"payload": {}}`, want: "dropped:key_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := load(t, fmt.Sprintf(guarded, c.guard, c.more), nil)
			store := &keyRows{now: now, rows: map[idempotency.ID]*idempotency.Row{idempotency.Identity("p", "stdout", 1, "k:1"): c.row}}
			var got []string
			for _, r := range decide(t, open(t, plan, store), plan, c.records) {
				text := string(r.Outcome) + string(r.Halt)
				if r.Reason != "" {
					text += ":" + r.Reason
				}
				got = append(got, text)
			}
			if strings.Join(got, "|") != c.want {
				t.Errorf("got %s, want %s", strings.Join(got, "|"), c.want)
			}
		})
	}
}

func TestAStoreThatDoesNotAnswerIsAnError(t *testing.T) {
	plan := load(t, fmt.Sprintf(guarded, "", ""), nil)
	store := &keyRows{err: errors.New("connection refused")}
	p := open(t, plan, store)
	items := itemsOf(t, plan, `{"payload": {"id": 1}}`)
	if _, err := p.DryRun(t.Context(), items); !errors.Is(err, store.err) {
		t.Errorf("got %v", err)
	}
	// Nothing is taken for known that was not looked up.
	store.err, store.now = nil, time.Now()
	store.rows = map[idempotency.ID]*idempotency.Row{idempotency.Identity("p", "stdout", 1, "k:1"): {
		State: idempotency.Confirmed, Digest: idempotency.DigestOf([]byte(`{"id": 1}`)), Expires: store.now.Add(time.Hour),
	}}
	results, err := p.DryRun(t.Context(), items)
	if err != nil || results[0].Outcome != "duplicate" {
		t.Errorf("then: %v %v", results, err)
	}
}

// TestASinkWaitsOnItsOwn: a record of which one write waits has no outcome yet,
// whatever the others have.
func TestASinkWaitsOnItsOwn(t *testing.T) {
	plan := load(t, strings.Replace(fmt.Sprintf(guarded, "", ""), "[{stdout: {}}]", "[{name: a, stdout: {}}, {name: b, stdout: {}}]", 1), nil)
	now := time.Now()
	store := &keyRows{now: now, rows: map[idempotency.ID]*idempotency.Row{idempotency.Identity("p", "b", 1, "k:1"): {
		State: idempotency.Claimed, Token: idempotency.Token{Seq: 1}, Deadline: now.Add(time.Minute), Expires: now.Add(time.Hour),
	}}}
	r := decide(t, open(t, plan, store), plan, `{"payload": {"id": 1}}`)[0]
	if r.Outcome != "" || r.Halt != "wait" || r.Writes[0].Outcome != "delivered" || r.Writes[1].Halt != "wait" {
		t.Errorf("%+v", r)
	}
}
