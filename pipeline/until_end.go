package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// goal is what a flow with an end waits for: that its group has committed up to where
// its topics ended when it started, whoever of the group did so. What an open
// transaction held back then does not count.
type goal struct {
	plan     *plan.Pipeline
	settings kafka.Settings
	admin    *kafka.Admin
	log      *slog.Logger
	// left are the partitions that are not done.
	left map[partitionName]*target
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
	// full tells that a record was found between at and end.
	full  bool
	stuck string
}

const (
	// goalEvery is how often the commits are looked at.
	goalEvery = 200 * time.Millisecond
	// stillFor is how long a commit must not have moved before it is asked
	// whether any record lies behind it.
	stillFor = 2 * time.Second
)

// newGoal takes down where the topics of a pipeline end now.
func newGoal(ctx context.Context, p *plan.Pipeline, settings kafka.Settings, cluster *kafka.Admin,
	log *slog.Logger) (*goal, error) {
	g := &goal{plan: p, settings: settings, admin: cluster, log: log}
	all, err := cluster.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("look where the topics end: %w", err)
	}
	var names []string
	for _, t := range all {
		if p.Reads(t.Name) {
			names = append(names, t.Name)
		}
	}
	if g.left, err = g.targets(ctx, names); err != nil {
		return nil, fmt.Errorf("look where the topics of pipeline %q end: %w", p.Name, err)
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

// look strikes out what is done, and tells whether nothing is left that could
// still be. ours is how the flow's own partitions fare, and stands why one of them goes on only
// once a person acts.
func (g *goal) look(ctx context.Context, ours []kafka.PartitionStatus,
	stands func(topic string, number int32) string) (done bool, err error) {
	if len(g.left) == 0 {
		return true, nil
	}
	committed, err := g.admin.Committed(ctx, g.plan.Source.Group)
	if err != nil {
		return false, err
	}
	own := map[partitionName]kafka.PartitionStatus{}
	for _, s := range ours {
		own[partitionName{s.Topic, s.Partition}] = s
	}
	done = true
	for name, t := range g.left {
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
			delete(g.left, name)
			continue
		}
		// An alarm counts where it has stood for a while: some pass by
		// themselves.
		t.stuck = ""
		if time.Since(t.since) >= stillFor {
			if s, ok := own[name]; ok {
				t.stuck = cmp.Or(s.Alarm, stands(name.topic, name.number))
			} else if t.stuck, err = g.elsewhere(ctx, name, t); err != nil {
				return false, err
			}
		}
		done = done && t.stuck != ""
	}
	return done, nil
}

// elsewhere tells why a partition stands still that this process does not read:
// another replica has an alarm where the log has not what comes after the commit.
func (g *goal) elsewhere(ctx context.Context, name partitionName, t *target) (string, error) {
	if t.at < 0 || g.plan.Source.ResetOutOfRange {
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
		return fmt.Sprintf("it belongs to another member of the group %q, and the log holds offsets %d to %d only",
			g.plan.Source.Group, first, end), nil
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
		t.at, t.since, t.full = at, time.Now(), false
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
	t.full = found
	return err == nil && !found
}

func (g *goal) anyRecord(ctx context.Context, name partitionName, t *target) (bool, error) {
	unreadable := false
	reader, err := kafka.NewReader(g.settings, kafka.Deps{Logger: g.log}, name.topic, kafka.ReadOptions{
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
	return len(records) > 0 || unreadable, nil
}

// verdict is nil where everything is done, else what stands still.
func (g *goal) verdict() error {
	var errs []error
	for name, t := range g.left {
		errs = append(errs, fmt.Errorf("pipeline %q: %s stands still before the end, at offset %d of %d: %s",
			g.plan.Name, name, t.at, t.end, t.stuck))
	}
	return errors.Join(errs...)
}

// newGoals takes down what each pipeline has to do until the end; nil where the run has
// no end.
func (r *Runner) newGoals(ctx context.Context) (map[*plan.Pipeline]*goal, error) {
	if !r.deps.UntilEnd {
		return nil, nil
	}
	goals := map[*plan.Pipeline]*goal{}
	for _, p := range r.plan.Pipelines {
		g, err := newGoal(ctx, p, r.settings, r.admin, r.deps.Logger)
		if err != nil {
			return nil, err
		}
		goals[p] = g
	}
	return goals, nil
}

// awaitEnd tells reached once every flow has done what it has to, or can't any more. It
// returns early when ctx ends, and at once where the run has no end.
func (r *Runner) awaitEnd(ctx context.Context, reached chan<- error) {
	if !r.deps.UntilEnd {
		return
	}
	for {
		done, err := r.atEnd(ctx)
		if err != nil && ctx.Err() == nil {
			r.deps.Logger.Warn("how far the groups are can't be asked for yet", "err", err)
		}
		if done {
			reached <- r.verdict()
			return
		}
		if !clock.Sleep(ctx, goalEvery) {
			return
		}
	}
}

func (r *Runner) atEnd(ctx context.Context) (bool, error) {
	for _, f := range r.supervisor.all() {
		if f.stopped() != nil {
			continue
		}
		if done, err := f.goal.look(ctx, f.subscriber.Status(), f.delivery.Stands); !done || err != nil {
			return false, err
		}
	}
	return true, nil
}

// verdict is nil where every flow is done.
func (r *Runner) verdict() error {
	var errs []error
	for _, f := range r.supervisor.all() {
		if err := f.stopped(); err != nil {
			errs = append(errs, fmt.Errorf("pipeline %q stopped before the end: %w", f.plan.Name, err))
			continue
		}
		errs = append(errs, f.goal.verdict())
	}
	err := errors.Join(errs...)
	if err == nil {
		r.deps.Logger.Info("every pipeline is done with what its topics held at the start")
	}
	return err
}
