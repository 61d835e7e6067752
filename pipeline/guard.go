package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// guard is a pipeline's side of the idempotency store: it makes claims, and
// keeps those that lanes hold alive.
type guard struct {
	plan   *IdempotencyPlan
	store  idempotency.Store
	run    *idempotency.Run
	holder idempotency.Holder
	pauses *pauses
	timing timing
	warned atomic.Bool

	mu    sync.Mutex
	lanes map[*lane]struct{}
	end   context.CancelFunc
	gone  sync.WaitGroup
}

func newGuard(ctx context.Context, plan *IdempotencyPlan, deps DeliveryDeps, p *pauses, t timing) *guard {
	g := &guard{
		plan: plan, store: deps.Store, run: deps.Run, holder: deps.Holder, pauses: p, timing: t,
		lanes: map[*lane]struct{}{},
	}
	ctx, g.end = context.WithCancel(context.WithoutCancel(ctx))
	g.gone.Go(func() { g.extendAll(ctx) })
	return g
}

func (g *guard) close() {
	g.end()
	g.gone.Wait()
}

// claimFor makes the claim for one write.
func (g *guard) claimFor(pipeline, sink string, dec Decision, rec *handlers.Record) idempotency.Claim {
	c := idempotency.Claim{
		ID:     idempotency.Identity(pipeline, sink, g.plan.Generation, dec.Key),
		Token:  g.run.Next(),
		Digest: dec.Digest, Holder: g.holder,
		Origin: idempotency.Origin{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset},
		TTL:    g.plan.TTL, Lease: g.plan.Lease,
		Durable: g.plan.OnUncertain == ActionPark,
	}
	if g.plan.OnConflict == ActionProcess {
		c.Override |= idempotency.OverConflict
	}
	return c
}

func claimsOf(jobs []*job) []idempotency.Claim {
	claims := make([]idempotency.Claim, len(jobs))
	for i, j := range jobs {
		claims[i] = j.claim
	}
	return claims
}

func (g *guard) claim(effects context.Context, jobs []*job) ([]idempotency.Verdict, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(effects, storeTimeout)
	defer cancel()
	return g.store.Claim(ctx, claimsOf(jobs))
}

// confirm tries until the store answers or effects end; false means the latter.
func (g *guard) confirm(effects context.Context, jobs []*job) ([]idempotency.TokenState, bool) {
	if len(jobs) == 0 {
		return nil, true
	}
	claims := claimsOf(jobs)
	for i, j := range jobs {
		claims[i].Answer = j.call.Answer
	}
	for n := 1; ; n++ {
		ctx, cancel := context.WithTimeout(effects, storeTimeout)
		states, err := g.store.Confirm(ctx, claims)
		cancel()
		if err == nil {
			g.pauses.clear(pauseStore)
			return states, true
		}
		if effects.Err() != nil {
			return nil, false
		}
		g.pauses.set(pauseStore, err)
		g.timing.sleep(effects, g.timing.jitter(exponential(storeRetry, time.Second, n)))
	}
}

// settle ends the claims of jobs without a confirm. It is done once: where the
// store does not answer, the lease ends what is left.
func (g *guard) settle(effects context.Context, l *lane, jobs []*job, as idempotency.Settlement) {
	if g == nil {
		return
	}
	var held []*job
	for _, j := range jobs {
		if j.held {
			held = append(held, j)
		}
	}
	if len(held) == 0 || as == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(effects), storeTimeout)
	defer cancel()
	if _, err := g.store.Settle(ctx, claimsOf(held), as); err != nil {
		g.pauses.set(pauseStore, err)
	}
	l.drop(held...)
}

// keep has the lane's held claims extended until forget.
func (g *guard) keep(l *lane) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lanes[l] = struct{}{}
}

func (g *guard) forget(l *lane) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.lanes, l)
}

// extendAll moves the deadlines of all held claims every third of the lease.
func (g *guard) extendAll(ctx context.Context) {
	tick := time.NewTicker(max(g.plan.Lease/3, time.Millisecond))
	defer tick.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g.extend(ctx, &failures)
	}
}

// heldJob is a claim that the keeper extends, with the lane that holds it.
type heldJob struct {
	lane *lane
	job  *job
}

// extend moves all deadlines once. A claim that went to somebody else, and
// after two failed attempts every claim, is marked lost and its write is cut
// off: it must not be confirmed.
func (g *guard) extend(ctx context.Context, failures *int) {
	var all []heldJob
	var claims []idempotency.Claim
	g.mu.Lock()
	for l := range g.lanes {
		l.mu.Lock()
		for _, j := range l.held {
			all = append(all, heldJob{l, j})
			claims = append(claims, j.claim)
		}
		l.mu.Unlock()
	}
	g.mu.Unlock()
	if len(all) == 0 {
		*failures = 0
		return
	}
	ctx, cancel := context.WithTimeout(ctx, g.plan.Lease/3)
	states, err := g.store.Extend(ctx, claims)
	cancel()
	if err == nil {
		*failures = 0
	} else if *failures++; *failures < 2 {
		return
	}
	for i, h := range all {
		if err != nil || states[i] != idempotency.Held {
			h.lane.lose(h.job, claims[i].Token)
		}
	}
}

// lose marks a job's claim as gone and cuts its lane's write off, unless the
// claim was confirmed or given back in the meantime.
func (l *lane) lose(j *job, token idempotency.Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !j.held || j.claim.Token != token {
		return
	}
	j.lost.Store(true)
	if l.cancel != nil {
		l.cancel(errClaimLost)
	}
}

// lost is the loss of memory that the store waits for a person about.
func (g *guard) lost() error {
	if r, ok := g.store.(idempotency.Resetter); ok {
		if reset := r.Reset(); reset != nil {
			return reset
		}
	}
	return nil
}

// isReset tells whether the store lost its memory, rather than being down.
func isReset(err error) bool { return errors.As(err, new(*idempotency.ResetError)) }

// warnConflict says once that a repeated key came with other content.
func (g *guard) warnConflict(log *slog.Logger, rec *handlers.Record) {
	if g.warned.CompareAndSwap(false, true) {
		log.Warn("a repeated key came with other content; counted from here on", "record", coordinates(rec), "on_conflict", string(g.plan.OnConflict))
	}
}
