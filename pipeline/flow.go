package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/plan"
)

// flow is one pipeline as a unit: it has its own sinks, source, router and end
// condition, so that it can be started, stopped and replaced alone.
type flow struct {
	plan       *plan.Pipeline
	log        *slog.Logger
	subscriber *kafka.Subscriber
	delivery   *deliver.Delivery
	tally      *tally
	pauses     *pauseBook
	// observer is told what happens to the pipeline and to its records.
	observer events.Observer
	// goal is what the flow has done at its end, nil where it has none.
	goal *goal
	// open are its own parts; routing is nil before start.
	open    closers
	routing *routing
	// failed is closed once the flow has stopped by itself.
	failed chan struct{}

	mu    sync.Mutex
	state api.State
	err   error
	last  []kafka.PartitionStatus // of a flow that stopped
}

// flowDeps is what all pipelines of a process share. Nothing of it is closed with a
// flow.
type flowDeps struct {
	settings kafka.Settings
	store    keys.Store
	producer handlers.Producer
	run      *idempotency.Run
	holder   idempotency.Holder
	memory   *memory.Budget
	pauses   *pauseBook
	skips    *skipBook
	metrics  *api.Metrics
	observer events.Observer // of others, nil for none
	log      *slog.Logger
	version  string
	stdout   io.Writer
	// digest is that of the configuration, workMost how much memory the expressions
	// of one record may need.
	digest   string
	workMost int64
	// commitMost, where set, bounds the time between two commits.
	commitMost time.Duration
	// work, where set, is the job that the flow does.
	work *work
}

// openFlow opens a pipeline's sinks and source, without reading yet. The flow lasts
// beyond ctx: close ends it, and must be called.
func openFlow(ctx context.Context, p *plan.Pipeline, deps flowDeps) (*flow, error) {
	f := &flow{plan: p, state: api.Starting, failed: make(chan struct{}), log: deps.log.With("pipeline", p.Name),
		tally: new(tally), pauses: deps.pauses}
	if deps.work != nil {
		f.observer = events.Observers{f.tally, deps.work.progress}
	} else {
		f.observer = events.Observers{f.tally, meter{deps.metrics.Pipeline(p.Name)}}.With(deps.observer)
	}
	f.tell(events.Starting, nil)
	if err := f.openParts(ctx, deps); err != nil {
		err = errors.Join(fmt.Errorf("open pipeline %q: %w", p.Name, err), f.open.close(ctx))
		f.tell(events.Stopped, err)
		return nil, err
	}
	return f, nil
}

func (f *flow) openParts(ctx context.Context, deps flowDeps) error {
	p := f.plan
	sinks, err := deps.work.openSinks(p, handlers.Env{Version: deps.version, Producer: deps.producer,
		Stdout: deps.stdout, Logger: f.log}, &f.open)
	if err != nil {
		return err
	}
	f.delivery = deliver.New(ctx, p, deliver.Deps{
		Sinks: sinks, Store: deps.store, Run: deps.run, Holder: deps.holder, Producer: deps.producer,
		ConfigDigest: deps.digest, Observer: f.observer, Logger: f.log,
		Stop: f.fail, Work: deps.memory.Work, WorkMost: deps.workMost, Skips: deps.skips.flow(p.Name),
		Again: deps.work.again(),
	})
	f.open.add("the delivery", func(context.Context) error { f.delivery.Close(); return nil })
	kafkaDeps := kafka.Deps{Logger: f.log, Held: deps.memory.Held, OnAlarm: f.alarm, OnEnd: f.fail}
	if deps.store != nil && p.Idempotency != nil {
		kafkaDeps.Epoch = deps.store.Known
		kafkaDeps.OnEpoch = func(_ string, _ int32, committed, _ string) { deps.store.Remember(committed) }
	}
	source := deps.work.source(p.Source)
	if deps.commitMost > 0 {
		source.CommitInterval = min(source.CommitInterval, deps.commitMost)
	}
	if f.subscriber, err = kafka.NewSubscriber(deps.settings, source, kafkaDeps); err != nil {
		return err
	}
	f.open.add("the source", func(context.Context) error { return f.subscriber.Close() })
	return nil
}

// start lets records flow, until drain.
func (f *flow) start(ctx context.Context) (err error) {
	f.routing, err = startRouter(ctx, f.log, f.plan, f.subscriber, f.delivery)
	return err
}

