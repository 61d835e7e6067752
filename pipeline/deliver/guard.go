package deliver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/plan"
)

// guard is a pipeline's side of the idempotency store: it makes claims, and
// keeps those that errands hold alive.
type guard struct {
	plan   *plan.Idempotency
	store  idempotency.Store
	run    *idempotency.Run
	holder idempotency.Holder
	pauses *pauses
	timing clock.Timing

	mu      sync.Mutex
	errands map[*errand]struct{}
	// mine holds who of this process is at a key: another errand that wants it need
	// not ask the store, and can't take it over when the store was away for longer
	// than a lease.
	mine map[idempotency.ID]*job
	// away is since when the store has not answered, zero while it does; back is
	// when it answered again after it had been away for so long that leases ran out.
	away, back time.Time
	// unreleased are claims that could not be given back, until their lease is over.
	unreleased []heldClaim

	end  context.CancelFunc
	gone sync.WaitGroup
}

func newGuard(ctx context.Context, plan *plan.Idempotency, deps Deps, p *pauses, t clock.Timing) *guard {
	g := &guard{
		plan: plan, store: deps.Store, run: deps.Run, holder: deps.Holder, pauses: p, timing: t,
		errands: map[*errand]struct{}{}, mine: map[idempotency.ID]*job{},
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
func (g *guard) claimFor(pipeline, sink string, dec *decide.Decision, rec *handlers.Record) idempotency.Claim {
	c := decide.ClaimOf(g.plan, pipeline, sink, dec, rec)
	c.Token, c.Holder, c.Durable = g.run.Next(), g.holder, g.plan.OnUncertain == plan.ActionPark
	return c
}

func claimsOf(jobs []*job) []idempotency.Claim {
	claims := make([]idempotency.Claim, len(jobs))
	for i, j := range jobs {
		claims[i] = j.claim
	}
	return claims
}

// claim asks the store for the jobs' keys. A key that another errand of this process
// is at is Busy without being asked for.
func (g *guard) claim(effects context.Context, jobs []*job) ([]idempotency.Verdict, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(effects, storeTimeout)
	defer cancel()
	if err := g.answers(ctx); err != nil {
		return nil, err
	}
	verdicts := make([]idempotency.Verdict, len(jobs))
	asked := g.take(jobs, verdicts)
	if len(asked) == 0 {
		return verdicts, nil
	}
	answers, err := g.store.Claim(ctx, claimsOf(asked))
	g.saw(err)
	if err != nil {
		g.free(slices.DeleteFunc(slices.Clone(asked), func(j *job) bool { return j.held }))
		return nil, err
	}
	next := 0
	for i, j := range jobs {
		if verdicts[i].Answer != 0 {
			continue
		}
		verdicts[i] = answers[next]
		next++
		j.asked = false
		if a := verdicts[i].Answer; a != idempotency.Go && a != idempotency.GoUncertain {
			g.free([]*job{j})
		}
	}
	return verdicts, nil
}

// take notes that jobs are at their keys, and returns those to ask the store for;
// the verdict of the others is Busy.
func (g *guard) take(jobs []*job, verdicts []idempotency.Verdict) []*job {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := make([]*job, 0, len(jobs))
	for i, j := range jobs {
		if other := g.mine[j.claim.ID]; other != nil && other != j {
			verdicts[i].Answer = idempotency.Busy
			continue
		}
		g.mine[j.claim.ID] = j
		j.asked = true
		asked = append(asked, j)
	}
	return asked
}

// free notes that jobs are no longer at their keys.
func (g *guard) free(jobs []*job) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, j := range jobs {
		if g.mine[j.claim.ID] == j {
			delete(g.mine, j.claim.ID)
		}
	}
}

// saw notes whether the store answered.
func (g *guard) saw(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.timing.Now()
	switch {
	case err != nil && g.away.IsZero():
		g.away = now
	case err == nil && !g.away.IsZero():
		if now.Sub(g.away) >= g.plan.Lease*2/3 {
			g.back = now
		}
		g.away = time.Time{}
	}
}

// answers returns why claims have to wait: while the store is away it is asked for
// something that changes nothing, and once it is back from an absence that leases
// did not outlast, those who hold claims have a moment to extend or confirm them
// before anybody takes them over.
func (g *guard) answers(ctx context.Context) error {
	g.mu.Lock()
	away := !g.away.IsZero()
	g.mu.Unlock()
	if away {
		if look, ok := g.store.(idempotency.Inspector); ok {
			_, err := look.Get(ctx, []idempotency.ID{{}})
			g.saw(err)
			if err != nil {
				return err
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timing.Now().Sub(g.back) < settleTime {
		return errSettling
	}
	return nil
}

// settleTime is how long claims wait once the store is back: longer than a confirm
// rests between two tries.
const settleTime = time.Second

var errSettling = errors.New("the key store is back: claims wait a moment for those who hold keys to renew them")

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
		g.saw(err)
		if err == nil {
			g.pauses.clear(pauseStore)
			return states, true
		}
		if effects.Err() != nil {
			return nil, false
		}
		g.pauses.set(pauseStore, err)
		g.timing.Sleep(effects, g.timing.Jitter(clock.Exponential(storeRetry, time.Second, n)))
	}
}

// release gives claims back, and tells whether the store took it.
func (g *guard) release(effects context.Context, jobs []*job) bool {
	if len(jobs) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(effects), releaseTimeout)
	defer cancel()
	_, err := g.store.Settle(ctx, claimsOf(jobs), idempotency.Released)
	g.saw(err)
	return err == nil
}

// leave tells the store what jobs met whose claims stay: whoever finds these says so.
func (g *guard) leave(effects context.Context, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(effects), releaseTimeout)
	defer cancel()
	_, err := g.store.Extend(ctx, claimsOf(jobs))
	g.saw(err)
}

