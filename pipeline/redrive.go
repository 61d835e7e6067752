package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// lettersWork is what a job that is about dead letters has beside any job: a redrive, or a
// discard.
type lettersWork struct {
	letters jobs.Letters
	query   jobs.Query
	redrive *deliver.Redrive
	// embedded tells that the broker is.
	embedded bool
	// chosen are the letters to do; nil until that is known.
	chosen atomic.Pointer[jobs.Selection]
}

// mostHeaders is by how much a letter may be larger than its record.
const mostHeaders = 64 << 10

func (r *Runner) lettersWork(w *work, p *plan.Pipeline) (*lettersWork, error) {
	if p.DeadLetter == "" {
		return nil, fmt.Errorf("pipeline %q has no dead letters: its dead_letter is off", p.Name)
	}
	query, err := jobs.QueryOf(w.job, p, w.where)
	if err != nil {
		return nil, err
	}
	l := &lettersWork{query: query, embedded: r.embedded, letters: jobs.Letters{
		Pipeline: p.Name, Topic: p.DeadLetter, Resolved: p.ResolvedLetters(),
		Settings: r.settings, Admin: r.admin, Deps: kafka.Deps{Logger: r.deps.Logger},
		Largest: p.Source.MaxRecordBytes,
	}}
	if l.letters.Largest > 0 {
		l.letters.Largest += mostHeaders
	}
	l.redrive = &deliver.Redrive{Resolved: p.ResolvedLetters(), By: w.job.By, Job: w.job.ID,
		Discard: w.job.Kind == api.Discard, Whole: func(ctx context.Context, letter *letters.Letter) error {
			whole := l.letters
			whole.Largest = p.Source.MaxRecordBytes
			return whole.Whole(ctx, letter)
		}}
	return l, nil
}

// redrives makes what is done again the dead letters that were chosen.
func (w *work) redrives(again *deliver.Again) {
	again.Redrive = w.letters.redrive
	// That a key is forgotten does not matter: of a letter it is known that its effect
	// was not made, or may not have been.
	again.Forgotten = true
	again.Admit = func(r *handlers.Record) bool {
		chosen := w.letters.chosen.Load()
		return chosen != nil && chosen.Has(r)
	}
}

// choose finds the letters to do, once nobody else can resolve any, and says what a
// killed run of the same job did not come to say.
func (w *work) choose(ctx context.Context, deps flowDeps) error {
	l := w.letters
	if err := l.makeResolved(ctx, deps); err != nil {
		return err
	}
	chosen, err := l.letters.Select(ctx, w.job, l.query, w.spans)
	if err != nil {
		return fmt.Errorf("choose the dead letters: %w", err)
	}
	for id, how := range chosen.Done {
		w.progress.Ended(l.letters.Topic, id.Partition, id.Offset, wordOf(how))
	}
	records := make([]*handlers.Record, len(chosen.Late))
	for i, id := range chosen.Late {
		records[i] = deliver.ResolutionRecord(l.redrive, letters.Resolution{How: letters.Replaced, Time: time.Now(),
			Letter: letters.Place{TopicID: w.spans[0].TopicID, Partition: id.Partition, Offset: id.Offset}})
	}
	if len(records) > 0 {
		if err := deps.producer.Produce(ctx, records); err != nil {
			return fmt.Errorf("write how dead letters were resolved: %w", err)
		}
	}
	for _, id := range chosen.Late {
		w.progress.Ended(l.letters.Topic, id.Partition, id.Offset, wordOf(letters.Replaced))
	}
	l.chosen.Store(chosen)
	return nil
}

// wordOf is what a job counts a letter as that was resolved.
func wordOf(how letters.Result) string {
	if how == letters.Replaced {
		return string(outcome.DeadLettered)
	}
	return string(how)
}

// makeResolved makes the topic of resolutions where it is missing, like the dead-letter
// topic.
func (l *lettersWork) makeResolved(ctx context.Context, deps flowDeps) error {
	there, err := l.letters.Admin.Topics(ctx, l.letters.Topic, l.letters.Resolved)
	if err != nil {
		return err
	}
	var like *kafka.Topic
	for i, t := range there {
		switch t.Name {
		case l.letters.Resolved:
			return nil
		case l.letters.Topic:
			like = &there[i]
		}
	}
	if like == nil {
		return fmt.Errorf("topic %q does not exist", l.letters.Topic)
	}
	configs := map[string]string{"cleanup.policy": "compact"}
	if l.embedded {
		configs = nil // it keeps everything
	}
	made, err := l.letters.Admin.CreateTopics(ctx, []string{l.letters.Resolved}, like.Partitions, like.Replication,
		configs)
	if err != nil {
		return fmt.Errorf("make the topic that notes which dead letters are done: %w", err)
	}
	if len(made) > 0 {
		deps.log.Info("a topic was made", "topic", l.letters.Resolved, "like", l.letters.Topic)
	}
	return nil
}

// openSinks opens the sinks of a flow; a discard has none to call.
func (w *work) openSinks(p *plan.Pipeline, env handlers.Env, open *closers) ([]handlers.Sink, error) {
	if w == nil || w.job.Kind != api.Discard {
		return openSinks(p, env, open)
	}
	sinks := make([]handlers.Sink, len(p.Sinks()))
	for i := range sinks {
		sinks[i] = nowhere{}
	}
	return sinks, nil
}

// nowhere takes every call and makes none.
type nowhere struct{}

// Render makes nothing: a discard asks for no request.
func (nowhere) Render(handlers.View) (any, error) {
	return nil, errors.New("a discard makes no request")
}

// Write does nothing.
func (nowhere) Write(context.Context, []handlers.Call) error { return nil }

// Close does nothing.
func (nowhere) Close(context.Context) error { return nil }