// drain stops reading, finishes what is in flight within the source's drain time,
// commits and leaves the group.
func (f *flow) drain() error {
	f.setState(api.Draining)
	if f.routing == nil {
		return nil
	}
	if err := f.routing.stop(f.subscriber.Close); err != nil {
		return fmt.Errorf("drain pipeline %q: %w", f.plan.Name, err)
	}
	return nil
}

// close closes what the flow opened, last opened first. A flow that was not drained
// ends without.
func (f *flow) close(ctx context.Context) error {
	if f.routing != nil {
		f.routing.halt()
	}
	defer f.setState(api.Stopped)
	if err := f.open.close(ctx); err != nil {
		return fmt.Errorf("pipeline %q: %w", f.plan.Name, err)
	}
	return nil
}

// openSinks opens the sinks of a pipeline, in the order of its Sinks(). Those
// that were opened are added to what is closed at the end, also on an error.
func openSinks(p *plan.Pipeline, env handlers.Env, open *closers) ([]handlers.Sink, error) {
	var sinks []handlers.Sink
	log := env.Logger
	for _, s := range p.Sinks() {
		env.Pipeline, env.Name, env.Logger = p.Name, s.Name, log.With("sink", s.Name)
		sink, err := s.Spec.Open(s.Config, env)
		if err != nil {
			return nil, fmt.Errorf("open sink %q: %w", s.Name, err)
		}
		open.add(fmt.Sprintf("sink %q", s.Name), sink.Close)
		sinks = append(sinks, sink)
	}
	return sinks, nil
}

// fail notes that the pipeline must not go on. Of several records that stop it
// the first of a partition is told.
func (f *flow) fail(err error) {
	f.mu.Lock()
	first := f.err == nil
	if first || earlier(err, f.err) {
		f.err, f.state = err, api.Stopped
	}
	f.mu.Unlock()
	if first {
		f.tell(events.Stopped, err)
		f.log.Error("the pipeline has stopped, and does not go on by itself: its offset stays before the first "+
			"unfinished record, which the next start reads again", "err", err)
		close(f.failed)
	}
}

// sayCut says what becomes of records whose calls were cut off, and whether there
// are any.
func (f *flow) sayCut(what string, records int) bool {
	if records == 0 {
		return false
	}
	then := "they are made again at the next start"
	if guard := f.plan.Idempotency; guard != nil && guard.OnUncertain == plan.ActionPark {
		then = "the next start parks those that were made, as on_uncertain says, and does not make them again"
	}
	f.log.Warn(what+": what became of them is unknown, and "+then, "records", records)
	return true
}

// earlier tells whether a names an earlier record of the same partition than b.
func earlier(a, b error) bool {
	var x, y *deliver.StopError
	return errors.As(a, &x) && errors.As(b, &y) &&
		x.Rec.Topic == y.Rec.Topic && x.Rec.Partition == y.Rec.Partition && x.Rec.Offset < y.Rec.Offset
}

// keepPartitions keeps what is known of the partitions when they are given up,
// so that a stopped pipeline still shows what it has not read.
func (f *flow) keepPartitions() {
	last := f.subscriber.Status()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = last
}

func (f *flow) partitions() []kafka.PartitionStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last != nil {
		return slices.Clone(f.last)
	}
	return f.subscriber.Status()
}

func (f *flow) stopped() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// setState says what the flow does from now on; one that has stopped does no more.
func (f *flow) setState(s api.State) {
	f.mu.Lock()
	changed := f.state != api.Stopped && f.state != s
	if changed {
		f.state = s
	}
	f.mu.Unlock()
	if changed {
		f.tell(string(s), nil)
	}
}

// running is the state of the flow, which runs once it has joined its group.
func (f *flow) running() api.State {
	joined := f.subscriber.Ready()
	f.mu.Lock()
	begins := f.state == api.Starting && joined
	if begins {
		f.state = api.Running
	}
	s := f.state
	f.mu.Unlock()
	if begins {
		f.tell(events.Running, nil)
	}
	return s
}

// awaitRunning has it told that the flow runs, whoever asks for its state or not.
func (f *flow) awaitRunning(ctx context.Context) {
	for f.running() == api.Starting && clock.Sleep(ctx, 20*time.Millisecond) {
	}
}

// troubles say why the pipeline is not ready, sorted; empty when it is.
func (f *flow) troubles() []deliver.Trouble {
	f.mu.Lock()
	var all []deliver.Trouble
	if f.err != nil {
		all = append(all, deliver.Trouble{Kind: "stopped", Reason: f.err.Error() + stoppedHint(f.err)})
	}
	f.mu.Unlock()
	return append(append(all, f.tally.troubles()...), f.delivery.Troubles()...)
}
