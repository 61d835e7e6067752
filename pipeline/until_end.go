package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millrace/millrace/pipeline/kafka"
)

// goal is what a run until the end waits for: that every group has committed
// up to where its topics ended when the run started, whoever of the group did
// so. What an open transaction held back then does not count.
type goal struct {
	r     *Runner
	admin *kafka.Admin
	// left are the partitions that are not done, by pipeline.
	left map[*flow]map[partitionName]*target
	ends map[*PipelinePlan]map[partitionName]*target
}

type partitionName struct {
	topic  string
	number int32
}

func (n partitionName) String() string { return fmt.Sprintf("%s/%d", n.topic, n.number) }

// target is how far one partition must get, and what is known of it.
type target struct {
	end int64
	// at is what the group had committed when it was last looked at, since is
	// when that changed.
	at    int64
	since time.Time
	// empty counts the times that no record was found between at and end, full
	// tells that one was.
	empty int
	full  bool
	stuck string
}

const (
	// goalEvery is how often the commits are looked at.
	goalEvery = 200 * time.Millisecond
	// stillFor is how long a commit must not have moved before it is asked
	// whether any record lies behind it.
	stillFor = 2 * time.Second
	// emptyReads is how often a log must be found empty behind a commit, since
	// one look at a broker that is slow finds nothing either.
	emptyReads = 2
)

// source is what a pipeline reads; a run until the end commits more often, since
// it waits for its commits.
func (r *Runner) source(p *PipelinePlan) kafka.Source {
	s := p.Source
	if r.deps.UntilEnd {
		s.CommitInterval = min(s.CommitInterval, goalEvery)
	}
	return s
}

// newGoal takes down where the topics end now; nil where the run has no end.
func (r *Runner) newGoal(ctx context.Context) (*goal, error) {
	if !r.deps.UntilEnd {
		return nil, nil
	}
	g := &goal{r: r, admin: r.admin, ends: map[*PipelinePlan]map[partitionName]*target{}}
	all, err := r.admin.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("look where the topics end: %w", err)
	}
	for _, p := range r.plan.Pipelines {
		var names []string
		for _, t := range all {
			if p.Reads(t.Name) {
				names = append(names, t.Name)
			}
		}
		if g.ends[p], err = g.targets(ctx, names); err != nil {
			return nil, fmt.Errorf("look where the topics of pipeline %q end: %w", p.Name, err)
		}
	}
	return g, nil
}

// targets are the partitions of topics that hold anything.
func (g *goal) targets(ctx context.Context, names []string) (map[partitionName]*target, error) {
	targets := map[partitionName]*target{}
	if len(names) == 0 {
		return targets, nil
	}
	starts, err := g.admin.StartOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	ends, err := g.admin.EndOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	for topic, partitions := range ends {
		for number, end := range partitions {
			if end > starts[topic][number] {
				targets[partitionName{topic, number}] = &target{end: end, at: -1}
			}
		}
	}
	return targets, nil
}

// await tells reached once the goal is reached, or can't be any more. It returns
// early when ctx ends.
func (g *goal) await(ctx context.Context, reached chan<- error) {
	if g == nil {
		return
	}
	g.left = map[*flow]map[partitionName]*target{}
	for _, f := range g.r.flows {
		g.left[f] = g.ends[f.plan]
	}
	for {
		done, err := g.look(ctx)
		if err != nil && ctx.Err() == nil {
			g.r.deps.Logger.Warn("how far the groups are can't be asked for yet", "err", err)
		}
		if done {
			reached <- g.verdict()
			return
		}
		if !sleep(ctx, goalEvery) {
			return
		}
	}
}

// look strikes out what is done, and tells whether nothing is left that could
// still be.
func (g *goal) look(ctx context.Context) (done bool, err error) {
	done = true
	for f, targets := range g.left {
		if len(targets) == 0 || f.stopped() != nil {
			continue
		}
		committed, err := g.admin.Committed(ctx, f.plan.Source.Group)
		if err != nil {
			return false, err
		}
		ours := map[partitionName]kafka.PartitionStatus{}
		for _, s := range f.subscriber.Status() {
			ours[partitionName{s.Topic, s.Partition}] = s
		}
		for name, t := range targets {
			at, ok := committed[name.topic][name.number]
			if !ok {
				at = -1
			}
			t.moved(at)
			finished, err := g.finished(ctx, name, t)
			if err != nil {
				return false, err
			}
			if finished {
				delete(targets, name)
				continue
			}
			// An alarm counts where it has stood for a while: some pass by
			// themselves.
			t.stuck = ""
			if time.Since(t.since) >= stillFor {
				if s, ok := ours[name]; ok {
					t.stuck = s.Alarm
				} else if t.stuck, err = g.elsewhere(ctx, f.plan, name, t); err != nil {
					return false, err
				}
			}
			done = done && t.stuck != ""
		}
	}
	return done, nil
}

