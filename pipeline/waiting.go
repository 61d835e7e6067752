package pipeline

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/idempotency/redis"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/plan"
)

// errStopped ends a start that was told to stop while it waited.
var errStopped = errors.New("stopped while waiting")

const (
	// startEvery is how long a start rests between two tries of what it waits for.
	startEvery = time.Second
	// startTry bounds one of them.
	startTry = 30 * time.Second
)

// await calls try until it succeeds, for as long as what it meets may pass: a start
// does not depend on the order in which a machine's services come up. Meanwhile the
// status says what is waited for; each cause is logged once. It returns errStopped
// when ctx ends first.
func (r *Runner) await(ctx context.Context, what string, passes func(error) bool,
	try func(context.Context) error) error {
	defer r.setWaiting("")
	since := time.Now().UTC().Format(time.TimeOnly)
	said := map[string]bool{}
	stopped := func() error {
		r.deps.Logger.Info("stopped", "while_waiting_for", what)
		return errStopped
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, startTry)
		err := try(attempt)
		cancel()
		switch {
		case err == nil:
			if len(said) > 0 {
				r.deps.Logger.Info("the wait is over", "waited_for", what)
			}
			return nil
		case ctx.Err() != nil:
			return stopped()
		case !passes(err):
			return err
		}
		text := cause(err)
		r.setWaiting(fmt.Sprintf("waiting for %s since %s UTC: %s", what, since, text))
		if !said[text] {
			said[text] = true
			r.deps.Logger.Warn("waiting; the start goes on by itself once it answers", "waiting_for", what, "err", text)
		}
		if !clock.Sleep(ctx, startEvery) {
			return stopped()
		}
	}
}

// ownPort is this side's end of a connection, which is another one each time.
var ownPort = regexp.MustCompile(`\S+->`)

// cause is what an error says, the same each time that the same happens.
func cause(err error) string { return ownPort.ReplaceAllString(err.Error(), "") }

func (r *Runner) setWaiting(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = reason
}

// awaitCluster waits until a broker answers and the topics are there, and takes
// down where they end where the run has an end.
func (r *Runner) awaitCluster(ctx context.Context) (goals map[*plan.Pipeline]*goal, err error) {
	err = r.await(ctx, "Kafka", kafka.MayPass, func(ctx context.Context) error {
		asked, cancel := context.WithTimeout(ctx, clusterAnswer)
		err := r.admin.Answers(asked)
		cancel()
		if err != nil {
			return fmt.Errorf("no broker answers at %s: %w", r.brokers(), err)
		}
		if err := r.prepareTopics(ctx); err != nil {
			return err
		}
		goals, err = r.newGoals(ctx)
		return err
	})
	return goals, err
}

// awaitStore opens a shared key store once it answers.
func (r *Runner) awaitStore(ctx context.Context) (store keys.Store, err error) {
	err = r.await(ctx, "the key store", redis.MayPass, func(ctx context.Context) error {
		store, err = keys.Open(ctx, r.plan.Store, r.storeDeps(nil))
		return err
	})
	return store, err
}
