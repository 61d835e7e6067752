package deliver

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
)

// Skips are the records that a person lets a pipeline go past: each ends as dropped,
// whether it is waited with or comes later. They may outlive a Delivery. The methods are
// safe for concurrent use; nil are none.
type Skips struct {
	// changes counts those that were added.
	changes atomic.Int64
	// some is how many there are now.
	some atomic.Int64

	mu      sync.Mutex
	records map[recordPlace][16]byte
	// waiting are woken when one is added.
	waiting map[*waker]struct{}
}

// recordPlace is where a record lies.
type recordPlace struct {
	topic  string
	number int32
	offset int64
}

type waker struct{ cancel context.CancelFunc }

// Add lets the pipeline go past a record, of the topic with an id; all zero is any.
func (s *Skips) Add(topic string, id [16]byte, partition int32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[recordPlace][16]byte{}
	}
	s.records[recordPlace{topic, partition, offset}] = id
	s.some.Store(int64(len(s.records)))
	s.changes.Add(1)
	for w := range s.waiting {
		w.cancel()
	}
}

// Remove forgets a record that is passed.
func (s *Skips) Remove(topic string, partition int32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, recordPlace{topic, partition, offset})
	s.some.Store(int64(len(s.records)))
}

// seen is how many were added so far.
func (s *Skips) seen() int64 {
	if s == nil {
		return 0
	}
	return s.changes.Load()
}

// has tells whether the pipeline is to go past a record.
func (s *Skips) has(r *handlers.Record, id [16]byte) bool {
	if s == nil || s.some.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of, there := s.records[recordPlace{r.Topic, r.Partition, r.Offset}]
	return there && (of == id || of == [16]byte{} || id == [16]byte{})
}

// wake is ctx, and ends when a record is added after those that were seen; stop must be
// called.
func (s *Skips) wake(ctx context.Context, seen int64) (woken context.Context, stop func()) {
	if s == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &waker{cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen() != seen {
		cancel()
	}
	if s.waiting == nil {
		s.waiting = map[*waker]struct{}{}
	}
	s.waiting[w] = struct{}{}
	return ctx, func() {
		s.mu.Lock()
		delete(s.waiting, w)
		s.mu.Unlock()
		cancel()
	}
}

// Standing is a record that a pipeline does not get past by itself, as far as can be told.
type Standing struct {
	Topic     string
	TopicID   [16]byte
	Partition int32
	Offset    int64
	// Sink is the one that does not take it, empty where it can't be decided.
	Sink string
	// Why is what it met.
	Why string

	// while is the pause without which it is only being tried again.
	while string
}

func standingAt(r *handlers.Record, id [16]byte, sink string, err error) *Standing {
	return &Standing{Topic: r.Topic, TopicID: id, Partition: r.Partition, Offset: r.Offset, Sink: sink,
		Why: err.Error()}
}

// Standing lists the records at which the pipeline stands, sorted.
func (d *Delivery) Standing() []Standing {
	p := d.pauses
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Standing
	for s := range p.met {
		if _, told := p.now[s.while]; told || s.while == "" {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(a, b Standing) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition),
			cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Sink, b.Sink))
	})
	return all
}

// Standing is the record that stopped the pipeline.
func (e *StopError) Standing() Standing { return *standingAt(e.Rec, e.topicID, "", e.err) }

// add notes that the pipeline stands at a record, until remove.
func (p *pauses) add(s *Standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.met[s] = struct{}{}
}

func (p *pauses) remove(s *Standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.met, s)
}

// stands notes that the pipeline stands at j, for as long as while is told.
func (e *errand) stands(j *job, while string, err error) {
	e.standsNot(j)
	j.stands = standingAt(j.rec, e.w.batch.TopicID, e.gate.plan.Name, err)
	j.stands.while = while
	e.d.pauses.add(j.stands)
}

// standsNot is the end of stands.
func (e *errand) standsNot(j *job) {
	if j.stands != nil {
		e.d.pauses.remove(j.stands)
		j.stands = nil
	}
}

// skip ends the jobs of records that a person lets the pipeline go past, and tells
// whether there are any. No call of theirs is under way.
func (e *errand) skip(effects context.Context) bool {
	seen := e.d.skips.seen()
	if seen == e.skipped {
		return false
	}
	e.skipped = seen
	some := false
	for _, j := range slices.Clone(e.jobs) {
		if j.finished || !e.d.skips.has(j.rec, e.w.batch.TopicID) {
			continue
		}
		if g := e.d.guard; g != nil {
			held := []*job{j}
			if !j.held || g.release(effects, held) {
				e.drop(held...)
			}
			if !g.disown(effects, j.rec, []idempotency.ID{j.claim.ID}) {
				continue // found again by the next start
			}
		}
		some = true
		e.at = e.d.timing.Now()
		e.end(j, outcome.Dropped, outcome.ReasonSkipped, nil)
	}
	return some
}

