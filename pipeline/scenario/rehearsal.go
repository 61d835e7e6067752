package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency/memory"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// rehearsal is one test on its way.
type rehearsal struct {
	test     *plan.Test
	pipeline plan.Pipeline
	digest   string
	// unknown tells that unset variables stand for unknown text.
	unknown bool
	clock   *clock
	keys    *memory.Store
	sinks   []handlers.Sink
	life    *life
	lives   int
	got     []*got
	told    []Told
	// reached counts how often the process came to the point of its crash.
	reached int
	crashed bool
}

// rehearse takes a test's records through its pipeline, and closes what it
// opened.
func rehearse(ctx context.Context, plan *plan.Plan, test *plan.Test, unknown bool) (_ *rehearsal, err error) {
	in := &rehearsal{test: test, pipeline: *test.Pipeline, digest: plan.Digest, unknown: unknown,
		clock: &clock{now: begin()}}
	in.pipeline.Source.Drain = 0 // what has died finishes nothing
	in.keys = memory.New(in.clock.Now)
	in.keys.Owned = plan.Store.Embedded
	closeSinks, err := in.open(ctx)
	defer func() { err = errors.Join(err, closeSinks()) }()
	if err != nil {
		return nil, err
	}
	for i, r := range test.Records {
		copied := *r.Record
		in.got = append(in.got, &got{number: i + 1, record: &copied, outcome: outcome.Waiting})
	}
	in.start(ctx)
	defer func() { in.life.close() }()
	for _, group := range in.groups() {
		going, err := in.deliver(ctx, group)
		if err != nil || !going {
			return in, err
		}
	}
	return in, nil
}

// open opens the pipeline's sinks, which are never asked to write.
func (in *rehearsal) open(ctx context.Context) (closeAll func() error, err error) {
	var open []handlers.Sink
	closeAll = func() error {
		var errs []error
		for _, s := range open {
			errs = append(errs, s.Close(ctx))
		}
		return errors.Join(errs...)
	}
	for _, s := range in.pipeline.Sinks() {
		sink, err := s.Spec.Open(s.Config, handlers.Env{
			Pipeline: in.pipeline.Name, Name: s.Name, Producer: nowhere{}, Stdout: io.Discard,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return closeAll, fmt.Errorf("open sink %q: %w", s.Name, err)
		}
		open = append(open, sink)
		in.sinks = append(in.sinks, newScripted(sink, s, in))
	}
	return closeAll, nil
}

// nowhere is a producer that is never reached, since sinks do not write.
type nowhere struct{}

func (nowhere) Produce(context.Context, []*handlers.Record) error {
	return errors.New("a test writes to no topic")
}

// start begins a life.
func (in *rehearsal) start(ctx context.Context) {
	in.lives++
	in.life = newLife(ctx, in)
}

// groups are the records that come at once: each alone, or all of one partition
// up to the next that the clock must move for.
func (in *rehearsal) groups() [][]int {
	var groups [][]int
	for i, r := range in.test.Records {
		at := -1
		if in.test.Together {
			at = slices.IndexFunc(groups, func(g []int) bool {
				first := in.test.Records[g[0]]
				return first.Record.Topic == r.Record.Topic && first.Record.Partition == r.Record.Partition &&
					!in.pause(g[0]+1, i)
			})
		}
		if at < 0 {
			groups = append(groups, []int{i})
		} else {
			groups[at] = append(groups[at], i)
		}
	}
	return groups
}

// pause tells whether the clock moves before any of the records from a to b.
func (in *rehearsal) pause(a, b int) bool {
	return slices.ContainsFunc(in.test.Records[a:b+1], func(r plan.TestRecord) bool { return r.After > 0 })
}

// deliver takes a group of records through the pipeline, and through as many
// lives as it takes. It returns false where the pipeline does not go on.
func (in *rehearsal) deliver(ctx context.Context, group []int) (going bool, err error) {
	var records []*handlers.Record
	for _, i := range group {
		in.clock.advance(in.test.Records[i].After)
		if in.got[i].record.Time.IsZero() {
			in.got[i].record.Time = in.clock.Now()
		}
		in.decide(in.got[i])
		records = append(records, in.got[i].record)
	}
	for len(records) > 0 {
		finished, err := in.life.deliver(records)
		if err != nil {
			return false, err
		}
		// The offset moves over what is finished without a gap; the rest comes
		// again.
		left := slices.Index(finished, false)
		switch life := in.life; {
		case life.crashed:
			records = records[max(0, left):]
			life.close()
			in.keys.Restart()
			in.start(ctx)
			in.tell(nil, "", "the process starts again")
		case life.stopped != nil:
			in.unfinished(group, finished, len(records), outcome.Stopped, life.stopped)
			return false, nil
		case life.blocked:
			in.unfinished(group, finished, len(records), outcome.Blocked, errors.New("the pipeline waits without end"))
			return false, nil
		case left >= 0:
			return false, fmt.Errorf("record %d was given back unfinished", group[len(group)-len(records)+left]+1)
		default:
			return true, nil
		}
	}
	return true, nil
}

// unfinished says of the records of a group what they wait for: the first that
// is not finished is the cause.
func (in *rehearsal) unfinished(group []int, finished []bool, count int, as outcome.Outcome, why error) {
	for i, done := range finished {
		g := in.got[group[len(group)-count+i]]
		if !done {
			g.outcome, g.reason, g.err = as, "", why
			in.tell(g, "", string(as)+": "+why.Error())
			return
		}
	}
}

// decide notes what the pipeline makes of a record before anything happens.
func (in *rehearsal) decide(g *got) {
	dec, steps := decide.NewDecider(&in.pipeline, in.sinks).Trace(g.record)
	g.key, g.steps = dec.Key, steps
}