// park keeps the keys of jobs, whose dead letters are written, from being claimed
// by anything but a redrive. It tries until the store answers; false means that
// effects ended first.
func (g *guard) park(effects context.Context, e *errand, jobs []*job) bool {
	if g == nil || len(jobs) == 0 {
		return true
	}
	claims := claimsOf(jobs)
	for n := 1; ; n++ {
		ctx, cancel := context.WithTimeout(effects, storeTimeout)
		_, err := g.store.Settle(ctx, claims, idempotency.ParkedAway)
		cancel()
		g.saw(err)
		if err == nil {
			g.pauses.clear(pauseStore)
			e.drop(jobs...)
			return true
		}
		if effects.Err() != nil {
			return false
		}
		g.pauses.set(pauseStore, err)
		g.timing.Sleep(effects, g.timing.Jitter(clock.Exponential(storeRetry, time.Second, n)))
	}
}

// keep has the errand's held claims extended until forget.
func (g *guard) keep(e *errand) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errands[e] = struct{}{}
}

func (g *guard) forget(e *errand) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.errands, e)
	if len(g.errands) == 0 {
		g.pauses.forget(pauseStore)
	}
}

// uncertain is how many claims are held for calls that may have taken effect, and
// are not being made now.
func (g *guard) uncertain() int {
	n := 0
	g.mu.Lock()
	defer g.mu.Unlock()
	for e := range g.errands {
		e.mu.Lock()
		for _, j := range e.held {
			if j.claim.Answer != "" && !slices.Contains(e.run, j) {
				n++
			}
		}
		e.mu.Unlock()
	}
	return n
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

// IsReset tells whether the store lost its memory, rather than being down.
func IsReset(err error) bool { return errors.As(err, new(*idempotency.ResetError)) }

// storeDown does what `on_store_error` wants: block, or go on unguarded. Lost
// memory always blocks: whether to go on then is not for this setting to say.
func (e *errand) storeDown(run, asked []*job, err error) []*job {
	g := e.d.guard
	if errors.Is(err, errSettling) {
		for _, j := range run {
			j.next = e.d.timing.Now().Add(settleTime / 10)
		}
		return nil
	}
	g.pauses.set(pauseStore, err)
	if g.plan.OnStoreError == plan.ActionProcess && !IsReset(err) {
		for _, j := range asked {
			j.unguarded = true
		}
		return run
	}
	for _, j := range run {
		j.polls++
		j.next = e.d.timing.Now().Add(e.d.timing.Jitter(clock.Exponential(storeRetry, time.Second, j.polls)))
	}
	return nil
}

// identity is what a sink that keeps its own keys is told of a job's effect.
func (e *errand) identity(j *job, dec decide.Decision) *handlers.Identity {
	id := &handlers.Identity{Pipeline: e.d.plan.Name, Sink: e.gate.plan.Name, Generation: 1, ID: j.claim.ID}
	if g := e.d.guard; g != nil {
		id.Generation, id.Key, id.Digest, id.TTL = g.plan.Generation, dec.Key, dec.Digest, g.plan.TTL
		id.OnConflict, id.OnUncertain = string(g.plan.OnConflict), string(g.plan.OnUncertain)
	}
	if l := e.w.letter(j.index); l != nil && l.Sink != "" {
		id.Redrive, id.Generation = true, l.GenerationOr(id.Generation)
	}
	return id
}

// refused notes why a job is dead-lettered without a write.
func (e *errand) refused(j *job, err error) *job {
	j.failed(&handlers.Failure{Err: err}, e.d.timing.Now())
	return j
}