// disown has the store forget what was claimed for a record and is neither confirmed nor
// parked. It tries until the store answers; false means that effects ended first.
func (g *guard) disown(effects context.Context, rec *handlers.Record, ids []idempotency.ID) bool {
	look, ok := g.store.(idempotency.Inspector)
	if !ok || len(ids) == 0 {
		return true
	}
	for n := 1; ; n++ {
		ctx, cancel := context.WithTimeout(effects, storeTimeout)
		err := disown(ctx, look, rec, ids)
		cancel()
		g.saw(err)
		if err == nil {
			g.pauses.clear(pauseStore)
			return true
		}
		if effects.Err() != nil {
			return false
		}
		g.pauses.set(pauseStore, err)
		g.timing.Sleep(effects, g.timing.Jitter(clock.Exponential(storeRetry, time.Second, n)))
	}
}

func disown(ctx context.Context, store idempotency.Inspector, rec *handlers.Record, ids []idempotency.ID) error {
	rows, err := store.Get(ctx, ids)
	if err != nil {
		return err
	}
	own := idempotency.Origin{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset}
	var left []idempotency.ID
	for i, row := range rows {
		// What another record is at is not this one's.
		if row != nil && row.State == idempotency.Claimed && row.Origin == own {
			left = append(left, ids[i])
		}
	}
	if len(left) == 0 {
		return nil
	}
	_, err = store.Delete(ctx, left)
	return err
}

// pass ends records of a batch that a person lets the pipeline go past before anything
// is begun of them. What an earlier process claimed for them is given up.
func (d *Delivery) pass(effects context.Context, w *work) {
	decider := d.deciders.Get().(*decide.Decider)
	defer d.deciders.Put(decider)
	for _, i := range w.skipped {
		rec := w.batch.Records[i]
		if d.guard != nil && w.batch.Unreadable[i] == nil {
			dec := decider.Decide(rec)
			var ids []idempotency.ID
			for _, write := range dec.Writes {
				claim := decide.ClaimOf(d.guard.plan, d.plan.Name, d.gates[write.Sink].plan.Name, &dec, rec)
				ids = append(ids, claim.ID)
			}
			if !d.guard.disown(effects, rec, ids) {
				return
			}
		}
		w.finish(i, outcome.Dropped, outcome.ReasonSkipped, nil, d.timing.Now())
	}
}

// calls tells when the errands of a batch have ended.
type calls struct {
	left atomic.Int64
	over chan struct{} // nil where nobody asks
}

func (c *calls) await(errands int) {
	c.over = make(chan struct{})
	if c.left.Store(int64(errands)); errands == 0 {
		close(c.over)
	}
}

func (c *calls) called() {
	if c.over != nil && c.left.Add(-1) == 0 {
		close(c.over)
	}
}

// rest waits, less where a record is skipped meanwhile.
func (e *errand) rest(ctx context.Context, wait time.Duration) {
	woken, stop := e.d.skips.wake(ctx, e.skipped)
	defer stop()
	e.d.timing.Sleep(woken, wait)
}

// stand stands at records that could not be decided and belong into dead letters that are
// off, until ctx ends or a person lets the pipeline go past all of them. What is in order
// behind one comes with the batch's next delivery: once one is skipped it lasts only as
// long as its calls do.
func (d *Delivery) stand(ctx context.Context, w *work, refused []letter) {
	w.batch.Stuck(refused[0].index)
	w.batch.Waits()
	var over <-chan struct{}
	for seen := d.skips.seen(); len(refused) > 0 && ctx.Err() == nil; seen = d.skips.seen() {
		left := slices.DeleteFunc(slices.Clone(refused), func(l letter) bool {
			return d.skips.has(l.rec, w.batch.TopicID)
		})
		for _, l := range refused {
			if d.skips.has(l.rec, w.batch.TopicID) {
				w.end(l.index, outcome.Dropped, outcome.ReasonSkipped, nil, d.timing.Now())
				over = w.over
			}
		}
		if refused = left; len(refused) == 0 {
			return
		}
		woken, stop := d.skips.wake(ctx, seen)
		leave := d.pauses.stand(refused, w.batch.TopicID)
		d.timing.Wait(woken, over, -1)
		leave()
		stop()
		select {
		case <-over:
			return
		default:
		}
	}
}
