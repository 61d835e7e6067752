package jobs

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/plan"
)

// QueryOf is what a redrive or a discard chooses among the letters of a pipeline. where
// is its condition, nil for none.
func QueryOf(job api.Job, p *plan.Pipeline, where *Where) (Query, error) {
	c := job.Letters
	q := Query{Reasons: c.Reasons, Stages: c.Stages, Sinks: c.Sinks, Since: job.From, Until: job.To, Round: c.Round,
		MostRounds: c.MostRounds}
	if where != nil {
		q.Where = where.Holds
	}
	if len(c.IDs) > 0 {
		q.IDs = map[ID]bool{}
	}
	for _, text := range c.IDs {
		id, err := ParseID(text)
		if err != nil {
			return q, err
		}
		q.IDs[id] = true
	}
	if job.Kind == api.Redrive {
		q.Known = []string{}
		for _, s := range p.Sinks() {
			q.Known = append(q.Known, s.Name)
		}
	}
	return q, nil
}

// PlanOf is the plan by which a job of a kind does what it does. What of a letter fails
// again is a letter again: there is nothing to be gained by dropping it, or by stopping.
func PlanOf(kind api.JobKind, p *plan.Pipeline) *plan.Pipeline {
	if kind == api.Replay {
		return p
	}
	own := *p
	own.OnError = plan.ActionDeadLetter
	if own.Unmatched == plan.ActionStop {
		own.Unmatched = plan.ActionDeadLetter
	}
	if kind == api.Discard && p.Idempotency != nil {
		guard := *p.Idempotency
		guard.OnConflict, guard.OnUncertain, guard.OnStoreError =
			plan.ActionDuplicate, plan.ActionRetry, plan.ActionBlock
		own.Idempotency = &guard
	}
	return &own
}

// Spans are where the letters lie that were found, and how many of them there are: not
// more than most, where that is above 0. Of each partition they are the first ones, so
// that what is chosen within the spans is the same again; among partitions the oldest.
func (l *Letters) Spans(found *Listing, most int) ([]api.Span, int) {
	queues := map[int32][]int64{}
	for _, id := range found.Found {
		queues[id.Partition] = append(queues[id.Partition], id.Offset)
	}
	for _, queue := range queues {
		slices.Sort(queue)
	}
	spans, n := map[int32]*api.Span{}, 0
	for number, end := range found.Ends {
		spans[number] = &api.Span{Topic: l.Topic, TopicID: found.TopicID, Partition: number, From: end, Next: end,
			Until: end}
	}
	for _, id := range found.Found {
		if n == most && most > 0 {
			break
		}
		next := queues[id.Partition][0]
		queues[id.Partition] = queues[id.Partition][1:]
		s := spans[id.Partition]
		if s.From == s.Until || s.From > next {
			s.From, s.Next = next, next
		}
		s.Until = next + 1
		n++
	}
	all := make([]api.Span, 0, len(spans))
	for _, number := range slices.Sorted(maps.Keys(spans)) {
		all = append(all, *spans[number])
	}
	return all, n
}

// Selection are the letters that a job is to do.
type Selection struct {
	chosen map[int32]*bits
	// Done is how the same job resolved letters that it has no commit of: it was killed
	// before.
	Done map[ID]letters.Result
	// Late are letters that failed again before the job was killed, and whose next one is
	// written: that they are replaced is still to be said.
	Late []ID
}

// Has tells whether a record of the dead-letter topic is one of the letters. It may be
// called concurrently.
func (s *Selection) Has(r *handlers.Record) bool { return s.chosen[r.Partition].has(r.Offset) }

// Select chooses the letters within spans that are still to be done. It is the same
// again whenever it is asked, but for those that were resolved meanwhile and those
// that another letter took the place of.
func (l *Letters) Select(ctx context.Context, job api.Job, q Query, spans []api.Span) (*Selection, error) {
	s := &Selection{chosen: map[int32]*bits{}, Done: map[ID]letters.Result{}}
	within := map[int32]api.Span{}
	q.Ends = map[int32]int64{}
	for _, span := range spans {
		within[span.Partition], q.Ends[span.Partition] = span, span.Until
		s.chosen[span.Partition] = &bits{start: span.Next, end: span.Until}
	}
	late := map[ID]bool{}
	q.Each = func(id ID) { s.chosen[id.Partition].set(id.Offset, true) }
	q.Late = func(id ID) { late[id] = id.Offset >= within[id.Partition].Next }
	_, err := l.list(ctx, q, func(r letters.Resolution) {
		id := ID{r.Letter.Partition, r.Letter.Offset}
		delete(s.Done, id)
		if r.Job == job.ID && id.Offset >= within[id.Partition].Next && id.Offset < within[id.Partition].Until {
			s.Done[id] = r.How
		}
	})
	for id, is := range late {
		if is {
			s.Late = append(s.Late, id)
		}
	}
	slices.SortFunc(s.Late, func(a, b ID) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return s, err
}
