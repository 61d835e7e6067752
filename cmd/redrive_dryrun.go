package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
)

// dryRun decides the letters that were found within spans, looks their keys up, and
// counts what would become of them.
func (r *redriving) dryRun(ctx context.Context, found *jobs.Listing, spans []api.Span) (err error) {
	deps := preview.Deps{Version: r.app.version(), Logger: r.log}
	if r.pipeline.Idempotency != nil {
		if deps.Keys, err = keys.NewReader(r.plan.Store, r.app.state(), r.log); err != nil {
			return err
		}
	}
	pipelines := []*plan.Pipeline{jobs.PlanOf(r.job.Kind, r.pipeline)}
	p, err := preview.New(ctx, r.plan, pipelines, deps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	chosen := chosenOf(found, spans)
	counts := map[string]int64{}
	var items []preview.Item
	decide := func() error {
		results, err := p.DryRun(ctx, items)
		items = items[:0]
		for i := range results {
			word := string(results[i].Outcome)
			if results[i].Halt != "" {
				word = string(results[i].Halt)
			}
			counts[word]++
		}
		return err
	}
	err = r.letters.Each(ctx, chosen, func(l *jobs.Letter) error {
		switch err := r.letters.Whole(ctx, &l.Letter); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, letters.ErrSourceGone):
			counts[outcome.ReasonSourceGone]++
			return nil
		case err != nil:
			counts[string(outcome.DeadLettered)]++
			return nil
		}
		items = append(items, preview.Item{Record: &l.Record, Pipelines: []int{0}, Letter: &l.Letter})
		if len(items) == lettersAtATime {
			return decide()
		}
		return nil
	})
	if err == nil {
		err = decide()
	}
	if err != nil {
		return err
	}
	if r.flags.format == "json" {
		return json.NewEncoder(r.app.out).Encode(map[string]any{"records": len(chosen), "counts": counts})
	}
	for _, word := range jobWords(counts) {
		fmt.Fprintf(r.app.out, "  %-14s %9d  %s\n", word, counts[word], wouldBe[word])
	}
	return nil
}
