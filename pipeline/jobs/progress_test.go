package jobs

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
)

// Whatever the order in which records end, and however often whoever counts them is
// killed: what stands beside the commits counts each record before them once.
func TestProgressCountsEachRecordOnce(t *testing.T) {
	words := map[string]events.Event{
		"delivered": {Outcome: outcome.Delivered}, "duplicate": {Outcome: outcome.Duplicate},
		"forgotten": {Outcome: outcome.Dropped, Reason: outcome.ReasonForgotten}, "dropped": {Outcome: outcome.Dropped, Reason: outcome.ReasonUnmatched},
	}
	rapid.Check(t, func(t *rapid.T) {
		ends := make([]string, rapid.IntRange(1, 60).Draw(t, "records"))
		want := map[string]int64{}
		for i := range ends {
			// An empty word is a record that is not the job's.
			if ends[i] = rapid.SampledFrom([]string{"delivered", "duplicate", "forgotten", "dropped", ""}).Draw(t, "word"); ends[i] != "" {
				want[ends[i]]++
			}
		}
		job := api.Job{ID: "job-x", Kind: api.Replay, Pipeline: "p"}
		span := api.Span{Topic: "orders", Partition: 3, From: 100, Until: 100 + int64(len(ends)), Next: 100}
		for span.Next < span.Until {
			p := NewProgress(job, []api.Span{span})
			ended := map[int64]bool{}
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				if span.Next == span.Until {
					break
				}
				offset := rapid.Int64Range(span.Next, span.Until-1).Draw(t, "offset")
				if ended[offset] {
					continue
				}
				ended[offset] = true
				if e, ok := words[ends[offset-100]]; ok {
					e.Kind, e.Topic, e.Partition, e.Offset = events.Record, "orders", 3, offset
					p.Observe(e)
				}
				if !rapid.Bool().Draw(t, "commit") {
					continue
				}
				next := span.Next
				for ended[next] {
					next++
				}
				var n noted
				if err := json.Unmarshal([]byte(p.Note("orders", 3, next)), &n); err != nil || n.Job != job || n.From != 100 || n.Until != span.Until {
					t.Fatalf("%+v, %v", n, err)
				}
				span.Next, span.Counts = next, n.Counts
			}
		}
		if !maps.Equal(span.Counts, want) && len(want) > 0 {
			t.Fatalf("counted %v, want %v", span.Counts, want)
		}
	})
}

func TestProgressTotals(t *testing.T) {
	p := NewProgress(api.Job{}, []api.Span{{Topic: "a", Until: 9, Counts: map[string]int64{"delivered": 2}}, {Topic: "b", Until: 9}})
	e := events.Event{Kind: events.Record, Outcome: outcome.Delivered, Topic: "b", Offset: 4}
	p.Observe(e)
	p.Observe(e) // the same record of two batches is one
	e.Topic = "c"
	p.Observe(e) // not the job's
	e.Kind, e.Topic = events.Claim, "a"
	p.Observe(e)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, expires := range []time.Time{{}, at.Add(time.Hour), at, at.Add(time.Minute)} {
		p.Met(&idempotency.Row{Expires: expires})
	}
	p.Met(nil)
	counts, expires := p.Totals()
	if fmt.Sprint(counts) != "map[delivered:3]" || !expires.Equal(at) {
		t.Errorf("%v, %v", counts, expires)
	}
	if p.Note("c", 0, 1) != "" {
		t.Error("a partition that is not the job's has a note")
	}
}
