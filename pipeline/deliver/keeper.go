package deliver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/plan"
)

// extendAll moves the deadlines of held claims every third of the lease, and at
// once when the store is back.
func (g *guard) extendAll(ctx context.Context) {
	tick := time.NewTicker(max(min(g.plan.Lease/6, time.Second), time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := g.dueForExtension()
		for len(due) > 0 && g.extend(ctx, due[:min(len(due), maxRun)]) {
			due = due[min(len(due), maxRun):]
		}
		g.releaseLate(ctx)
	}
}

// heldJob is a claim that the keeper extends, with the errand that holds it.
type heldJob struct {
	errand *errand
	job    *job
	claim  idempotency.Claim
}

// dueForExtension lists the held claims that were last renewed a third of a lease
// ago or, while the store is away, all.
func (g *guard) dueForExtension() []heldJob {
	var due []heldJob
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.timing.Now().Add(-g.plan.Lease/3 + g.plan.Lease/12)
	for e := range g.errands {
		e.mu.Lock()
		for _, j := range e.held {
			if !g.away.IsZero() || j.renewed.Before(before) {
				due = append(due, heldJob{e, j, j.claim})
			}
		}
		e.mu.Unlock()
	}
	return due
}

// extend moves deadlines once, and tells whether the store answered. A claim that
// went to somebody else is marked lost; one that could not be extended is not: it
// stays ours for as long as nobody takes it.
func (g *guard) extend(ctx context.Context, due []heldJob) bool {
	claims := make([]idempotency.Claim, len(due))
	for i, h := range due {
		claims[i] = h.claim
	}
	began := g.timing.Now()
	ctx, cancel := context.WithTimeout(ctx, max(min(g.plan.Lease/3, storeTimeout), time.Millisecond))
	states, err := g.store.Extend(ctx, claims)
	cancel()
	g.saw(err)
	if err != nil {
		return false
	}
	for i, h := range due {
		if states[i] == idempotency.Held {
			h.errand.renew(h.job, h.claim.Token, began)
		} else {
			h.errand.lose(h.job, h.claim.Token)
		}
	}
	return true
}

// renew notes that a job's claim was extended at a time.
func (e *errand) renew(j *job, token idempotency.Token, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if j.held && j.claim.Token == token {
		j.renewed = at
	}
}

// lose marks a job's claim as gone, unless it was confirmed or given back in the
// meantime. A write of which every claim is gone is cut off.
func (e *errand) lose(j *job, token idempotency.Token) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !j.held || j.claim.Token != token {
		return
	}
	j.lost.Store(true)
	if e.cancel != nil && !slices.ContainsFunc(e.run, func(j *job) bool { return !j.lost.Load() }) {
		e.cancel(errClaimLost)
	}
}

var errClaimLost = errors.New("the key's claim was lost while the call was under way")

// abandon is release for jobs that nobody goes on with: where the store does not
// answer, it is tried again in the background for as long as their lease lasts.
func (g *guard) abandon(effects context.Context, jobs []*job) {
	if g.release(effects, jobs) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.timing.Now().Add(g.plan.Lease)
	for _, c := range claimsOf(jobs) {
		g.unreleased = append(g.unreleased, heldClaim{c, until})
	}
}

// heldClaim is a claim that is to be given back.
type heldClaim struct {
	claim idempotency.Claim
	until time.Time
}

// releaseLate gives back what could not be before.
func (g *guard) releaseLate(ctx context.Context) {
	g.mu.Lock()
	now := g.timing.Now()
	g.unreleased = slices.DeleteFunc(g.unreleased, func(h heldClaim) bool { return !h.until.After(now) })
	some := slices.Clone(g.unreleased[:min(len(g.unreleased), maxRun)])
	g.mu.Unlock()
	if len(some) == 0 {
		return
	}
	claims := make([]idempotency.Claim, len(some))
	for i, h := range some {
		claims[i] = h.claim
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	_, err := g.store.Settle(ctx, claims, idempotency.Released)
	g.saw(err)
	if err == nil {
		g.mu.Lock()
		g.unreleased = slices.Delete(g.unreleased, 0, len(some))
		g.mu.Unlock()
	}
}

// stale tells whether a held claim may have run out, since it could not be
// extended for long. It is not lost for that: asked for again with its token, the
// store says whose it is.
func (e *errand) stale(j *job, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Sub(j.renewed) > e.d.guard.plan.Lease*2/3
}

// hold notes that the job's claim is ours, since a time, for the keeper to extend.
func (e *errand) hold(j *job, since time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.polls, j.renewed = 0, since
	if !j.held {
		j.held = true
		e.held = append(e.held, j)
	}
}

// drop notes that the claims of jobs are no longer ours, and gives each a new
// token to ask anew with.
func (e *errand) drop(jobs ...*job) {
	if len(jobs) == 0 {
		return
	}
	e.d.guard.free(jobs)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, j := range jobs {
		j.held = false
		j.lost.Store(false)
		j.claim.Token = e.d.guard.run.Next()
	}
	e.held = slices.DeleteFunc(e.held, func(j *job) bool { return !j.held })
}

// release gives back the claims of jobs whose effect certainly did not happen, so
// that none waits for a lease to run out and none is found uncertain. The others
// keep theirs. Where the store does not answer, all do.
func (e *errand) release(effects context.Context, jobs []*job) {
	if e.d.guard == nil {
		return
	}
	var idle []*job
	for _, j := range jobs {
		if j.held && !j.maybe {
			idle = append(idle, j)
		}
	}
	if e.d.guard.release(effects, idle) {
		e.drop(idle...)
	}
}

// giveBack releases, at the end of an errand, the claims whose effect certainly did
// not happen, also those that were asked for without an answer. The others stay,
// and are found as uncertain: where they are parked then, with what they met.
func (e *errand) giveBack(effects context.Context) {
	var idle, kept []*job
	for _, j := range e.held {
		if j.maybe {
			kept = append(kept, j)
		} else {
			idle = append(idle, j)
		}
	}
	for _, j := range e.jobs {
		if j.asked && !j.held && !j.maybe && !j.finished {
			idle = append(idle, j)
		}
	}
	e.d.guard.abandon(effects, idle)
	if e.d.guard.plan.OnUncertain == plan.ActionPark {
		e.d.guard.leave(effects, kept)
	}
	e.d.guard.free(e.held)
}