// elsewhere tells why a partition stands still that this process does not read:
// another replica has an alarm where the log has not what comes after the commit.
func (g *goal) elsewhere(ctx context.Context, p *PipelinePlan, name partitionName, t *target) (string, error) {
	if t.at < 0 || p.Source.ResetOutOfRange {
		return "", nil
	}
	starts, err := g.admin.StartOffsets(ctx, name.topic)
	if err != nil {
		return "", err
	}
	ends, err := g.admin.EndOffsets(ctx, name.topic)
	if err != nil {
		return "", err
	}
	first, begun := starts[name.topic][name.number]
	end, ended := ends[name.topic][name.number]
	if begun && ended && (t.at < first || t.at > end) {
		return fmt.Sprintf("it belongs to another member of the group %q, and the log holds offsets %d to %d only", p.Source.Group, first, end), nil
	}
	return "", nil
}

// finished tells whether nothing is left to do of a partition.
func (g *goal) finished(ctx context.Context, name partitionName, t *target) (bool, error) {
	switch {
	case t.at < t.end:
		return g.behind(ctx, name, t), nil
	case t.at == t.end:
		return true, nil
	}
	// Beyond the log itself nothing was finished: records were lost, or the
	// start was set there.
	ends, err := g.admin.EndOffsets(ctx, name.topic)
	return err == nil && t.at <= ends[name.topic][name.number], err
}

// moved notes what the group has committed.
func (t *target) moved(at int64) {
	if at != t.at || t.since.IsZero() {
		t.at, t.since, t.empty, t.full = at, time.Now(), 0, false
	}
}

// behind tells whether no record lies between the commit and the end: what is
// there was compacted away, or is the end of a transaction, and a commit never
// moves over it.
func (g *goal) behind(ctx context.Context, name partitionName, t *target) bool {
	if t.at < 0 || t.full || time.Since(t.since) < stillFor {
		return false
	}
	found, err := g.anyRecord(ctx, name, t)
	switch {
	case err != nil:
		t.empty = 0
	case found:
		t.full = true
	default:
		t.empty++
	}
	return t.empty >= emptyReads
}

func (g *goal) anyRecord(ctx context.Context, name partitionName, t *target) (bool, error) {
	unreadable := false
	reader, err := kafka.NewReader(g.r.settings, kafka.Deps{Logger: g.r.deps.Logger}, name.topic, kafka.ReadOptions{
		Offsets: map[int32]int64{name.number: t.at}, Until: map[int32]int64{name.number: t.end},
		OnUnreadable: func(int32, int64, int64, error) { unreadable = true },
	})
	if err != nil {
		return false, err
	}
	defer reader.Close()
	records, err := reader.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if len(records) > 0 || unreadable {
		return true, nil
	}
	// A reader gives up on a partition that stays silent, also when the broker
	// is gone: only one that answers now was silent for want of records.
	_, err = g.admin.EndOffsets(ctx, name.topic)
	return false, err
}

// verdict is nil where everything is done, else what stands still.
func (g *goal) verdict() error {
	var errs []error
	for f, targets := range g.left {
		if err := f.stopped(); err != nil {
			errs = append(errs, fmt.Errorf("pipeline %q stopped before the end: %w", f.plan.Name, err))
			continue
		}
		for name, t := range targets {
			errs = append(errs, fmt.Errorf("pipeline %q: %s stands still before the end, at offset %d of %d: %s", f.plan.Name, name, t.at, t.end, t.stuck))
		}
	}
	if len(errs) == 0 {
		g.r.deps.Logger.Info("every pipeline is done with what its topics held at the start")
	}
	return errors.Join(errs...)
}
