package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/plan"
)

// supervisor starts, stops and replaces the flows of a process. Its methods are safe
// for concurrent use; those that change the same pipeline wait for each other.
type supervisor struct {
	deps flowDeps
	// changed tells that a flow has stopped by itself.
	changed chan struct{}

	mu       sync.Mutex
	flows    []*flow // in the order in which they were started
	changing map[string]*sync.Mutex
	watched  sync.WaitGroup
}

func newSupervisor(deps flowDeps) *supervisor {
	return &supervisor{deps: deps, changed: make(chan struct{}, 1), changing: map[string]*sync.Mutex{}}
}

// lock waits for whoever changes the pipeline of a name.
func (s *supervisor) lock(name string) (unlock func()) {
	s.mu.Lock()
	m := s.changing[name]
	if m == nil {
		m = new(sync.Mutex)
		s.changing[name] = m
	}
	s.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// start opens a pipeline and lets its records flow; one that runs already is an error.
// ctx is that of the process: the flow lasts until it is stopped.
func (s *supervisor) start(ctx context.Context, p *plan.Pipeline) error {
	defer s.lock(p.Name)()
	if s.find(p.Name) != nil {
		return fmt.Errorf("pipeline %q runs already", p.Name)
	}
	f, err := s.add(ctx, p)
	if err != nil {
		return err
	}
	return s.run(ctx, f)
}

// add opens a pipeline, without reading yet.
func (s *supervisor) add(ctx context.Context, p *plan.Pipeline) (*flow, error) {
	f, err := openFlow(ctx, p, s.deps)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.flows = append(s.flows, f)
	s.mu.Unlock()
	return f, nil
}

// run lets the records of an open flow flow. One that can't begin is closed and
// forgotten; one that fails later is drained at once: its other lanes finish, and its
// offset stays before the record that stopped it.
func (s *supervisor) run(ctx context.Context, f *flow) error {
	s.deps.pauses.apply(f)
	if err := f.start(ctx); err != nil {
		return errors.Join(fmt.Errorf("start pipeline %q: %w", f.plan.Name, err), s.discard(ctx, f))
	}
	s.watched.Go(func() { f.awaitRunning(ctx) })
	s.watched.Go(func() {
		select {
		case <-f.failed:
		case <-f.routing.done:
			if !f.routing.stopping.Load() {
				f.fail(errors.New("its router ended"))
			}
		}
		if f.stopped() == nil {
			return
		}
		f.keepPartitions()
		select {
		case s.changed <- struct{}{}:
		default:
		}
		if err := f.drain(); err != nil {
			f.log.Warn("close a stopped pipeline", "err", err)
		}
	})
	return nil
}

// stop drains the pipeline of a name, closes what it opened and forgets it; one that
// is not there is an error.
func (s *supervisor) stop(ctx context.Context, name string) error {
	defer s.lock(name)()
	return s.remove(ctx, name)
}

func (s *supervisor) remove(ctx context.Context, name string) error {
	f := s.find(name)
	if f == nil {
		return fmt.Errorf("there is no pipeline %q", name)
	}
	return s.discard(ctx, f)
}

func (s *supervisor) discard(ctx context.Context, f *flow) error {
	err := errors.Join(f.drain(), f.close(ctx))
	s.mu.Lock()
	s.flows = slices.DeleteFunc(s.flows, func(other *flow) bool { return other == f })
	s.mu.Unlock()
	return err
}

// replace puts a pipeline in the place of the one of the same name, unless nothing of it
// changed. The new one is opened first, and where that fails the old one runs on; then the
// old one is drained before the new one reads, so that no record is delivered by both.
func (s *supervisor) replace(ctx context.Context, p *plan.Pipeline) error {
	defer s.lock(p.Name)()
	switch old := s.find(p.Name); {
	case old == nil:
		return fmt.Errorf("there is no pipeline %q", p.Name)
	case old.plan.Digest == p.Digest && old.stopped() == nil:
		return nil
	}
	f, err := openFlow(ctx, p, s.deps)
	if err != nil {
		return err
	}
	err = s.remove(ctx, p.Name)
	f.tell(events.Replaced, nil)
	s.mu.Lock()
	s.flows = append(s.flows, f)
	s.mu.Unlock()
	return errors.Join(err, s.run(ctx, f))
}

// all are the flows there are now.
func (s *supervisor) all() []*flow {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.flows)
}

func (s *supervisor) find(name string) *flow {
	for _, f := range s.all() {
		if f.plan.Name == name {
			return f
		}
	}
	return nil
}

// ended is why the process has nothing left to do: every flow has stopped by itself.
// It is nil while one runs, and where there never was one.
func (s *supervisor) ended() error {
	var last error
	for _, f := range s.all() {
		if last = f.stopped(); last == nil {
			return nil
		}
	}
	return last
}

// drain drains all flows at once.
func (s *supervisor) drain() error { return s.each((*flow).drain) }

// cancel ends all flows without a drain.
func (s *supervisor) cancel() {
	for _, f := range s.all() {
		f.setState(api.Stopped)
		if f.routing != nil {
			f.routing.halt()
		}
	}
}

// close closes what the flows opened. It waits for all that the supervisor began.
func (s *supervisor) close(ctx context.Context) error {
	err := s.each(func(f *flow) error { return f.close(ctx) })
	s.watched.Wait()
	return err
}

func (s *supervisor) each(do func(*flow) error) error {
	flows := s.all()
	errs := make([]error, len(flows))
	var wg sync.WaitGroup
	for i, f := range flows {
		wg.Go(func() { errs[i] = do(f) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
