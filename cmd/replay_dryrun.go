package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/preview"
)

// replayTries decides the records of a window and looks their keys up.
type replayTries struct {
	r       *replaying
	ctx     context.Context
	preview *preview.Preview
	items   []preview.Item
	counts  map[string]int64
	expires time.Time
	// effects counts the writes that would be made.
	effects int
	err     error
}

func (r *replaying) tries(ctx context.Context) (*replayTries, error) {
	topicIDs, err := topicIDs(ctx, r.cluster.admin)
	if err != nil {
		return nil, err
	}
	deps := preview.Deps{Version: r.app.version(), Logger: r.log,
		TopicID: func(topic string) ([16]byte, bool) { id, ok := topicIDs[topic]; return id, ok }}
	if r.pipeline.Idempotency != nil && !r.flags.force {
		if deps.Keys, err = keys.NewReader(r.plan.Store, r.app.state(), r.log); err != nil {
			return nil, err
		}
	}
	p, err := preview.New(ctx, r.plan, r.plan.Pipelines, deps)
	if err != nil {
		return nil, err
	}
	return &replayTries{r: r, ctx: ctx, preview: p, counts: map[string]int64{}}, nil
}

// add takes one record of the window.
func (t *replayTries) add(rec *handlers.Record) {
	t.items = append(t.items, preview.Item{Record: rec, Pipelines: []int{0}})
	if len(t.items) == 1000 {
		t.flush()
	}
}

func (t *replayTries) flush() {
	if t.err != nil || len(t.items) == 0 {
		return
	}
	results, err := t.preview.DryRun(t.ctx, t.items)
	t.items, t.err = t.items[:0], err
	for i := range results {
		t.count(&results[i])
	}
}

func (t *replayTries) count(r *preview.Result) {
	word := string(r.Outcome)
	if r.Halt != "" {
		word = string(r.Halt)
	}
	guard := t.r.pipeline.Idempotency
	if guard != nil && !t.r.flags.force && !t.r.flags.forgotten && r.Outcome == outcome.Delivered &&
		r.Record.Time.Add(guard.TTL).Before(time.Now()) {
		word = outcome.ReasonForgotten
	}
	t.counts[word]++
	for _, w := range r.Writes {
		if w.Outcome == outcome.Delivered {
			t.effects++
		}
		if w.Row != nil && !w.Here && w.Outcome == outcome.Duplicate &&
			(t.expires.IsZero() || w.Row.Expires.Before(t.expires)) {
			t.expires = w.Row.Expires
		}
	}
}

// end decides what is left, and tells how many effects there would be.
func (t *replayTries) end() (effects int, err error) {
	t.flush()
	return t.effects, t.err
}

// say shows what a replay would do.
func (t *replayTries) say(c *jobs.Counted) error {
	out := t.r.app.out
	if t.r.flags.format == "json" {
		return json.NewEncoder(out).Encode(map[string]any{"records": c.Records, "counts": t.counts})
	}
	for _, word := range jobWords(t.counts) {
		fmt.Fprintf(out, "  %-14s %9d  %s\n", word, t.counts[word], wouldBe[word])
	}
	if !t.expires.IsZero() {
		fmt.Fprintf(out, "the first key of what is done already is forgotten at %s\n", stamp(t.expires))
	}
	return nil
}

// wouldBe says in words what a replay would do of each count.
var wouldBe = map[string]string{
	string(outcome.Delivered): "would be delivered", string(outcome.Duplicate): "done already",
	string(outcome.Filtered): "would be filtered", string(outcome.Unmatched): "no route would take",
	string(outcome.Dropped): "would be dropped", string(outcome.DeadLettered): "would be dead-lettered",
	outcome.ReasonForgotten:  "may have been done and forgotten: --forgotten makes them",
	outcome.ReasonSourceGone: "lack a part that the source does not hold any more",
	string(preview.HaltStop): "would stop the replay", string(preview.HaltBlock): "would stand still",
	string(preview.HaltWait): "would wait for another holder of their key",
}
